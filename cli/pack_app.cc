#include "pack_app.h"

#include "link_profile.h"
#include "umbel/base/files.h"
#include "umbel/base/sha256.h"
#include "umbel/bundle/bundle.h"

namespace umbel::cli {

Result<PackedApp> pack_app(const std::filesystem::path& app, const Manifest& manifest,
                           const std::filesystem::path& program) {
  UMBEL_ASSIGN_OR_RETURN(const PrivateKey key, PrivateKey::read_or_make(user_key_path()));
  bundle::PackOptions options;
  options.app = app;
  options.description = {manifest.publisher, manifest.name, manifest.version, {}, manifest.python};
  if (manifest.has_program()) options.programs = {{bundle::this_platform(), program}};
  PackedApp packed;
  UMBEL_ASSIGN_OR_RETURN(packed.archive, bundle::pack(options, key));
  packed.sha256 = sha256_hex(std::as_bytes(std::span(packed.archive)));
  packed.publisher = key.public_key();
  packed.path = app / "build" / fmt::format("{}-{}.umbel", manifest.name, manifest.version);
  std::error_code ignored;  // what cannot be made cannot be written to either
  std::filesystem::create_directories(packed.path.parent_path(), ignored);
  UMBEL_RETURN_IF_ERROR(write_file_atomic(packed.path, packed.archive));
  return packed;
}

}  // namespace umbel::cli

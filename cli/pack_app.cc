#include "pack_app.h"

#include <algorithm>

#include "link_profile.h"
#include "text_format.h"
#include "umbel/base/files.h"
#include "umbel/base/sha256.h"
#include "umbel/bundle/bundle.h"
#include "umbel/bundle/source_files.h"

namespace umbel::cli {

namespace {

constexpr size_t kFilesNamedMax = 5;

}  // namespace

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
  UMBEL_ASSIGN_OR_RETURN(const auto files, bundle::source_files(app));
  for (const bundle::SourceFile& file : files) {
    if (file.is_data_like) packed.data_like.emplace_back(file.path, file.bytes);
  }
  std::ranges::sort(packed.data_like);
  return packed;
}

std::string data_like_text(const PackedApp& packed) {
  if (packed.data_like.empty()) return "";
  std::string names;
  for (size_t i = 0; i != std::min(packed.data_like.size(), kFilesNamedMax); ++i) {
    const auto& [path, bytes] = packed.data_like[i];
    names += fmt::format("{}{} ({})", i == 0 ? "" : ", ", terminal_safe(path),
                         bytes_text(static_cast<int64_t>(bytes)));
  }
  if (packed.data_like.size() > kFilesNamedMax) {
    names += fmt::format(" and {} more", packed.data_like.size() - kFilesNamedMax);
  }
  return fmt::format(
      "the bundle has data-like files: {}: they go to the hub and to every node; if they should "
      "not, keep them elsewhere or name them in {}",
      names, bundle::kIgnoreFile);
}

}  // namespace umbel::cli

#include "umbel/superlink/bundles.h"

#include <algorithm>

#include "umbel/base/files.h"
#include "umbel/base/sha256.h"
#include "umbel/base/text.h"

namespace umbel::superlink {

namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

bool is_hash(const std::string& text) {
  return text.size() == 64 && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace

Status Bundles::make_folder() {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (!error) return absl::OkStatus();
  return unavailable("{}: cannot make the folder: {}", folder_.string(), error.message());
}

Result<std::filesystem::path> Bundles::find(const std::string& sha256) const {
  if (!is_hash(sha256)) {
    return invalid_argument("\"{}\": expected 64 hexadecimal digits, a bundle's SHA-256",
                            escaped(sha256.substr(0, 100)));
  }
  std::filesystem::path path = folder_ / (sha256 + ".umbel");
  if (!std::filesystem::exists(path)) return not_found("there is no bundle {}", sha256);
  return path;
}

Result<bundle::Bundle> Bundles::put(const std::string& sha256, std::string_view archive) {
  if (!is_hash(sha256)) return find(sha256).status();
  const std::string found = sha256_hex(bytes_of(archive));
  if (found != sha256) {
    return invalid_argument("the bundle's bytes have the SHA-256 {}, not {}", found, sha256);
  }
  UMBEL_ASSIGN_OR_RETURN(bundle::Bundle bundle, bundle::verify(bytes_of(archive)));
  if (!info(sha256).ok()) {  // not there, or damaged
    UMBEL_RETURN_IF_ERROR(write_file_atomic(folder_ / (sha256 + ".umbel"), archive));
  }
  return bundle;
}

Result<bundle::Bundle> Bundles::info(const std::string& sha256) const {
  UMBEL_ASSIGN_OR_RETURN(const std::filesystem::path path, find(sha256));
  UMBEL_ASSIGN_OR_RETURN(const std::string archive, read_file(path, bundle::kArchiveBytesMax));
  if (sha256_hex(bytes_of(archive)) != sha256) {
    return not_found("{}: damaged: its bytes have another SHA-256; upload the bundle again",
                     path.string());
  }
  return bundle::verify(bytes_of(archive));
}

Result<bundle::Bundle> Bundles::unpack(const std::string& sha256,
                                       const std::filesystem::path& folder) const {
  UMBEL_ASSIGN_OR_RETURN(const std::filesystem::path path, find(sha256));
  UMBEL_ASSIGN_OR_RETURN(const std::string archive, read_file(path, bundle::kArchiveBytesMax));
  if (sha256_hex(bytes_of(archive)) != sha256) {
    return data_loss("{}: damaged: its bytes have another SHA-256", path.string());
  }
  return bundle::unpack(bytes_of(archive), folder);
}

}  // namespace umbel::superlink

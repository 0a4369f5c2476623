#include <sys/stat.h>
#include <sys/utsname.h>

#include <algorithm>

#include "umbel/base/files.h"
#include "umbel/base/sha256.h"
#include "umbel/bundle/bundle.h"
#include "umbel/bundle/entry.h"
#include "umbel/bundle/list.h"
#include "umbel/bundle/source_files.h"
#include "umbel/bundle/zstd.h"

namespace umbel::bundle {

namespace fs = std::filesystem;

namespace {

struct Loaded {
  Bundle::File file;
  std::string content;
};

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

Status refuse(const Status& status) {
  return absl::FailedPreconditionError(umbel::message_of(status));
}

Result<Loaded> load(const SourceFile& source, uint64_t bytes_max) {
  Loaded loaded;
  struct stat found {};
  if (::stat(source.place.c_str(), &found) != 0) {
    return not_found("{}: no such file", source.place.string());
  }
  auto content = read_file(source.place, bytes_max);
  if (content.status().code() == absl::StatusCode::kResourceExhausted) {
    return failed_precondition("{}: with it the bundle has more than {} bytes", source.path,
                               kUnpackedBytesMax);
  }
  UMBEL_RETURN_IF_ERROR(content.status());
  loaded.content = *std::move(content);
  const std::string_view text = loaded.content;
  if (text.starts_with("-----BEGIN ") && text.find("PRIVATE KEY-----") != text.npos) {
    return failed_precondition("{}: must not travel in a bundle: it is a private key", source.path);
  }
  loaded.file = {source.path, text.size(), sha256_hex(bytes_of(text)), (found.st_mode & 0111) != 0};
  return loaded;
}

Status add_entry(Compressor& compressor, const Entry& entry, std::string_view content) {
  constexpr Block kZeros{};
  UMBEL_RETURN_IF_ERROR(compressor.add(header_of(entry)));
  UMBEL_RETURN_IF_ERROR(compressor.add(bytes_of(content)));
  return compressor.add(std::span(kZeros).first(padding_of(entry.bytes)));
}

Result<std::string> write_archive(const std::string& list, const std::string& signature,
                                  const std::vector<Loaded>& files) {
  Compressor compressor;
  UMBEL_RETURN_IF_ERROR(add_entry(compressor, {kListName, list.size(), false}, list));
  UMBEL_RETURN_IF_ERROR(
      add_entry(compressor, {kSignatureName, signature.size(), false}, signature));
  for (const auto& [file, content] : files) {
    UMBEL_RETURN_IF_ERROR(add_entry(compressor, {file.path, file.bytes, file.executable}, content));
  }
  constexpr Block kZeros{};
  UMBEL_RETURN_IF_ERROR(compressor.add(kZeros));
  UMBEL_RETURN_IF_ERROR(compressor.add(kZeros));
  return compressor.finish();
}

}  // namespace

std::string this_platform() {
  utsname machine{};
  ::uname(&machine);
  return fmt::format("linux-{}", machine.machine);
}

const std::string* Bundle::program_for(std::string_view platform) const {
  for (const auto& [built_for, path] : description.programs) {
    if (built_for == platform) return &path;
  }
  return nullptr;
}

Result<std::string> pack(const PackOptions& options, const PrivateKey& signer) {
  UMBEL_ASSIGN_OR_RETURN(std::vector<SourceFile> sources, source_files(options.app));
  Description description = options.description;
  description.programs.clear();
  for (const auto& [platform, place] : options.programs) {
    const std::string path = fmt::format("programs/{}/{}", platform, description.name);
    sources.push_back({.path = path, .place = place});
    description.programs.emplace_back(platform, path);
  }
  std::sort(description.programs.begin(), description.programs.end());
  std::sort(sources.begin(), sources.end(),
            [](const SourceFile& a, const SourceFile& b) { return a.path < b.path; });
  std::vector<Loaded> files;
  std::vector<Bundle::File> listed;
  uint64_t left = kUnpackedBytesMax;
  for (const SourceFile& source : sources) {
    if (const Status status = check_path(source.path); !status.ok()) return refuse(status);
    UMBEL_ASSIGN_OR_RETURN(Loaded loaded, load(source, left));
    left -= loaded.content.size();
    listed.push_back(loaded.file);
    files.push_back(std::move(loaded));
  }
  if (const Status status = check_list(description, listed); !status.ok()) return refuse(status);
  const std::string list = format_list(description, listed);
  UMBEL_ASSIGN_OR_RETURN(std::string archive,
                         write_archive(list, format_signature(list, signer), files));
  // What nobody would take is not made either: the limits of size and ratio are there.
  if (const auto made = verify(bytes_of(archive)); !made.ok()) return refuse(made.status());
  return archive;
}

}  // namespace umbel::bundle

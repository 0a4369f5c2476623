#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "umbel/base/keys.h"
#include "umbel/base/status.h"
#include "umbel/bundle/python_entry.h"

namespace umbel::bundle {

// An app as it travels: its manifest and source, and what of it is C++ as programs by platform, in
// one signed archive (docs/bundle.md).  The same files and key give the same bytes.

// What nobody's bundle may exceed.
inline constexpr uint64_t kArchiveBytesMax = uint64_t{100} << 20;
inline constexpr uint64_t kUnpackedBytesMax = uint64_t{100} << 20;
inline constexpr uint64_t kRatioMax = 200;  // unpacked to packed bytes
inline constexpr size_t kFilesMax = 10'000;
inline constexpr size_t kDepthMax = 16;  // folders within folders
inline constexpr size_t kPathBytesMax = 255;

// What a bundle says of itself, in its first entry.
struct Description {
  std::string publisher, name, version;  // each [A-Za-z0-9][A-Za-z0-9._-]{0,63}
  // "linux-x86_64" -> the program's path in the bundle; empty for an app without programs.
  std::vector<std::pair<std::string, std::string>> programs;
  PythonEntry python = {};  // which sides of the app are in Python: these need no program
  std::string id() const { return publisher + "/" + name + "@" + version; }
};

// A bundle that was read and found whole.
struct Bundle {
  std::string sha256;  // of the archive's bytes: what a bundle is known by
  Description description;
  PublicKey signer;  // whose signature it carries; whether to trust it is the owner's to say
  struct File {
    std::string path;
    uint64_t bytes;
    std::string sha256;
    bool executable;
  };
  std::vector<File> files;
  const std::string* program_for(std::string_view platform) const;
};

// "linux-x86_64": what programs built here run on.
std::string this_platform();

struct PackOptions {
  std::filesystem::path app;  // the app's folder
  Description description;
  // Built programs to add, by platform: copied to programs/PLATFORM/NAME.
  std::vector<std::pair<std::string, std::filesystem::path>> programs;
};
// Packs the app's folder.  Left out: build/, .git/, hidden files and folders, editors' leavings,
// virtual environments and what Python leaves (__pycache__, *.pyc, *.egg-info), and what `umbel
// pull` and `umbel report` write there (run-7, run-7.html). FAILED_PRECONDITION that names the file
// for what must not travel: keys and certificates (*.pem,
// *.key, id_rsa, ...), .env, data (*.csv, *.npz, *.parquet, ... of more than 1 MiB), links, and
// what exceeds a limit.
Result<std::string> pack(const PackOptions& options, const PrivateKey& signer);

// Reads and verifies all of an archive: limits, names, hashes, signature.  Writes nothing.
// INVALID_ARGUMENT or RESOURCE_EXHAUSTED names the entry and what is wrong with it.
Result<Bundle> verify(std::span<const std::byte> archive);

// verify(), then the files into `folder`, which must not exist yet and appears whole or not at all.
Result<Bundle> unpack(std::span<const std::byte> archive, const std::filesystem::path& folder);

}  // namespace umbel::bundle

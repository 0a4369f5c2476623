#pragma once

#include <gtest/gtest.h>
#include <functional>
#include <string>
#include <vector>

#include "umbel/base/sha256.h"
#include "umbel/bundle/bundle.h"
#include "umbel/bundle/list.h"
#include "umbel/bundle/zstd.h"

namespace umbel::bundle {

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// An archive as somebody with a key of his own and bad intent can write it: any header, any list.
struct TarEntry {
  std::string name, content;
  char type = '0';
  std::string mode = "0000644";
  std::string link = "", prefix = "", owner = "0000000", time = "00000000000";
  std::string size = "";  // as the header says it; "": the content's
  std::string magic = std::string("ustar\00000", 8);
};

inline std::string tar_header(const TarEntry& entry) {
  std::string block(512, '\0');
  const auto put = [&](size_t at, std::string_view text) { block.replace(at, text.size(), text); };
  put(0, entry.name.substr(0, 100));
  put(100, entry.mode);
  put(108, entry.owner);
  put(116, entry.owner);
  put(124, entry.size.empty() ? fmt::format("{:011o}", entry.content.size()) : entry.size);
  put(136, entry.time);
  put(148, "        ");
  block[156] = entry.type;
  put(157, entry.link);
  put(257, entry.magic);
  put(345, entry.prefix);
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  return block;
}

inline std::string tar_of(const std::vector<TarEntry>& entries) {
  std::string tar;
  for (const TarEntry& entry : entries) {
    tar += tar_header(entry) + entry.content;
    tar.resize((tar.size() + 511) / 512 * 512);
  }
  return tar + std::string(1024, '\0');
}

inline std::string compressed(std::string_view text) {
  Compressor compressor;
  EXPECT_TRUE(compressor.add(bytes_of(text)).ok());
  return compressor.finish().value();
}

// The list and its signature, then the files; all of it as it should be until somebody changes it.
class Forgery {
 public:
  Description description{"example", "quickstart", "0.1.0", {}};
  std::vector<TarEntry> files;
  PrivateKey key = PrivateKey::generate();
  std::function<void(std::vector<Bundle::File>&)> change_list;
  std::function<void(std::string&)> change_list_text, change_signature, change_tar;
  std::function<void(std::vector<TarEntry>&)> change_entries;

  Forgery() {
    files = {{"app.cc", "int main() {}\n"},
             {"run.sh", "#!/bin/sh\n", '0', "0000755"},
             {"umbel.toml", "[app]\n"}};
  }
  std::string archive() const {
    std::vector<Bundle::File> listed;
    for (const TarEntry& file : files) {
      listed.push_back({file.name, file.content.size(), sha256_hex(bytes_of(file.content)),
                        file.mode == "0000755"});
    }
    if (change_list) change_list(listed);
    std::string list = format_list(description, listed);
    if (change_list_text) change_list_text(list);
    std::string signature = format_signature(list, key);
    if (change_signature) change_signature(signature);
    std::vector<TarEntry> entries = {{kListName, list}, {kSignatureName, signature}};
    entries.insert(entries.end(), files.begin(), files.end());
    if (change_entries) change_entries(entries);
    std::string tar = tar_of(entries);
    if (change_tar) change_tar(tar);
    return compressed(tar);
  }
};

}  // namespace umbel::bundle

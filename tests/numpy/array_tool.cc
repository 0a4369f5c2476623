// What check_npy.py drives.  Each line of standard input is one order, its words split by tabs:
//   read FILE       answers "accept", then name, dtype, shape and SHA-256 of the elements' bytes
//   for
//                   each array (the name of an .npy file's array is "-"); or "reject" and the
//                   reason
//   copy FROM TO    writes what FROM holds as TO; answers "done", or "reject" and the reason
// A file's format is that of its extension.
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/base/sha256.h"
#include "umbel/base/text.h"
#include "umbel/record/npy.h"
#include "umbel/record/npz.h"
#include "umbel/record/safetensors.h"

namespace {

using umbel::ArrayRecord;
using umbel::Result;
using umbel::Status;

Result<ArrayRecord> read(const std::filesystem::path& path) {
  if (path.extension() == ".npz") return umbel::read_npz(path);
  if (path.extension() == ".safetensors") return umbel::read_safetensors(path);
  UMBEL_ASSIGN_OR_RETURN(umbel::Array array, umbel::read_npy(path));
  return ArrayRecord{{"-", std::move(array)}};
}

Status copy(const std::filesystem::path& from, const std::filesystem::path& to) {
  UMBEL_ASSIGN_OR_RETURN(const ArrayRecord arrays, read(from));
  if (to.extension() == ".npz") return umbel::write_npz(to, arrays);
  if (to.extension() == ".safetensors") return umbel::write_safetensors(to, arrays);
  return umbel::write_npy(to, arrays.entry(0).second);
}

std::string rejection(const Status& status) {
  return "reject\t" + umbel::escaped(umbel::message_of(status));
}

std::string answer(const std::vector<std::string>& words) {
  if (words.size() == 2 && words[0] == "read") {
    const Result<ArrayRecord> arrays = read(words[1]);
    if (!arrays.ok()) return rejection(arrays.status());
    std::string text = "accept";
    for (const auto& [name, array] : *arrays) {
      text += "\t" + name + "\t" + std::string(umbel::name_of(array.dtype())) + "\t" +
              umbel::to_string(array.shape()) + "\t" + umbel::sha256_hex(array.bytes());
    }
    return text;
  }
  if (words.size() == 3 && words[0] == "copy") {
    const Status status = copy(words[1], words[2]);
    return status.ok() ? "done" : rejection(status);
  }
  return "reject\tnot an order";
}

}  // namespace

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    std::vector<std::string> words(1);
    for (const char c : line) {
      if (c == '\t') {
        words.emplace_back();
      } else {
        words.back() += c;
      }
    }
    std::cout << answer(words) << '\n';
  }
  return 0;
}

// Runs a fuzz target without a fuzzing engine: every file of a corpus, then seeded mutations of
// them.  The same arguments run the same inputs.
#include <fmt/core.h>
#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "umbel/base/rng.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Input = std::vector<uint8_t>;

constexpr size_t kInputMax = 1 << 20;
constexpr rlim_t kMemoryMax = rlim_t{2} << 30;

// An input that takes more memory than this fails; the sanitizers' own maps need more.
void bound_memory() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  const rlimit limit{kMemoryMax, kMemoryMax};
  if (setrlimit(RLIMIT_AS, &limit) != 0) fmt::print(stderr, "replay: memory is not bounded\n");
#endif
}

std::vector<Input> read_corpus(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_regular_file()) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Input> corpus;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return corpus;
}

// One edit: bits, bytes with a meaning, a piece left out, doubled or taken from another input.
void mutate_once(Input& input, const Input& other, umbel::Rng& rng) {
  static constexpr uint8_t kTelling[] = {0,   1,   0x7f, 0x80, 0xff, '\'', '"', '(', ')',  '[',
                                         ']', '{', '}',  ',',  ':',  '-',  '9', '0', '\\', '\n'};
  if (input.empty()) input.push_back(static_cast<uint8_t>(rng.below(256)));
  const auto at = static_cast<ptrdiff_t>(rng.below(input.size()));
  const auto length = static_cast<ptrdiff_t>(
      1 + rng.below(std::min<uint64_t>(32, input.size() - static_cast<size_t>(at))));
  switch (rng.below(7)) {
    case 0:
      input[at] ^= static_cast<uint8_t>(1 << rng.below(8));
      break;
    case 1:
      input[at] = kTelling[rng.below(std::size(kTelling))];
      break;
    case 2:
      input.insert(input.begin() + at, kTelling[rng.below(std::size(kTelling))]);
      break;
    case 3:
      input.erase(input.begin() + at, input.begin() + at + length);
      break;
    case 4: {
      const Input piece(input.begin() + at, input.begin() + at + length);
      input.insert(input.begin() + at, piece.begin(), piece.end());
      break;
    }
    case 5:
      input.resize(static_cast<size_t>(at));
      break;
    default:
      if (other.empty()) break;
      const size_t from = rng.below(other.size());
      const size_t bytes = std::min<size_t>({other.size() - from, 1 + rng.below(64)});
      input.resize(std::max(input.size(), static_cast<size_t>(at) + bytes));
      std::copy_n(other.begin() + static_cast<ptrdiff_t>(from), bytes, input.begin() + at);
  }
  if (input.size() > kInputMax) input.resize(kInputMax);
}

uint64_t number(const char* text) {
  uint64_t value = 0;
  const char* end = text + std::string_view(text).size();
  if (std::from_chars(text, end, value).ptr == end && end != text) return value;
  fmt::print(stderr, "replay: \"{}\" is not a number\n", text);
  std::exit(2);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 4) {
    fmt::print(stderr, "usage: {} CORPUS_FOLDER [MUTATIONS (20000)] [SEED (1)]\n", argv[0]);
    return 2;
  }
  const uint64_t mutations = argc > 2 ? number(argv[2]) : 20'000;
  const uint64_t seed = argc > 3 ? number(argv[3]) : 1;
  bound_memory();
  const std::vector<Input> corpus = read_corpus(argv[1]);
  if (corpus.empty()) {
    fmt::print(stderr, "replay: {} has no files\n", argv[1]);
    return 2;
  }
  fmt::print("replay: {} files, {} mutations, seed {}\n", corpus.size(), mutations, seed);
  for (const Input& input : corpus) LLVMFuzzerTestOneInput(input.data(), input.size());
  for (uint64_t i = 0; i != mutations; ++i) {
    umbel::Rng rng(umbel::derive_seed(seed, {i}));
    Input input = corpus[rng.below(corpus.size())];
    const uint64_t edits = uint64_t{1} << rng.below(4);
    for (uint64_t edit = 0; edit != edits; ++edit) {
      mutate_once(input, corpus[rng.below(corpus.size())], rng);
    }
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  fmt::print("replay: all ended well\n");
  return 0;
}

// How fast data sets are read that the disk cache holds: opened, and every byte of the features
// summed, against read() of the same file in pieces of 1 MiB that are summed as well.
//
//   bench_data [--smoke]
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numeric>
#include <string_view>
#include <vector>

#include "bench/measure.h"
#include "umbel/base/rng.h"
#include "umbel/data/array_dataset.h"
#include "umbel/data/open_dataset.h"
#include "umbel/record/npz.h"
#include "umbel/record/safetensors.h"

namespace {

namespace fs = std::filesystem;
using umbel::Array;
using umbel::DType;

uint64_t sum_of(std::span<const std::byte> bytes) {
  uint64_t sum = 0;
  size_t i = 0;
  for (; i + sizeof sum <= bytes.size(); i += sizeof sum) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + i, sizeof word);
    sum += word;
  }
  for (; i != bytes.size(); ++i) sum += std::to_integer<uint64_t>(bytes[i]);
  return sum;
}

// So that no sum is left out as of no use.
uint64_t total = 0;

double read_all(const fs::path& path, std::vector<std::byte>& piece) {
  return umbel::bench::time_of([&] {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    for (ssize_t bytes; (bytes = ::read(file, piece.data(), piece.size())) > 0;) {
      total += sum_of({piece.data(), static_cast<size_t>(bytes)});
    }
    ::close(file);
  });
}

void measure(const fs::path& path, const std::string& what, size_t pairs,
             const std::function<umbel::data::Dataset()>& open) {
  constexpr size_t kPiece = 1 << 20;
  std::vector<std::byte> piece(kPiece);
  const auto measured = umbel::bench::in_turn(
      pairs,
      [&] { return umbel::bench::time_of([&] { total += sum_of(open().features.bytes()); }); },
      [&] { return read_all(path, piece); });
  const double gigabytes = static_cast<double>(fs::file_size(path)) / 1e9;
  umbel::bench::print({.id = "DATA",
                       .what = what,
                       .ours = gigabytes / measured.a.median,
                       .unit = "GB/s",
                       .peer = "read() of the cached file",
                       .peer_value = gigabytes / measured.b.median,
                       .ratio = measured.b_over_a,
                       .runs = pairs,
                       .higher_is_better = true});
}

// IDX as fashion_mnist's, not packed: big-endian extents, then the pixels.
void write_idx(const fs::path& path, const Array& array) {
  std::string header{'\0', '\0', '\x08', static_cast<char>(array.shape().size())};
  for (const int64_t extent : array.shape()) {
    for (int shift = 24; shift >= 0; shift -= 8) header += static_cast<char>(extent >> shift);
  }
  std::ofstream file(path, std::ios::binary);
  file.write(header.data(), static_cast<std::streamsize>(header.size()));
  file.write(reinterpret_cast<const char*>(array.bytes().data()),
             static_cast<std::streamsize>(array.byte_size()));
}

Array noise(DType dtype, umbel::Shape shape) {
  Array array = Array::uninitialized(dtype, std::move(shape));
  umbel::Rng rng(1);
  const auto bytes = array.mutable_bytes();
  for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
    const uint64_t word = rng() & 0x3f7fffff3f7fffff;  // finite as float32 too
    std::memcpy(bytes.data() + i, &word, sizeof word);
  }
  return array;
}

}  // namespace

int main(int argc, char** argv) {
  const bool smoke = argc == 2 && std::string_view(argv[1]) == "--smoke";
  const int64_t examples = smoke ? 1000 : 400'000;
  const size_t pairs = smoke ? 1 : 15;
  std::string name = (fs::temp_directory_path() / "umbel-bench-XXXXXX").string();
  const fs::path folder = ::mkdtemp(name.data());
  const Array pixels = noise(DType::kUint8, {examples, 28, 28});
  const Array reals = noise(DType::kFloat32, {examples / 4, 784});
  const auto labels = [](int64_t count) { return Array::zeros(DType::kUint8, {count}); };
  const auto idx = folder / "train-images-idx3-ubyte";
  write_idx(idx, pixels);
  write_idx(folder / "train-labels-idx1-ubyte", labels(examples));
  const umbel::ArrayRecord bytes{{"x", pixels}, {"y", labels(examples)}};
  const umbel::ArrayRecord floats{{"x", reals}, {"y", labels(examples / 4)}};
  umbel::or_throw(umbel::write_npz(folder / "bytes.npz", bytes));
  umbel::or_throw(umbel::write_npz(folder / "floats.npz", floats));
  umbel::or_throw(umbel::write_safetensors(folder / "floats.safetensors", floats));
  const double megabytes = static_cast<double>(pixels.byte_size()) / 1e6;
  const auto size = fmt::format("{:.0f} MB, opened and summed", megabytes);
  measure(idx, "IDX, uint8, " + size, pairs, [&] { return umbel::data::open(idx); });
  measure(folder / "bytes.npz", "npz, uint8, " + size, pairs,
          [&] { return umbel::data::npz(folder / "bytes.npz"); });
  measure(folder / "floats.npz", "npz, float32, " + size, pairs,
          [&] { return umbel::data::npz(folder / "floats.npz"); });
  measure(folder / "floats.safetensors", "safetensors, float32, " + size, pairs,
          [&] { return umbel::data::safetensors(folder / "floats.safetensors"); });
  fs::remove_all(folder);
  return total == 0;
}

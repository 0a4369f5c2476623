#include "umbel/record/npy.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "umbel/base/files.h"
#include "umbel/record/npy_descr.h"
#include "umbel/record/npy_header.h"

namespace umbel {

namespace {

constexpr size_t kDataAlignment = 64;
// NumPy leaves room to let the first extent grow in place to 21 digits.
constexpr size_t kGrowthDigits = 21;

// Copies elements of kBytes from Fortran order into C order.
template <size_t kBytes>
void transpose(const Shape& shape, const std::byte* from, std::byte* to) {
  const size_t rank = shape.size();
  absl::InlinedVector<size_t, 4> strides(rank);  // of `from`, in bytes
  size_t stride = kBytes;
  for (size_t i = 0; i != rank; ++i) {
    strides[i] = stride;
    stride *= static_cast<size_t>(shape[i]);
  }
  const std::byte* const end = to + stride;
  absl::InlinedVector<int64_t, 4> index(rank, 0);
  while (to != end) {
    const std::byte* source = from;
    for (int64_t i = 0; i != shape[rank - 1]; ++i) {
      std::memcpy(to, source, kBytes);
      to += kBytes;
      source += strides[rank - 1];
    }
    for (size_t i = rank - 1; i-- != 0;) {
      from += strides[i];
      if (++index[i] != shape[i]) break;
      from -= strides[i] * static_cast<size_t>(shape[i]);
      index[i] = 0;
    }
  }
}

void transpose(size_t element_bytes, const Shape& shape, const std::byte* from, std::byte* to) {
  switch (element_bytes) {
    case 1:
      return transpose<1>(shape, from, to);
    case 2:
      return transpose<2>(shape, from, to);
    case 4:
      return transpose<4>(shape, from, to);
    case 8:
      return transpose<8>(shape, from, to);
    default:
      return transpose<16>(shape, from, to);
  }
}

// A complex number is two numbers, each swapped by itself.
void swap_bytes(DType dtype, std::span<std::byte> bytes) {
  const size_t word = size_of(dtype) / (is_complex(dtype) ? 2 : 1);
  for (size_t i = 0; i != bytes.size(); i += word) {
    std::reverse(bytes.begin() + static_cast<ptrdiff_t>(i),
                 bytes.begin() + static_cast<ptrdiff_t>(i + word));
  }
}

// With at most one extent above 1 both orders are the same.
bool orders_differ(const Shape& shape) {
  return std::count_if(shape.begin(), shape.end(), [](int64_t extent) { return extent > 1; }) > 1;
}

}  // namespace

Result<Array> parse_npy(Buffer bytes) {
  UMBEL_ASSIGN_OR_RETURN(NpyHeader header, parse_npy_header(bytes.bytes()));
  UMBEL_ASSIGN_OR_RETURN(const int64_t count, element_count(header.shape));
  const size_t needed = static_cast<size_t>(count) * size_of(header.dtype);
  const size_t left = bytes.size() - header.bytes;
  if (needed > left) {
    return invalid_argument("npy: {}{} takes {} bytes, the file has {} left", name_of(header.dtype),
                            to_string(header.shape), needed, left);
  }
  Buffer data = bytes.slice(header.bytes, needed);
  if (needed != 0 && header.fortran_order && orders_differ(header.shape)) {
    Buffer ordered = Buffer::allocate(needed);
    transpose(size_of(header.dtype), header.shape, data.data(), ordered.mutable_bytes().data());
    data = std::move(ordered);
  }
  if (header.big_endian) {
    if (!data.sole_owner()) data = data.clone();
    swap_bytes(header.dtype, data.mutable_bytes());
  }
  return Array::make(header.dtype, std::move(header.shape), std::move(data));
}

Result<Array> read_npy(const std::filesystem::path& path) {
  UMBEL_ASSIGN_OR_RETURN(Buffer bytes, Buffer::map_file(path.string()));
  Result<Array> array = parse_npy(std::move(bytes));
  if (!array.ok()) return annotate(array.status(), path.string());
  return array;
}

Result<std::string> format_npy_header(const Array& array) {
  UMBEL_ASSIGN_OR_RETURN(const std::string descr, npy_descr(array.dtype()));
  const Shape& shape = array.shape();
  if (shape.size() > kNpyRankMax) {
    return invalid_argument("an .npy file has at most {} dimensions, the array has {}", kNpyRankMax,
                            shape.size());
  }
  std::string extents;
  for (size_t i = 0; i != shape.size(); ++i) extents += (i ? ", " : "") + std::to_string(shape[i]);
  if (shape.size() == 1) extents += ",";
  std::string text =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, extents);
  if (!shape.empty()) text.append(kGrowthDigits - std::to_string(shape[0]).size(), ' ');

  std::string header("\x93NUMPY\x01\x00", 8);
  const size_t unpadded = header.size() + 2 + text.size() + 1;
  // A full line of padding where none is needed: so does NumPy.
  text.append(kDataAlignment - unpadded % kDataAlignment, ' ');
  text += '\n';
  header += static_cast<char>(text.size() & 0xff);
  header += static_cast<char>(text.size() >> 8);
  return header + text;
}

Status write_npy(const std::filesystem::path& path, const Array& array) {
  Result<std::string> header = format_npy_header(array);
  if (!header.ok()) return annotate(header.status(), path.string());
  UMBEL_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  UMBEL_RETURN_IF_ERROR(file.write(std::string_view(*header)));
  UMBEL_RETURN_IF_ERROR(file.write(array.bytes()));
  return file.commit();
}

}  // namespace umbel

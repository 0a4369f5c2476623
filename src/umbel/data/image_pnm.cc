#include <algorithm>
#include <cstring>
#include <string_view>

#include "umbel/data/image_decoders.h"

namespace umbel::data {

namespace {

constexpr uint64_t kNumberMax = 100'000'000;  // of the header's

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// The header of P5 and P6 (Poskanzer, Netpbm's pgm(5) and ppm(5)):
//   magic space width space height space maxval one-space samples
// where '#' starts a comment that ends with its line, anywhere before the last space.
class Header {
 public:
  explicit Header(std::string_view text) : text_(text) {}

  Result<uint64_t> next(const char* what) {
    while (at_ < text_.size() && (is_space(text_[at_]) || text_[at_] == '#')) {
      if (text_[at_] == '#') {
        at_ = std::min(text_.find_first_of("\r\n", at_), text_.size());
      } else {
        ++at_;
      }
    }
    const size_t start = at_;
    uint64_t value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      value = 10 * value + static_cast<uint64_t>(text_[at_] - '0');
      if (value > kNumberMax) return resource_exhausted("the {} is above {}", what, kNumberMax);
    }
    if (at_ == text_.size()) return data_loss("cut off within the header");
    if (at_ == start) return invalid_argument("the header has no {}", what);
    return value;
  }
  // Behind the one blank that ends the header.
  Result<size_t> end() const {
    if (!is_space(text_[at_])) return invalid_argument("no blank at the end of the header");
    return at_ + 1;
  }

 private:
  std::string_view text_;
  size_t at_ = 2;
};

// Samples of 16 bits are big-endian; all are scaled to 0 to 255, rounded.
Result<Array> read_samples(std::span<const std::byte> bytes, Shape shape, uint64_t maxval) {
  Array image = Array::uninitialized(DType::kUint8, std::move(shape));
  const auto out = image.mutable_view<uint8_t>();
  const size_t width = maxval > 255 ? 2 : 1;
  if (maxval == 255) {
    std::memcpy(out.data(), bytes.data(), bytes.size());
    return image;
  }
  for (size_t i = 0; i != out.size(); ++i) {
    uint64_t sample = std::to_integer<uint64_t>(bytes[i * width]);
    if (width == 2) sample = sample << 8 | std::to_integer<uint64_t>(bytes[2 * i + 1]);
    if (sample > maxval)
      return data_loss("a sample of {}, the header says at most {}", sample, maxval);
    out[i] = static_cast<uint8_t>((sample * 255 + maxval / 2) / maxval);
  }
  return image;
}

}  // namespace

Result<Array> decode_pnm(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text[1] != '5' && text[1] != '6') {
    return invalid_argument("P{}: of the PNM formats only binary PGM (P5) and PPM (P6) are read",
                            text[1]);
  }
  Header header(text);
  UMBEL_ASSIGN_OR_RETURN(const uint64_t width, header.next("width"));
  UMBEL_ASSIGN_OR_RETURN(const uint64_t height, header.next("height"));
  UMBEL_ASSIGN_OR_RETURN(const uint64_t maxval, header.next("greatest value"));
  UMBEL_ASSIGN_OR_RETURN(const size_t start, header.end());
  UMBEL_RETURN_IF_ERROR(check_image_size(height, width));
  if (maxval < 1 || maxval > 65535) {
    return invalid_argument("the greatest value is {}, expected 1 to 65535", maxval);
  }
  Shape shape{static_cast<int64_t>(height), static_cast<int64_t>(width)};
  if (text[1] == '6') shape.push_back(3);
  const uint64_t samples = height * width * (text[1] == '6' ? 3 : 1) * (maxval > 255 ? 2 : 1);
  if (bytes.size() - start != samples) {
    return data_loss("{} bytes of samples, {} x {} has {}", bytes.size() - start, width, height,
                     samples);
  }
  return read_samples(bytes.subspan(start), std::move(shape), maxval);
}

}  // namespace umbel::data

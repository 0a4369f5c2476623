#include "umbel/http/chunks.h"

#include <algorithm>
#include <charconv>

namespace umbel::http {

namespace {
constexpr size_t kSizeDigitsMax = 12;
}

Result<Chunks::Next> Chunks::next(std::string_view input) {
  Next next;
  if (in_chunk_ && left_ != 0) {
    next.data = input.substr(0, std::min<uint64_t>(left_, input.size()));
    next.used = next.data.size();
    left_ -= next.used;
    return next;
  }
  if (in_chunk_) {
    if (input.size() < 2) return next;
    if (!input.starts_with("\r\n")) return invalid_argument("a chunk does not end where it should");
    in_chunk_ = false;
    next.used = 2;
    return next;
  }
  const size_t end = input.find('\r');
  const std::string_view digits = input.substr(0, end);
  if (digits.size() > kSizeDigitsMax) return invalid_argument("malformed chunk size");
  if (end == std::string_view::npos || input.size() < end + 2) return next;
  uint64_t size = 0;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + end, size, 16);
  if (error != std::errc() || stop != digits.data() + end || input[end + 1] != '\n') {
    return invalid_argument("malformed chunk size");
  }
  if (size != 0) {
    in_chunk_ = true;
    left_ = size;
    next.used = end + 2;
    return next;
  }
  if (input.size() < end + 4) return next;
  if (input.substr(end + 2, 2) != "\r\n") return invalid_argument("trailers are not taken");
  next.used = end + 4;
  next.end = true;
  return next;
}

}  // namespace umbel::http

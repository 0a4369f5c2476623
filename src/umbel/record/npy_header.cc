#include "umbel/record/npy_header.h"

#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "umbel/base/text.h"
#include "umbel/record/npy_descr.h"

namespace umbel {

namespace {

constexpr std::string_view kMagic("\x93NUMPY", 6);
constexpr size_t kShownMax = 40;  // characters of hostile text in a message

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// Reads the dict from left to right; no nesting, so no recursion.
class DictParser {
 public:
  DictParser(std::string_view text, bool python2) : text_(text), python2_(python2) {}

  Result<NpyHeader> parse() {
    skip(" \t");  // a line end here would make the dict an indented block to Python
    if (peek() != '{') return error("'{'");
    ++at_;
    while (!take('}')) {
      UMBEL_RETURN_IF_ERROR(pair());
      if (take('}')) break;
      UMBEL_RETURN_IF_ERROR(expect(','));
    }
    skip(" \t\f");
    const bool blanks_only = at_ == text_.size();
    skip_space();
    if (at_ != text_.size()) return error("nothing after the dict");
    if (!blanks_only && text_.back() != '\n' && text_.back() != '\r') {
      return invalid_argument("npy header: its last line does not end");
    }
    if (!descr_) return invalid_argument("npy header: key \"descr\" is missing");
    if (!fortran_order_) return invalid_argument("npy header: key \"fortran_order\" is missing");
    if (!shape_) return invalid_argument("npy header: key \"shape\" is missing");
    return NpyHeader{descr_->dtype, descr_->big_endian, *fortran_order_, *std::move(shape_), 0};
  }

 private:
  Status error(std::string_view expected) const {
    const std::string_view rest = text_.substr(at_, kShownMax);
    return invalid_argument("npy header: expected {} at character {}, got \"{}\"", expected, at_,
                            escaped(rest));
  }
  void skip(std::string_view characters) {
    while (at_ != text_.size() && characters.find(text_[at_]) != characters.npos) ++at_;
  }
  void skip_space() { skip(" \t\f\r\n"); }
  bool take(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  Status expect(char c) { return take(c) ? absl::OkStatus() : error(std::string("'") + c + "'"); }
  std::string_view word() {
    skip_space();
    const size_t start = at_;
    while (at_ != text_.size() && is_word(text_[at_])) ++at_;
    return text_.substr(start, at_ - start);
  }

  Status pair() {
    UMBEL_ASSIGN_OR_RETURN(const std::string_view key, string("a key in quotes"));
    UMBEL_RETURN_IF_ERROR(expect(':'));
    if (key == "descr" && !descr_) return descr();
    if (key == "fortran_order" && !fortran_order_) return fortran_order();
    if (key == "shape" && !shape_) return shape();
    const bool known = key == "descr" || key == "fortran_order" || key == "shape";
    return invalid_argument("npy header: key \"{}\" {}", escaped(key.substr(0, kShownMax)),
                            known ? "appears twice" : "is not one of descr, fortran_order, shape");
  }

  Result<std::string_view> string(std::string_view expected) {
    skip_space();
    if (at_ == text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) return error(expected);
    const char quote = text_[at_];
    const size_t end = text_.find(quote, at_ + 1);
    if (end == text_.npos) return error("a string with an end");
    const std::string_view value = text_.substr(at_ + 1, end - at_ - 1);
    for (const char c : value) {
      if (c < 0x20 || c > 0x7e || c == '\\') return error("a string of plain ASCII");
    }
    at_ = end + 1;
    return value;
  }

  Status descr() {
    skip_space();
    if (at_ != text_.size() && (text_[at_] == '[' || text_[at_] == '(')) {
      return invalid_argument("npy header: descr {}: structured elements are not supported",
                              escaped(text_.substr(at_, kShownMax)));
    }
    UMBEL_ASSIGN_OR_RETURN(const std::string_view value, string("descr in quotes"));
    UMBEL_ASSIGN_OR_RETURN(descr_, parse_npy_descr(value));
    return absl::OkStatus();
  }

  Status fortran_order() {
    const size_t start = at_;
    const std::string_view value = word();
    if (value == "True" || value == "False") {
      fortran_order_ = value == "True";
      return absl::OkStatus();
    }
    at_ = start;
    return error("True or False");
  }

  Status shape() {
    UMBEL_RETURN_IF_ERROR(expect('('));
    Shape shape;
    bool comma = true;  // "()" is a tuple, "(3)" is not
    while (!take(')')) {
      if (!comma) return error("',' or ')'");
      if (shape.size() == kNpyRankMax) {
        return invalid_argument("npy header: shape has more than {} dimensions", kNpyRankMax);
      }
      UMBEL_ASSIGN_OR_RETURN(const int64_t extent, integer());
      shape.push_back(extent);
      comma = take(',');
    }
    if (shape.size() == 1 && !comma) {
      return invalid_argument("npy header: shape ({}) is a number, expected a tuple", shape[0]);
    }
    UMBEL_RETURN_IF_ERROR(element_count(shape).status());
    shape_ = std::move(shape);
    return absl::OkStatus();
  }

  // Past the end, a character that fits nowhere.
  char peek() const { return at_ == text_.size() ? '\0' : text_[at_]; }

  Result<int64_t> integer() {
    const bool negative = take('-');
    if (!negative) take('+');
    skip_space();
    const size_t start = at_;
    if (!is_digit(peek())) return error("a whole number");
    uint64_t value = 0;
    while (is_digit(peek())) {
      const auto digit = static_cast<uint64_t>(peek() - '0');
      if (value > (uint64_t{std::numeric_limits<int64_t>::max()} - digit) / 10) {
        return error("an extent below 2^63");
      }
      value = value * 10 + digit;
      ++at_;
      if (peek() == '_' && at_ + 1 != text_.size() && is_digit(text_[at_ + 1])) ++at_;
    }
    if (text_[start] == '0' && value != 0) {
      at_ = start;
      return error("a number without leading zeros");
    }
    UMBEL_RETURN_IF_ERROR(python2_suffix());
    return negative ? -static_cast<int64_t>(value) : static_cast<int64_t>(value);
  }

  // Python 2 wrote long integers as 3L; NumPy still reads them.
  Status python2_suffix() {
    for (;;) {
      const size_t before = at_;
      skip(" \t\f");
      if (!is_word(peek())) return absl::OkStatus();
      if (!python2_ || word() != "L") {
        at_ = before;
        return error("',' or ')'");
      }
    }
  }

  std::string_view text_;
  bool python2_;
  size_t at_ = 0;
  std::optional<NpyDescr> descr_;
  std::optional<bool> fortran_order_;
  std::optional<Shape> shape_;
};

uint32_t little_endian(std::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = bytes.size(); i-- != 0;) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

}  // namespace

Result<NpyHeader> parse_npy_header(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.substr(0, kMagic.size()) != kMagic) {
    return invalid_argument("not an .npy file: it does not start with \\x93NUMPY");
  }
  if (text.size() < kMagic.size() + 2) return invalid_argument("npy: ends before its version");
  const int major = static_cast<uint8_t>(text[6]);
  const int minor = static_cast<uint8_t>(text[7]);
  if (major < 1 || major > 3 || minor != 0) {
    return invalid_argument("npy: format version {}.{}, expected 1.0, 2.0 or 3.0", major, minor);
  }
  const size_t length_bytes = major == 1 ? 2 : 4;
  const size_t start = kMagic.size() + 2 + length_bytes;
  if (text.size() < start) return invalid_argument("npy: ends before its header's length");
  const size_t length = little_endian(text.substr(kMagic.size() + 2, length_bytes));
  if (length > kNpyHeaderTextMax) {
    return invalid_argument("npy: header of {} characters, the limit is {}", length,
                            kNpyHeaderTextMax);
  }
  if (length > text.size() - start) {
    return invalid_argument("npy: header of {} bytes, the file has {} left", length,
                            text.size() - start);
  }
  UMBEL_ASSIGN_OR_RETURN(NpyHeader header,
                         DictParser(text.substr(start, length), major <= 2).parse());
  header.bytes = start + length;
  return header;
}

}  // namespace umbel

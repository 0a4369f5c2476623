#include "umbel/toml/toml_precheck.h"

namespace umbel {

namespace {

constexpr int kDottedKeyPartsMax = 8;
constexpr int kBracketsMax = 16;

bool starts_key(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '"' || c == '\'';
}

// Walks the text as a lexer would.
class Precheck {
 public:
  Precheck(std::string_view text, std::string_view file) : text_(text), file_(file) {}

  Status run() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '#') {
        skip_to_line_end();
      } else if (c == '"' || c == '\'') {
        line_is_blank_ = false;
        skip_string(c);
      } else {
        UMBEL_RETURN_IF_ERROR(step(c));
      }
    }
    return absl::OkStatus();
  }

 private:
  Status step(char c) {
    if (c == '[' && line_is_blank_ && brackets_ == 0) UMBEL_RETURN_IF_ERROR(check_table_name());
    ++at_;
    if (c == '\n') ++line_;
    line_is_blank_ = c == '\n' || (line_is_blank_ && (c == ' ' || c == '\t'));
    if (c == '[' || c == '{') ++brackets_;
    if ((c == ']' || c == '}') && brackets_ > 0) --brackets_;
    if (c == '.') ++dots_;
    if (std::string_view("=,[]{}\n").find(c) != std::string_view::npos) dots_ = 0;
    if (dots_ < kDottedKeyPartsMax && brackets_ <= kBracketsMax) return absl::OkStatus();
    return invalid_argument("{}:{}: nested too deeply; a key has at most {} parts", file_, line_,
                            kDottedKeyPartsMax);
  }
  Status check_table_name() const {
    size_t at = at_ + 1;
    if (at < text_.size() && text_[at] == '[') ++at;
    while (at < text_.size() && (text_[at] == ' ' || text_[at] == '\t')) ++at;
    // The end of the text and an empty name have messages of the parser's own.
    if (at >= text_.size() || text_[at] == ']' || text_[at] == '[' || starts_key(text_[at])) {
      return absl::OkStatus();
    }
    return invalid_argument("{}:{}: expected a table's name after [", file_, line_);
  }
  void skip_to_line_end() {
    while (at_ < text_.size() && text_[at_] != '\n') ++at_;
  }
  void skip_string(char quote) {
    const std::string three(3, quote);
    const bool multi_line = text_.substr(at_, 3) == three;
    for (at_ += multi_line ? 3 : 1; at_ < text_.size(); ++at_) {
      const bool escape = text_[at_] == '\\' && quote == '"' && at_ + 1 < text_.size();
      if (escape && text_[at_ + 1] != '\n') {
        ++at_;
      } else if (text_[at_] == '\n') {
        if (!multi_line) return;  // the parser will say that it is not closed
        ++line_;
      } else if (text_[at_] == quote && (!multi_line || text_.substr(at_, 3) == three)) {
        at_ += multi_line ? 3 : 1;
        return;
      }
    }
  }

  std::string_view text_, file_;
  size_t at_ = 0;
  int line_ = 1, dots_ = 0, brackets_ = 0;
  bool line_is_blank_ = true;
};

}  // namespace

Status precheck_toml(std::string_view text, std::string_view file) {
  return Precheck(text, file).run();
}

}  // namespace umbel

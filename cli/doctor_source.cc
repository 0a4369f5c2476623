#include "doctor_source.h"

#include <fmt/core.h>

#include <algorithm>

namespace umbel::cli {

namespace {

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Walks over a source once and blanks what is no code.
class Blanking {
 public:
  explicit Blanking(Source& source) : source_(source), text_(source.text) {}

  void run() {
    source_.code = text_;
    while (at_ < text_.size()) source_.is_python() ? step_python() : step();
  }

 private:
  void step() {
    if (text_.substr(at_, 2) == "//") return blank(text_.find('\n', at_));
    if (text_.substr(at_, 2) == "/*") return blank(after("*/", at_ + 2));
    const bool starts_word = at_ == 0 || !is_word(text_[at_ - 1]);
    if (text_.substr(at_, 2) == "R\"" && starts_word) return raw();
    if (text_[at_] == '"' || (text_[at_] == '\'' && starts_word)) return quoted(text_[at_]);
    ++at_;
  }
  void step_python() {
    if (text_[at_] == '#') return blank(text_.find('\n', at_));
    for (const std::string_view three : {"\"\"\"", "'''"}) {
      if (text_.substr(at_, 3) != three) continue;
      const size_t begin = at_ + 3, end = std::min(text_.find(three, begin), text_.size());
      at_ = begin;
      literal(begin, end, true);
      at_ = std::min(end + 3, text_.size());
      return;
    }
    if (text_[at_] == '"' || text_[at_] == '\'') return quoted(text_[at_]);
    ++at_;
  }
  size_t after(std::string_view end, size_t from) const {
    const size_t found = text_.find(end, from);
    return found == std::string_view::npos ? found : found + end.size();
  }
  void blank(size_t end) {
    end = std::min(end, text_.size());
    for (; at_ < end; ++at_) {
      if (text_[at_] != '\n') source_.code[at_] = ' ';
    }
  }
  void quoted(char quote) {
    const size_t begin = ++at_;
    size_t end = begin;
    while (end < text_.size() && text_[end] != quote && text_[end] != '\n') {
      end += text_[end] == '\\' ? 2 : 1;
    }
    end = std::min(end, text_.size());
    literal(begin, end, quote == '"' || source_.is_python());
    at_ = end + 1;
  }
  void raw() {
    const size_t open = text_.find('(', at_);
    if (open == std::string_view::npos) return blank(open);
    const std::string close = ")" + std::string(text_.substr(at_ + 2, open - at_ - 2)) + "\"";
    const size_t end = std::min(text_.find(close, open), text_.size());
    at_ = open + 1;
    literal(at_, end, true);
    at_ = std::min(end + close.size(), text_.size());
  }
  void literal(size_t begin, size_t end, bool is_text) {
    if (is_text) source_.literals.push_back({begin, text_.substr(begin, end - begin)});
    blank(end);
  }

  Source& source_;
  std::string_view text_;
  size_t at_ = 0;
};

// The body of the function that `name` names: after its parameters comes a brace.
Extent body_of(const Source& source, std::string_view name) {
  for (size_t at = 0; (at = source.find_word(name, at)) != std::string::npos; at += name.size()) {
    const size_t open = source.code.find_first_not_of(" \n\t", at + name.size());
    if (open == std::string::npos || source.code[open] != '(') continue;
    const std::string_view parameters = source.bracketed(open);
    const size_t next = source.code.find_first_not_of(" \n\t", open + parameters.size());
    if (parameters.empty() || next == std::string::npos || source.code[next] != '{') continue;
    return {next, next + source.bracketed(next).size()};
  }
  return {};
}

Extent argument_of(const Source& source, size_t open) {
  const std::string_view all = source.bracketed(open);
  const size_t first = all.find_first_not_of("( \n\t&");
  if (first == std::string_view::npos) return {};
  if (all[first] == '[') return {open, open + all.size()};
  size_t end = first;
  while (end < all.size() && is_word(all[end])) ++end;
  return end == first ? Extent{} : body_of(source, all.substr(first, end - first));
}

}  // namespace

Source::Source(std::string source_path, std::string source_text)
    : path(std::move(source_path)), text(std::move(source_text)) {
  Blanking(*this).run();
}

int Source::line_of(size_t at) const {
  const auto end = text.begin() + static_cast<ptrdiff_t>(std::min(at, text.size()));
  return 1 + static_cast<int>(std::count(text.begin(), end, '\n'));
}

std::string Source::place(size_t at) const { return fmt::format("{}:{}", path, line_of(at)); }

size_t Source::find_word(std::string_view word, size_t from) const {
  for (size_t at = from; (at = code.find(word, at)) != std::string::npos; ++at) {
    const size_t end = at + word.size();
    const bool whole =
        (at == 0 || !is_word(code[at - 1])) && (end == code.size() || !is_word(code[end]));
    if (whole) return at;
  }
  return std::string::npos;
}

std::string_view Source::bracketed(size_t open) const {
  const char opening = code[open], closing = opening == '(' ? ')' : opening == '[' ? ']' : '}';
  size_t depth = 0;
  for (size_t at = open; at < code.size(); ++at) {
    if (code[at] == opening) ++depth;
    if (code[at] == closing && --depth == 0) {
      return std::string_view(code).substr(open, at + 1 - open);
    }
  }
  return {};
}

std::vector<Extent> client_code(const Source& source) {
  std::vector<Extent> extents;
  if (source.find_word("ClientApp") == std::string::npos) return extents;
  for (const std::string_view action : {".train", ".evaluate", ".query"}) {
    for (size_t at = 0; (at = source.code.find(action, at)) != std::string::npos;) {
      at += action.size();
      if (at >= source.code.size() || source.code[at] != '(') continue;
      const Extent extent = argument_of(source, at);
      if (extent.end > extent.begin) extents.push_back(extent);
    }
  }
  return extents;
}

}  // namespace umbel::cli

// From a parsed head to what handlers get: path, query, bearer and range.

#include <charconv>
#include <optional>

#include "umbel/http/head.h"

namespace umbel::http {

namespace {

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Percent-escapes undone; nothing if one is malformed or hides a control character.
std::optional<std::string> unescaped(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i != text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    if (i + 2 >= text.size() || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0) {
      return std::nullopt;
    }
    const int byte = digit(text[i + 1]) * 16 + digit(text[i + 2]);
    if (byte < 0x20 || byte == 0x7f) return std::nullopt;
    plain += static_cast<char>(byte);
    i += 2;
  }
  return plain;
}

bool climbs(std::string_view path) {
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part == "." || part == "..") return true;
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return false;
}

bool hides_slash(std::string_view path) {
  return path.find("%2f") != path.npos || path.find("%2F") != path.npos ||
         path.find("%5c") != path.npos || path.find("%5C") != path.npos ||
         path.find('\\') != path.npos;
}

std::optional<uint64_t> number(std::string_view text) {
  uint64_t value = 0;
  if (text.empty() || text.size() > 18) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string RequestHead::query_value(std::string_view key) const {
  std::string_view rest = query;
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const size_t equals = pair.find('=');
    if (pair.substr(0, equals) == key && equals != std::string_view::npos) {
      return unescaped(pair.substr(equals + 1)).value_or("");
    }
  }
  return "";
}

Result<RequestHead> request_head(const ParsedRequest& request) {
  RequestHead head;
  head.method = request.method;
  const std::string_view target = request.target;
  const size_t question = target.find('?');
  const std::string_view path = target.substr(0, question);
  if (question != std::string_view::npos) head.query = target.substr(question + 1);
  std::optional<std::string> plain = unescaped(path);
  if (!plain || hides_slash(path) || climbs(*plain) || !unescaped(head.query)) {
    return invalid_argument("malformed target");
  }
  head.path = *std::move(plain);
  head.content_length = request.framing.length;

  const size_t authorizations = request.fields.count("authorization");
  if (authorizations > 1) return invalid_argument("several authorization headers");
  const std::string_view bearer = request.fields.value("authorization");
  if (bearer.size() > 7 && same_word(bearer.substr(0, 7), "bearer ")) {
    head.bearer = bearer.substr(7);
  }

  const std::string_view range = request.fields.value("range");
  if (request.fields.count("range") == 1 && range.starts_with("bytes=")) {
    const size_t dash = range.find('-');
    const std::string_view last =
        dash == std::string_view::npos ? std::string_view() : range.substr(dash + 1);
    const auto first = number(range.substr(6, dash == std::string_view::npos ? 0 : dash - 6));
    const auto end = number(last);
    // A range that is malformed is as if it were not there (RFC 9110, section 14.2).
    if (first && (last.empty() || (end && *end >= *first))) head.range = {*first, end};
  }
  return head;
}

}  // namespace umbel::http

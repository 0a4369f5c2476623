#include "umbel/http/head.h"

#include <algorithm>
#include <charconv>

#include "umbel/base/text.h"

namespace umbel::http {

namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

bool is_field_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
  });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes a line off the front; the head is known to end with an empty one.
Result<std::string_view> take_line(std::string_view& rest) {
  const size_t end = rest.find_first_of(std::string_view("\r\n\0", 3));
  if (end == std::string_view::npos || rest.substr(end, 2) != "\r\n") {
    return invalid_argument("a line of the head does not end with CR LF");
  }
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end + 2);
  return line;
}

Result<Fields> parse_fields(std::string_view rest) {
  Fields fields;
  while (true) {
    UMBEL_ASSIGN_OR_RETURN(const std::string_view line, take_line(rest));
    if (line.empty()) break;
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
      return invalid_argument("malformed header line \"{}\"", escaped(line.substr(0, 80)));
    }
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (!is_field_text(value)) return invalid_argument("control characters in a header");
    if (fields.all.size() == kHeadFieldsMax) {
      return invalid_argument("more than {} headers", kHeadFieldsMax);
    }
    std::string name(line.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(), lower);
    fields.all.emplace_back(std::move(name), std::string(value));
  }
  if (!rest.empty()) return invalid_argument("an empty line in the head");
  return fields;
}

template <class Number>
bool parse_number(std::string_view text, Number& number) {
  if (text.empty() || text.size() > 18) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && text.front() != '-';
}

Result<Framing> parse_framing(const Fields& fields, int minor) {
  Framing framing;
  const size_t lengths = fields.count("content-length");
  if (fields.count("transfer-encoding") != 0) {
    if (fields.count("transfer-encoding") != 1 || lengths != 0 || minor != 1 ||
        !same_word(fields.value("transfer-encoding"), "chunked")) {
      return invalid_argument("transfer-encoding: only \"chunked\" alone, without content-length");
    }
    framing.chunked = true;
    return framing;
  }
  if (lengths == 0) return framing;
  uint64_t length = 0;
  if (lengths != 1 || !parse_number(fields.value("content-length"), length)) {
    return invalid_argument("content-length: one whole number is expected");
  }
  framing.length = length;
  return framing;
}

Result<int> parse_version(std::string_view text) {
  if (text == "HTTP/1.1") return 1;
  if (text == "HTTP/1.0") return 0;
  return invalid_argument("\"{}\": HTTP/1.1 is spoken here", escaped(text.substr(0, 40)));
}

bool keeps_alive(const Fields& fields, int minor) {
  return minor == 1 && !fields.lists("connection", "close");
}

}  // namespace

bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

size_t Fields::count(std::string_view name) const {
  return static_cast<size_t>(std::count_if(all.begin(), all.end(),
                                           [&](const auto& field) { return field.first == name; }));
}

std::string_view Fields::value(std::string_view name) const {
  for (const auto& [key, value] : all) {
    if (key == name) return value;
  }
  return {};
}

bool Fields::lists(std::string_view name, std::string_view word) const {
  for (const auto& [key, value] : all) {
    if (key != name) continue;
    std::string_view rest = value;
    while (true) {
      const size_t comma = rest.find(',');
      if (same_word(trimmed(rest.substr(0, comma)), word)) return true;
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return false;
}

std::optional<size_t> head_end(std::string_view text) {
  const size_t end = text.find("\r\n\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  return end + 4;
}

Result<ParsedRequest> parse_request(std::string_view head) {
  UMBEL_ASSIGN_OR_RETURN(const std::string_view line, take_line(head));
  const size_t first = line.find(' '), last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    return invalid_argument("malformed request line");
  }
  ParsedRequest request;
  request.method = line.substr(0, first);
  request.target = line.substr(first + 1, last - first - 1);
  if (!is_token(request.method) || request.method.size() > 16) {
    return invalid_argument("malformed method");
  }
  const bool printable = std::all_of(request.target.begin(), request.target.end(),
                                     [](char c) { return c > 0x20 && c < 0x7f && c != '#'; });
  if (!printable || !request.target.starts_with('/')) {
    return invalid_argument("a target that starts with \"/\" is expected");
  }
  UMBEL_ASSIGN_OR_RETURN(request.minor, parse_version(line.substr(last + 1)));
  UMBEL_ASSIGN_OR_RETURN(request.fields, parse_fields(head));
  const size_t hosts = request.fields.count("host");
  if (hosts > 1 || (hosts == 0 && request.minor == 1)) {
    return invalid_argument("one host header is expected, {} came", hosts);
  }
  UMBEL_ASSIGN_OR_RETURN(request.framing, parse_framing(request.fields, request.minor));
  request.keep_alive = keeps_alive(request.fields, request.minor);
  return request;
}

Result<ParsedReply> parse_reply(std::string_view head) {
  UMBEL_ASSIGN_OR_RETURN(const std::string_view line, take_line(head));
  ParsedReply reply;
  UMBEL_ASSIGN_OR_RETURN(const int minor, parse_version(line.substr(0, 8)));
  if (line.size() < 12 || line[8] != ' ' || !parse_number(line.substr(9, 3), reply.code) ||
      reply.code < 100 || (line.size() > 12 && line[12] != ' ') || !is_field_text(line)) {
    return invalid_argument("malformed status line \"{}\"", escaped(line.substr(0, 80)));
  }
  UMBEL_ASSIGN_OR_RETURN(reply.fields, parse_fields(head));
  UMBEL_ASSIGN_OR_RETURN(reply.framing, parse_framing(reply.fields, minor));
  reply.keep_alive = keeps_alive(reply.fields, minor);
  return reply;
}

}  // namespace umbel::http

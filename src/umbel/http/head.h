#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "umbel/http/server.h"

namespace umbel::http {

inline constexpr size_t kHeadBytesMax = 16 << 10;
inline constexpr size_t kHeadFieldsMax = 100;

// The fields of a head (RFC 9112, section 5), names in lower case, in their order.
struct Fields {
  std::vector<std::pair<std::string, std::string>> all;
  size_t count(std::string_view name) const;
  std::string_view value(std::string_view name) const;  // the first one's; "" if there is none
  // Whether the comma-separated list `name` has `word`, in any case of letters.
  bool lists(std::string_view name, std::string_view word) const;
};

// How long a body is.
struct Framing {
  bool chunked = false;
  std::optional<uint64_t> length;
};

struct ParsedRequest {
  std::string method;
  std::string target;
  int minor = 1;  // of HTTP/1.x
  Fields fields;
  Framing framing;
  bool keep_alive = true;
};
struct ParsedReply {
  int code = 0;
  Fields fields;
  Framing framing;
  bool keep_alive = true;
};

// Where a head ends in what has come so far (behind its empty line); nothing if more is needed.
std::optional<size_t> head_end(std::string_view text);

// A whole head, up to and with its empty line.  Strict: what two parsers might read in two ways is
// INVALID_ARGUMENT (line ends but CRLF, folded lines, spaces before a colon, control characters,
// two lengths or a length beside chunks, other transfer encodings, several hosts).
Result<ParsedRequest> parse_request(std::string_view head);
Result<ParsedReply> parse_reply(std::string_view head);

// What handlers get: the target split and unescaped.
Result<RequestHead> request_head(const ParsedRequest& request);

bool same_word(std::string_view a, std::string_view b);  // ASCII, any case

}  // namespace umbel::http

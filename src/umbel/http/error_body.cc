#include "umbel/http/error_body.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "umbel/base/text.h"
#include "umbel/http/server.h"

namespace umbel::http {

namespace {

constexpr size_t kErrorTextMax = 4096;

struct Code {
  absl::StatusCode status;
  int http;
  std::string_view name;
};
using enum absl::StatusCode;
// The first entry of an HTTP code is what it stands for without a name.
constexpr std::array<Code, 16> kCodes = {{
    {kInvalidArgument, 400, "invalid-argument"},
    {kUnauthenticated, 401, "unauthenticated"},
    {kPermissionDenied, 403, "permission-denied"},
    {kNotFound, 404, "not-found"},
    {kAlreadyExists, 409, "already-exists"},
    {kFailedPrecondition, 412, "failed-precondition"},
    {kOutOfRange, 416, "out-of-range"},
    {kResourceExhausted, 429, "resource-exhausted"},
    {kCancelled, 499, "cancelled"},
    {kUnimplemented, 501, "unimplemented"},
    {kUnavailable, 503, "unavailable"},
    {kDeadlineExceeded, 504, "deadline-exceeded"},
    {kInternal, 500, "internal"},
    {kDataLoss, 500, "data-loss"},
    {kAborted, 500, "aborted"},
    {kUnknown, 500, "unknown"},
}};

struct Phrase {
  int code;
  std::string_view text;
};
constexpr std::array<Phrase, 25> kPhrases = {{
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
}};

}  // namespace

int http_code(absl::StatusCode code) {
  if (code == kOk) return 200;
  const auto* found = std::find_if(kCodes.begin(), kCodes.end(),
                                   [&](const Code& entry) { return entry.status == code; });
  return found == kCodes.end() ? 500 : found->http;
}

absl::StatusCode status_code(int http_code) {
  if (http_code >= 200 && http_code < 300) return kOk;
  const auto* found = std::find_if(kCodes.begin(), kCodes.end(),
                                   [&](const Code& entry) { return entry.http == http_code; });
  if (found != kCodes.end()) return found->status;
  switch (http_code) {
    case 408:
      return kDeadlineExceeded;
    case 413:
    case 431:
      return kResourceExhausted;
    case 502:
      return kUnavailable;
    default:
      return http_code >= 400 && http_code < 500 ? kInvalidArgument : kUnknown;
  }
}

Response error_response(const Status& status) {
  const auto* found = std::find_if(kCodes.begin(), kCodes.end(), [&](const Code& entry) {
    return entry.status == status.code();
  });
  const nlohmann::json body = {{"error", message_of(status)},
                               {"code", found == kCodes.end() ? "unknown" : found->name}};
  Response response;
  response.code = status.ok() ? 500 : http_code(status.code());
  response.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  return response;
}

Status status_of(int http_code, std::string_view body) {
  if (http_code >= 200 && http_code < 300) return absl::OkStatus();
  absl::StatusCode code = status_code(http_code);
  const auto json = nlohmann::json::parse(body, nullptr, false);
  if (!json.is_object() || !json.contains("error") || !json["error"].is_string()) {
    return Status(code,
                  fmt::format("the server answered {} {}", http_code, reason_phrase(http_code)));
  }
  if (json.contains("code") && json["code"].is_string()) {
    const auto& name = json["code"].get_ref<const std::string&>();
    const auto* found = std::find_if(kCodes.begin(), kCodes.end(),
                                     [&](const Code& entry) { return entry.name == name; });
    if (found != kCodes.end()) code = found->status;
  }
  return Status(code,
                escaped(json["error"].get_ref<const std::string&>().substr(0, kErrorTextMax)));
}

std::string_view reason_phrase(int http_code) {
  const auto* found = std::find_if(kPhrases.begin(), kPhrases.end(),
                                   [&](const Phrase& phrase) { return phrase.code == http_code; });
  return found == kPhrases.end() ? "Status" : found->text;
}

}  // namespace umbel::http

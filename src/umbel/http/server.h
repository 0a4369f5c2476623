#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "umbel/base/shared_blob.h"
#include "umbel/base/status.h"
#include "umbel/http/identity.h"
#include "umbel/http/session.h"

namespace umbel::http {

// What came before a request's body.
struct RequestHead {
  std::string method;  // "GET"
  std::string path;    // without the query; percent-escapes undone; no "..", no control characters
  std::string query;   // "after=3&wait=30"
  std::string bearer;  // of "Authorization: Bearer TOKEN"; or ""
  std::optional<uint64_t> content_length;
  std::optional<std::pair<uint64_t, std::optional<uint64_t>>>
      range;  // first and last byte asked for
  std::string peer;
  std::string certificate_sha256;                       // as Session::certificate_sha256()
  std::string query_value(std::string_view key) const;  // "" if it is not there
};

struct Response {
  int code = 200;
  std::string type = "application/json";
  std::string body;
  // Instead of `body`: bytes [first, first + count) of an open file, sent as they are read.
  struct Part {
    std::shared_ptr<const Descriptor> file;
    uint64_t first = 0, count = 0;
    uint64_t total = 0;  // for Content-Range, with code 206
  };
  std::optional<Part> part;
};
// {"error": "...", "code": "not-found"} under the HTTP code of that Status: INVALID_ARGUMENT 400,
// UNAUTHENTICATED 401, PERMISSION_DENIED 403, NOT_FOUND 404, ALREADY_EXISTS 409,
// FAILED_PRECONDITION 412, OUT_OF_RANGE 416, RESOURCE_EXHAUSTED 429, CANCELLED 499, UNIMPLEMENTED
// 501, UNAVAILABLE 503, DEADLINE_EXCEEDED 504, others 500.
Response error_response(const Status& status);
int http_code(absl::StatusCode code);
absl::StatusCode status_code(int http_code);

// Answers one request, now or later, from any thread.  Destroyed unused it answers 500.
class Responder {
 public:
  virtual ~Responder() = default;
  virtual void respond(Response response) = 0;
};

// One request on its way.  Calls come one at a time.
class Call {
 public:
  virtual ~Call() = default;  // before finish(): the connection broke, or the body was too long
  // More of the body than this is 413 before it is read.
  virtual uint64_t body_max() const { return 0; }
  // The body as it arrives, in pieces of up to 1 MiB.  An error is answered at once and the
  // connection closed.
  virtual Status take(std::span<const std::byte> piece);
  virtual void finish(std::shared_ptr<Responder> responder) = 0;
};
// The usual call: a body of up to `body_max` bytes kept together, then `answer`.
std::unique_ptr<Call> simple_call(uint64_t body_max,
                                  std::function<Response(std::string body)> answer);
std::unique_ptr<Call> answered(Response response);

// What a server serves.  Calls from the server's threads, several at once.
class Handler {
 public:
  virtual ~Handler() = default;
  // Before any byte of the body is read: who may not, or asks for nothing that is there, is refused
  // here.
  virtual std::unique_ptr<Call> begin(const RequestHead& head) = 0;
  // A WebSocket upgrade.  The session is usable from the listener's first call on; the listener is
  // kept until closed() has been called.  An error is answered as HTTP.
  virtual Result<std::shared_ptr<SessionListener>> open(const RequestHead& head,
                                                        std::shared_ptr<Session> session) = 0;
};

struct ServerOptions {
  std::string address = "0.0.0.0";
  uint16_t port = 9092;              // 0: any free one
  std::optional<Identity> identity;  // none: without TLS
  size_t threads = 2;
  size_t connections_max = 15'000;
  size_t connections_per_address_max = 10'000;
  std::chrono::seconds handshake_timeout{10};  // TLS, and each request's head
  std::chrono::seconds idle_timeout{60};   // a connection between requests, or a body that stalls
  std::chrono::seconds ping_interval{30};  // of sessions; one that misses two is closed
  std::string websocket_protocol = "umbel.v1";
};

// Serves HTTP/1.1 and WebSocket on one port, with TLS 1.2 and 1.3.
class Server {
 public:
  // Listens; UNAVAILABLE that names the address and who has it if it is taken.
  static Result<std::unique_ptr<Server>> start(ServerOptions options, Handler& handler);
  virtual ~Server() = default;  // as stop()
  virtual uint16_t port() const = 0;
  virtual size_t connections() const = 0;
  // Takes no further connections, closes those there are, and joins the threads.
  virtual void stop() = 0;
};

}  // namespace umbel::http

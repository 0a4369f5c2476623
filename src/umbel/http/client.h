#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "umbel/http/identity.h"
#include "umbel/http/session.h"

namespace umbel::http {

// Where a server is, and why to believe it.
struct Endpoint {
  std::string host;
  uint16_t port = 9092;
  Trust trust;
  std::string text() const;  // "hub.example.org:9092", "[::1]:9092"
};
// "HOST", "HOST:PORT", "[ADDRESS]:PORT"
Result<Endpoint> parse_endpoint(std::string_view text, Trust trust);

// A connection over which requests are made, one after another, each waited for; opened when it is
// first needed and again when it broke between two requests.  Redirects are never followed.  One
// thread at a time, but for cancel().
class Client {
 public:
  struct Options {
    std::chrono::seconds connect_timeout{10};
    std::chrono::seconds stall_timeout{60};  // without a byte moving
  };
  Client(Endpoint endpoint, Options options);
  explicit Client(Endpoint endpoint) : Client(std::move(endpoint), Options()) {}
  ~Client();

  // Goes into every request from now on.
  void set_bearer(std::string token);
  // SHA-256 of the certificate that the server showed (32 bytes); connects if need be.
  Result<std::string> certificate_sha256();

  struct Reply {
    int code = 0;
    std::string body;
    // OK for 2xx; otherwise the Status that error_response() was made of.
    Status status() const;
  };
  // UNAVAILABLE if the server cannot be reached or the connection breaks, UNAUTHENTICATED if its
  // certificate is not to be trusted: with the reason.  Bodies of answers up to `reply_max`.
  // `patience` is added to the stall timeout: for answers that the server holds back.
  Result<Reply> request(std::string_view method, std::string_view target,
                        std::string_view body = {}, std::string_view type = "application/json",
                        std::chrono::seconds patience = std::chrono::seconds(0),
                        size_t reply_max = size_t{64} << 20);

  // GET of bytes [first, end); `take` gets them as they come.  Returns how many came; fewer only
  // with an error from `take`, or when the connection broke: then `broken` has the reason.
  struct Moved {
    uint64_t bytes = 0;
    Status status;
  };
  using Take = std::function<Status(std::span<const std::byte>)>;
  Moved download(std::string_view target, uint64_t first, std::optional<uint64_t> end,
                 const Take& take);

  // Sends `bytes` bytes that `give` fills in (it must fill what it is given), and waits for the
  // reply.
  using Give = std::function<Status(std::span<std::byte>)>;
  Result<Reply> upload(std::string_view method, std::string_view target, uint64_t bytes,
                       const Give& give);

  // Ends the call that is being made, and all later ones, with CANCELLED.  Any thread.
  void cancel();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Sessions opened from here: one thread moves the bytes of all of them.
class SessionClient {
 public:
  SessionClient();
  ~SessionClient();  // closes what is open

  // Opens a WebSocket at `target`, in the background: the listener hears of it by opened(), or by
  // closed() with the reason (codes as Client::request).
  class Listener : public SessionListener {
   public:
    virtual void opened(std::shared_ptr<Session> session) = 0;
  };
  void open(const Endpoint& endpoint, std::string target, std::shared_ptr<Listener> listener);

  // Runs `call` on the thread of the sessions, after `delay`.
  void after(std::chrono::milliseconds delay, std::function<void()> call);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace umbel::http

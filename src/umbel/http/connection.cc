#include "umbel/http/connection.h"

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "umbel/base/check.h"
#include "umbel/http/call.h"
#include "umbel/http/dial.h"
#include "umbel/http/websocket_session.h"

namespace umbel::http {

Connection::Connection(std::shared_ptr<ServerCore> core, AsyncStream stream, Registry::Place place,
                       std::string peer)
    : core_(std::move(core)),
      stream_(std::move(stream)),
      place_(std::move(place)),
      peer_(std::move(peer)),
      pause_(stream_.get_executor(), SteadyTime::max()) {}

void Connection::start() {
  place_.take(weak_from_this());
  asio::co_spawn(
      executor(), [self = shared_from_this()]() -> Awaitable<void> { return self->serve(); },
      asio::detached);
}

void Connection::expire() {
  asio::post(executor(), [self = shared_from_this()] {
    if (!self->past(std::chrono::steady_clock::now())) return;
    self->expired_ = true;
    error_code ignored;
    self->stream_.socket().cancel(ignored);
  });
}

void Connection::drop() {
  asio::post(executor(), [self = shared_from_this()] {
    if (self->handed_over_) return;
    self->dropped_ = true;
    error_code ignored;
    self->stream_.socket().cancel(ignored);
    self->wake();
  });
}

void Connection::within(std::chrono::milliseconds limit) {
  expired_ = false;
  set_deadline(std::chrono::steady_clock::now() + limit);
}

Connection::Awaitable<bool> Connection::wait(Want want) {
  if (expired_ || dropped_) co_return false;
  error_code code;
  co_await stream_.socket().async_wait(
      want == Want::kWrite ? asio::ip::tcp::socket::wait_write : asio::ip::tcp::socket::wait_read,
      asio::redirect_error(asio::use_awaitable, code));
  co_return !code && !expired_ && !dropped_;
}

Step Connection::read_more() {
  std::array<std::byte, kHeadBytesMax> piece;
  Step step = stream_.transport().read(piece);
  in_.append(reinterpret_cast<const char*>(piece.data()), step.bytes);
  return step;
}

Connection::Awaitable<void> Connection::serve() {
  bool goes_on = co_await handshake();
  for (bool first = true; goes_on; first = false) {
    if (in_.empty()) std::string().swap(in_);
    const std::optional<ParsedRequest> request = co_await next_request(first);
    if (!request) break;
    goes_on = co_await answer(*request);
  }
  no_deadline();
  if (!handed_over_) {
    stream_.finish();
    stream_.close();
  }
}

Connection::Awaitable<bool> Connection::handshake() {
  within(core_->options.handshake_timeout);
  while (true) {
    const Step step = stream_.transport().handshake();
    if (step.want == Want::kNothing) co_return step.more();
    const bool ready = co_await wait(step.want);
    if (!ready) co_return false;
  }
}

Connection::Awaitable<std::optional<ParsedRequest>> Connection::next_request(bool first) {
  const ServerOptions& options = core_->options;
  bool begun = !in_.empty();
  within(first || begun ? options.handshake_timeout : options.idle_timeout);
  while (true) {
    const std::optional<size_t> end = head_end(in_);
    const size_t line = in_.find('\n');
    const bool bare = line != std::string::npos && (line == 0 || in_[line - 1] != '\r');
    if ((end && *end > kHeadBytesMax) || (!end && in_.size() > kHeadBytesMax)) {
      co_await refuse(431, resource_exhausted("a head of at most {} bytes", kHeadBytesMax));
      co_return std::nullopt;
    }
    if (end || bare) {
      Result<ParsedRequest> request =
          parse_request(std::string_view(in_).substr(0, end.value_or(in_.size())));
      if (request.ok()) {
        in_.erase(0, *end);
        co_return *std::move(request);
      }
      co_await refuse(400, request.status());
      co_return std::nullopt;
    }
    const Step step = read_more();
    if (step.want == Want::kNothing && !step.more()) co_return std::nullopt;
    if (step.bytes != 0) {
      if (!std::exchange(begun, true)) within(options.handshake_timeout);
      continue;
    }
    const bool ready = co_await wait(step.want);
    if (ready) continue;
    if (expired_ && begun) {
      co_await refuse(408, absl::DeadlineExceededError("the request's head came too slowly"));
    }
    co_return std::nullopt;
  }
}

Connection::Awaitable<bool> Connection::answer(const ParsedRequest& request) {
  Result<RequestHead> head = request_head(request);
  if (!head.ok()) {
    co_await refuse(400, head.status());
    co_return false;
  }
  head->peer = peer_;
  head->certificate_sha256 = core_->certificate_sha256;
  no_deadline();
  if (request.fields.count("upgrade") != 0) {
    const bool goes_on = co_await upgrade(request, *head);
    co_return goes_on;
  }
  std::unique_ptr<Call> call = core_->handler.begin(*head);
  UMBEL_CHECK(call != nullptr);
  const bool has_body = request.framing.chunked || request.framing.length.value_or(0) != 0;
  const bool head_only = request.method == "HEAD";
  if (auto* refused = dynamic_cast<Answered*>(call.get()); refused != nullptr && has_body) {
    // Nobody wants the body; it is not read, so that this connection cannot be used on.
    co_await send(std::move(refused->response), head_only, false);
    co_await linger();
    co_return false;
  }
  if (has_body) {
    const Body body = co_await read_body(*call, request);
    if (body == Body::kRefused) {
      call.reset();
      co_await send(*std::exchange(response_, std::nullopt), head_only, false);
      co_await linger();
    }
    if (body != Body::kWhole) co_return false;
  }
  const bool answered = co_await hear_answer(*call);
  call.reset();
  if (!answered) co_return false;
  const bool sent =
      co_await send(*std::exchange(response_, std::nullopt), head_only, request.keep_alive);
  co_return sent&& request.keep_alive;
}

Connection::Awaitable<bool> Connection::upgrade(const ParsedRequest& request,
                                                const RequestHead& head) {
  const Fields& fields = request.fields;
  const std::string key(fields.value("sec-websocket-key"));
  const bool proper = request.method == "GET" && request.minor == 1 &&
                      same_word(fields.value("upgrade"), "websocket") &&
                      fields.lists("connection", "upgrade") && key.size() == 24 &&
                      fields.value("sec-websocket-version") == "13" && !request.framing.chunked &&
                      request.framing.length.value_or(0) == 0 && in_.empty();
  if (!proper || !fields.lists("sec-websocket-protocol", core_->options.websocket_protocol)) {
    co_await refuse(400, invalid_argument("upgrade: only to WebSocket (version 13) with {}",
                                          core_->options.websocket_protocol));
    co_return false;
  }
  WebSocketSession::Options options;
  options.peer = peer_;
  options.certificate_sha256 = core_->certificate_sha256;
  options.protocol = core_->options.websocket_protocol;
  options.handshake_timeout = core_->options.handshake_timeout;
  options.ping_interval = core_->options.ping_interval;
  const auto session = std::make_shared<WebSocketSession>(core_, stream_, std::move(options));
  Result<std::shared_ptr<SessionListener>> listener = core_->handler.open(head, session);
  if (!listener.ok()) {
    session->abandon();
    co_await send(error_response(listener.status()), false, request.keep_alive);
    co_return request.keep_alive;
  }
  handed_over_ = true;
  session->accept(request.target, key, *std::move(listener), std::move(place_));
  co_return false;
}

}  // namespace umbel::http

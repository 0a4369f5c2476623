#include "umbel/http/websocket_session.h"

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <utility>

#include "umbel/base/text.h"
#include "umbel/http/error_body.h"

namespace umbel::http {

namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;

namespace {

constexpr size_t kKeptBufferBytesMax = 16 << 10;
constexpr size_t kMaskBytes = 16 << 10;  // one TLS record
constexpr size_t kReasonBytesMax = 120;

}  // namespace

struct WebSocketSession::Socket {
  explicit Socket(AsyncStream stream) : websocket(std::move(stream)) {}
  websocket::stream<AsyncStream> websocket;
  beast::flat_buffer buffer;
  websocket::response_type response;
};

WebSocketSession::WebSocketSession(std::shared_ptr<void> owner, AsyncStream stream, Options options)
    : owner_(std::move(owner)),
      options_(std::move(options)),
      stream_(std::move(stream)),
      strand_(stream_.get_executor()) {}

WebSocketSession::~WebSocketSession() = default;

void WebSocketSession::begin(std::shared_ptr<SessionListener> listener, Registry::Place place) {
  listener_ = std::move(listener);
  place_ = std::move(place);
  place_.take(weak_from_this());
  socket_ = std::make_unique<Socket>(stream_);
  auto& socket = socket_->websocket;
  websocket::stream_base::timeout timeout{};
  timeout.handshake_timeout = options_.handshake_timeout;
  timeout.idle_timeout = 2 * options_.ping_interval;  // Beast pings at half of it
  timeout.keep_alive_pings = true;
  socket.set_option(timeout);
  socket.binary(true);
  socket.auto_fragment(false);
  socket.write_buffer_bytes(kMaskBytes);
  socket.read_message_max(message_max_);
}

void WebSocketSession::accept(const std::string& target, const std::string& key,
                              std::shared_ptr<SessionListener> listener, Registry::Place place) {
  namespace http = boost::beast::http;
  begin(std::move(listener), std::move(place));
  http::request<http::empty_body> request{http::verb::get, target, 11};
  request.set(http::field::host, "umbel");
  request.set(http::field::connection, "Upgrade");
  request.set(http::field::upgrade, "websocket");
  request.set(http::field::sec_websocket_version, "13");
  request.set(http::field::sec_websocket_key, key);
  socket_->websocket.set_option(websocket::stream_base::decorator(
      [protocol = options_.protocol](websocket::response_type& response) {
        response.set(http::field::sec_websocket_protocol, protocol);
        response.set(http::field::server, "umbel");
      }));
  socket_->websocket.async_accept(request, [self = shared_from_this()](error_code code) {
    code ? self->ended(code) : self->opened();
  });
}

void WebSocketSession::connect(const std::string& host, const std::string& target,
                               std::shared_ptr<SessionListener> listener, Registry::Place place,
                               std::function<void()> opened) {
  namespace http = boost::beast::http;
  begin(std::move(listener), std::move(place));
  socket_->websocket.set_option(websocket::stream_base::decorator(
      [protocol = options_.protocol](websocket::request_type& request) {
        request.set(http::field::sec_websocket_protocol, protocol);
        request.set(http::field::user_agent, "umbel");
      }));
  socket_->websocket.async_handshake(
      socket_->response, host, target,
      [self = shared_from_this(), opened = std::move(opened)](error_code code) {
        const auto& response = self->socket_->response;
        if (code == websocket::error::upgrade_declined) {
          const int answer = static_cast<int>(response.result_int());
          self->failure_ = answer >= 200 && answer < 300
                               ? unavailable("it answered {} to a WebSocket upgrade", answer)
                               : umbel::http::status_of(answer, response.body());
        } else if (!code &&
                   response[http::field::sec_websocket_protocol] != self->options_.protocol) {
          self->failure_ = unavailable("it does not speak {}", self->options_.protocol);
          code = websocket::error::upgrade_declined;
        }
        if (code) return self->ended(code);
        opened();
        self->opened();
      });
}

void WebSocketSession::abandon() {
  const absl::MutexLock lock(&mutex_);
  closing_ = true;
  queue_.clear();
}

void WebSocketSession::opened() {
  read_next();
  write_next();
}

void WebSocketSession::read_next() {
  socket_->websocket.async_read(socket_->buffer,
                                [self = shared_from_this()](error_code code, size_t) {
                                  code ? self->ended(code) : self->received();
                                });
}

void WebSocketSession::received() {
  if (ended_) return;
  if (!socket_->websocket.got_binary()) {
    fail(invalid_argument("a text message came, only binary ones are expected"));
  } else {
    beast::flat_buffer& buffer = socket_->buffer;
    listener_->received({static_cast<const std::byte*>(buffer.data().data()), buffer.size()});
    buffer.clear();
    if (buffer.capacity() > kKeptBufferBytesMax) buffer.shrink_to_fit();
  }
  read_next();
}

bool WebSocketSession::send(std::string message) {
  const absl::MutexLock lock(&mutex_);
  if (closing_) return false;
  if (queued_bytes_ + message.size() > kSessionQueueBytesMax) {
    closing_ = true;
    asio::post(strand_, [self = shared_from_this()] {
      self->fail(unavailable("more than {} bytes wait to be sent: the other end does not read",
                             kSessionQueueBytesMax));
    });
    return false;
  }
  queued_bytes_ += message.size();
  queue_.push_back(std::move(message));
  if (!std::exchange(busy_, true)) {
    asio::post(strand_, [self = shared_from_this()] { self->write_next(); });
  }
  return true;
}

void WebSocketSession::close(std::string reason) {
  const absl::MutexLock lock(&mutex_);
  if (closing_) return;
  closing_ = true;
  reason_ = escaped(reason).substr(0, kReasonBytesMax);
  if (!std::exchange(busy_, true)) {
    asio::post(strand_, [self = shared_from_this()] { self->write_next(); });
  }
}

void WebSocketSession::write_next() {
  std::optional<std::string> goodbye;
  {
    const absl::MutexLock lock(&mutex_);
    if (ended_) return;
    queued_bytes_ -= current_.size();
    current_.clear();
    if (queue_.empty()) {
      goodbye = std::exchange(reason_, std::nullopt);
      if (!goodbye) {
        busy_ = false;
        std::string().swap(current_);
        return;
      }
    } else {
      current_ = std::move(queue_.front());
      queue_.pop_front();
    }
  }
  if (goodbye) return say_goodbye(*goodbye);
  socket_->websocket.async_write(asio::buffer(current_),
                                 [self = shared_from_this()](error_code code, size_t) {
                                   if (!code) return self->write_next();
                                   self->fail(self->status_of(code));
                                 });
}

void WebSocketSession::say_goodbye(const std::string& reason) {
  goodbye_ = true;
  // The reader hears the answer, or that none came in time.
  socket_->websocket.async_close({websocket::close_code::normal, reason},
                                 [self = shared_from_this()](error_code) {});
}

void WebSocketSession::set_message_max(size_t bytes) {
  // Under the lock: nothing is given to the strand once the session has ended.
  const absl::MutexLock lock(&mutex_);
  if (closing_) return;
  asio::dispatch(strand_, [self = shared_from_this(), bytes] {
    self->message_max_ = bytes;
    if (self->socket_ != nullptr) self->socket_->websocket.read_message_max(bytes);
  });
}

void WebSocketSession::drop() {
  {
    const absl::MutexLock lock(&mutex_);
    closing_ = true;
  }
  asio::post(strand_,
             [self = shared_from_this()] { self->fail(unavailable("this end has stopped")); });
}

void WebSocketSession::fail(const Status& status) {
  if (ended_) return;
  if (failure_.ok()) failure_ = status;
  stream_.close();  // ends what is being read
}

Status WebSocketSession::status_of(error_code code) {
  if (!failure_.ok()) return failure_;
  if (goodbye_) return absl::OkStatus();
  if (code == websocket::error::closed) {
    const websocket::close_reason& reason = socket_->websocket.reason();
    if (reason.code == websocket::close_code::normal ||
        reason.code == websocket::close_code::none) {
      return absl::OkStatus();
    }
    const std::string_view words(reason.reason.data(), reason.reason.size());
    return unavailable("closed by the other end with code {}: {}", static_cast<int>(reason.code),
                       escaped(words));
  }
  if (code == websocket::error::message_too_big) {
    return resource_exhausted("a message of more than {} bytes came", message_max_);
  }
  if (code == beast::error::timeout) {
    return unavailable("no sign of life for {} ms", 2 * options_.ping_interval.count());
  }
  if (!stream_.status().ok()) return stream_.status();
  if (code == asio::error::eof) return unavailable("the connection was cut by the other end");
  if (code == asio::error::operation_aborted) return unavailable("the connection was closed");
  return invalid_argument("WebSocket: {}", code.message());
}

void WebSocketSession::ended(error_code code) {
  if (std::exchange(ended_, true)) return;
  const Status status = status_of(code);
  {
    const absl::MutexLock lock(&mutex_);
    closing_ = true;
    queue_.clear();
  }
  stream_.close();
  // Nothing of ours touches the socket from here on; Beast's own steps bear its end.
  asio::post(strand_, [self = shared_from_this()] { self->socket_.reset(); });
  const std::shared_ptr<SessionListener> listener = std::move(listener_);
  listener->closed(status.ok() || options_.name.empty() ? status : annotate(status, options_.name));
  place_ = Registry::Place();
}

}  // namespace umbel::http

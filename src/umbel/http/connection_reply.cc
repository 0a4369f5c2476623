// How a connection waits for an answer and sends it.

#include <absl/synchronization/mutex.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "umbel/http/connection.h"
#include "umbel/http/error_body.h"

namespace umbel::http {

namespace {

constexpr size_t kTogetherBytesMax = 64 << 10;
constexpr std::chrono::seconds kLinger{2};
constexpr size_t kLingerBytesMax = size_t{64} << 20;

// Carries the answer from whichever thread to the connection, if that is still there.
class Mailbox final : public Responder {
 public:
  explicit Mailbox(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}
  ~Mailbox() override { respond(error_response(absl::InternalError("nobody answered"))); }

  void respond(Response response) override {
    const absl::MutexLock lock(&mutex_);
    if (connection_ == nullptr) return;
    const auto connection = std::exchange(connection_, nullptr);
    asio::post(connection->executor(), [connection, response = std::move(response)]() mutable {
      connection->deliver(std::move(response));
    });
  }
  void detach() {
    const absl::MutexLock lock(&mutex_);
    connection_.reset();
  }

 private:
  absl::Mutex mutex_;
  std::shared_ptr<Connection> connection_ ABSL_GUARDED_BY(mutex_);
};

std::string head_of(const Response& response, bool keep_alive) {
  const uint64_t length = response.part ? response.part->count : response.body.size();
  std::string text = fmt::format("HTTP/1.1 {} {}\r\n", response.code, reason_phrase(response.code));
  if (length != 0) text += fmt::format("Content-Type: {}\r\n", response.type);
  if (response.code != 204 && response.code != 304) {
    text += fmt::format("Content-Length: {}\r\n", length);
  }
  if (response.part) text += "Accept-Ranges: bytes\r\n";
  if (response.part && response.code == 206) {
    text +=
        fmt::format("Content-Range: bytes {}-{}/{}\r\n", response.part->first,
                    response.part->first + std::max<uint64_t>(length, 1) - 1, response.part->total);
  }
  if (response.code == 401) text += "WWW-Authenticate: Bearer\r\n";
  if (!keep_alive) text += "Connection: close\r\n";
  return text + "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\r\n";
}

}  // namespace

void Connection::deliver(Response response) {
  response_ = std::move(response);
  wake();
}

void Connection::wake() { pause_.cancel(); }

Connection::Awaitable<void> Connection::pause() {
  error_code ignored;
  co_await pause_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

// Notices a client that goes away while its answer is not there yet.
void Connection::watch() {
  if (watching_ || in_.size() >= kHeadBytesMax) return;
  watching_ = true;
  stream_.socket().async_wait(asio::ip::tcp::socket::wait_read,
                              [self = shared_from_this()](error_code) {
                                self->watching_ = false;
                                self->readable_ = true;
                                self->wake();
                              });
}

Connection::Awaitable<bool> Connection::hear_answer(Call& call) {
  response_.reset();
  readable_ = false;
  std::weak_ptr<Mailbox> mailbox;
  {
    const auto made = std::make_shared<Mailbox>(shared_from_this());
    mailbox = made;
    call.finish(made);
  }
  while (!response_ && !dropped_) {
    watch();
    co_await pause();
    if (!std::exchange(readable_, false) || dropped_) continue;
    const Step step = read_more();
    if (step.want == Want::kNothing && !step.more()) break;  // the client has gone
  }
  if (response_ && !dropped_) co_return true;
  if (const auto there = mailbox.lock()) there->detach();
  co_return false;
}

Connection::Awaitable<bool> Connection::send(Response response, bool head_only, bool keep_alive) {
  std::string text = head_of(response, keep_alive);
  const bool together = !response.part && response.body.size() <= kTogetherBytesMax;
  if (together && !head_only) text += response.body;
  bool sent = co_await write(std::as_bytes(std::span(text)));
  if (sent && !together && !head_only) {
    if (response.part) {
      sent = co_await send_part(*response.part);
    } else {
      sent = co_await write(std::as_bytes(std::span(response.body)));
    }
  }
  co_return sent;
}

Connection::Awaitable<bool> Connection::send_part(Response::Part part) {
  const size_t size = static_cast<size_t>(std::min<uint64_t>(part.count, kBodyPieceBytes));
  const auto piece = std::make_unique_for_overwrite<std::byte[]>(size);
  for (uint64_t done = 0; done != part.count;) {
    const size_t wanted = static_cast<size_t>(std::min<uint64_t>(part.count - done, size));
    const ssize_t count =
        ::pread(part.file->get(), piece.get(), wanted, static_cast<off_t>(part.first + done));
    if (count <= 0) co_return false;  // shorter than it was said to be: only closing tells that
    const bool sent = co_await write({piece.get(), static_cast<size_t>(count)});
    if (!sent) co_return false;
    done += static_cast<uint64_t>(count);
    if (done != part.count) co_await asio::post(executor(), asio::use_awaitable);  // others' turn
  }
  co_return true;
}

Connection::Awaitable<bool> Connection::refuse(int code, Status status) {
  Response response = error_response(status);
  response.code = code;
  const bool sent = co_await send(std::move(response), false, false);
  co_await linger();
  co_return sent;
}

Connection::Awaitable<bool> Connection::write(Bytes bytes) {
  within(core_->options.idle_timeout);
  while (!bytes.empty()) {
    const Step step = stream_.transport().write(bytes);
    if (!step.status.ok()) co_return false;
    bytes = bytes.subspan(step.bytes);
    if (step.want == Want::kNothing) continue;
    if (step.bytes != 0) within(core_->options.idle_timeout);
    const bool ready = co_await wait(step.want);
    if (!ready) co_return false;
  }
  co_return true;
}

// Closing with unread bytes would make the kernel cut the answer off: reads on for a while.
Connection::Awaitable<void> Connection::linger() {
  within(kLinger);
  stream_.finish();
  std::array<std::byte, 4096> ignored;
  for (size_t total = 0; total < kLingerBytesMax;) {
    const ssize_t count =
        ::recv(stream_.transport().descriptor(), ignored.data(), ignored.size(), 0);
    if (count > 0) {
      total += static_cast<size_t>(count);
      continue;
    }
    if (count == 0 || (errno != EAGAIN && errno != EINTR)) break;
    const bool ready = co_await wait(Want::kRead);
    if (!ready) break;
  }
}

}  // namespace umbel::http

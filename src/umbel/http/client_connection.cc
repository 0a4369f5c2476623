#include "umbel/http/client_connection.h"

#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "umbel/base/check.h"
#include "umbel/http/dial.h"

namespace umbel::http {

namespace {

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

Result<Addresses> resolve(const Endpoint& endpoint) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error =
      ::getaddrinfo(endpoint.host.c_str(), std::to_string(endpoint.port).c_str(), &wanted, &found);
  if (error != 0) return unavailable("the host is not known: {}", ::gai_strerror(error));
  return Addresses(found, &freeaddrinfo);
}

}  // namespace

ClientConnection::ClientConnection(Endpoint endpoint, Client::Options options)
    : endpoint_(std::move(endpoint)),
      options_(options),
      tls_(endpoint_.trust.plain ? nullptr : TlsContext::client()),
      cancel_event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  UMBEL_CHECK(static_cast<bool>(cancel_event_));
}

void ClientConnection::cancel() {
  cancelled_ = true;
  ::eventfd_write(cancel_event_.get(), 1);
}

Status ClientConnection::wait(Want want, Clock::time_point deadline, const char* what) {
  while (true) {
    if (cancelled_) return absl::CancelledError("cancelled");
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return unavailable("timed out: {}", what);
    const auto events = static_cast<short>(want == Want::kWrite ? POLLOUT : POLLIN);
    std::array<pollfd, 2> watched = {
        {{socket_.get(), events, 0}, {cancel_event_.get(), POLLIN, 0}}};
    const int ready =
        ::poll(watched.data(), watched.size(), static_cast<int>(std::min<long>(left, 1 << 30)));
    if (ready < 0 && errno != EINTR) return unavailable("poll: errno {}", errno);
    if (ready > 0 && watched[0].revents != 0 && !cancelled_) return absl::OkStatus();
  }
}

// Anything to read on a connection where nothing was asked is its end.
bool ClientConnection::idle_and_alive() {
  std::byte one;
  const Step step = transport_->read({&one, 1});
  return in_.empty() && step.bytes == 0 && step.want != Want::kNothing;
}

void ClientConnection::close() {
  if (transport_) transport_->finish();
  transport_.reset();
  socket_ = Descriptor();
  in_.clear();
}

Status ClientConnection::open() {
  if (cancelled_) return absl::CancelledError("cancelled");
  if (is_open() && idle_and_alive()) return absl::OkStatus();
  close();
  Result<Addresses> addresses = resolve(endpoint_);
  if (!addresses.ok()) return annotate(addresses.status(), endpoint_.text());
  const Clock::time_point deadline = Clock::now() + options_.connect_timeout;
  Status status = unavailable("the host has no address");
  for (const addrinfo* at = addresses->get(); at != nullptr; at = at->ai_next) {
    status = connect_to(at->ai_addr, at->ai_addrlen, deadline);
    if (!absl::IsUnavailable(status)) break;
  }
  if (status.ok()) status = handshake(deadline);
  if (!status.ok()) close();
  return status.ok() ? status : annotate(status, endpoint_.text());
}

Status ClientConnection::connect_to(const sockaddr* address, unsigned size,
                                    Clock::time_point deadline) {
  UMBEL_ASSIGN_OR_RETURN(socket_, start_connect(address, size));
  UMBEL_RETURN_IF_ERROR(wait(Want::kWrite, deadline, "no connection"));
  return connect_result(socket_.get());
}

Status ClientConnection::handshake(Clock::time_point deadline) {
  transport_.emplace(tls_ == nullptr
                         ? Transport(socket_.get())
                         : tls_->connect(socket_.get(), endpoint_.trust, endpoint_.host));
  while (true) {
    const Step step = transport_->handshake();
    if (step.end) return unavailable("the connection was closed during the TLS handshake");
    if (step.want == Want::kNothing) return step.status;
    UMBEL_RETURN_IF_ERROR(wait(step.want, deadline, "no TLS handshake"));
  }
}

ClientConnection::Written ClientConnection::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const Step step = transport_->write(bytes);
    bytes = bytes.subspan(step.bytes);
    if (step.want == Want::kNothing) {
      // A server that refuses a body answers and closes; its answer says more than our error.
      if (!step.status.ok()) return {step.status, true};
      continue;
    }
    std::array<pollfd, 1> readable = {{{socket_.get(), POLLIN, 0}}};
    if (::poll(readable.data(), 1, 0) > 0 && step.bytes == 0) {
      const Result<bool> more = read_more(std::chrono::milliseconds(0));
      if (!in_.empty() || (more.ok() && !*more)) return {absl::OkStatus(), true};
    }
    const Status ready = wait(step.want, Clock::now() + options_.stall_timeout, "no byte is taken");
    if (!ready.ok()) return {ready, false};
  }
  return {absl::OkStatus(), false};
}

Result<bool> ClientConnection::read_more(std::chrono::milliseconds limit) {
  std::array<std::byte, 16 << 10> piece;
  const Clock::time_point deadline = Clock::now() + limit;
  while (true) {
    const Step step = transport_->read(piece);
    if (!step.status.ok()) return step.status;
    if (step.end) return false;
    if (step.bytes != 0) {
      in_.append(reinterpret_cast<const char*>(piece.data()), step.bytes);
      return true;
    }
    UMBEL_RETURN_IF_ERROR(wait(step.want, deadline, "no byte came"));
  }
}

Result<size_t> ClientConnection::read(std::span<std::byte> out) {
  if (!in_.empty()) {
    const size_t count = std::min(out.size(), in_.size());
    std::copy_n(reinterpret_cast<const std::byte*>(in_.data()), count, out.data());
    in_.erase(0, count);
    return count;
  }
  const Clock::time_point deadline = Clock::now() + options_.stall_timeout;
  while (true) {
    const Step step = transport_->read(out);
    if (!step.status.ok()) return step.status;
    if (step.end || step.bytes != 0) return step.bytes;
    UMBEL_RETURN_IF_ERROR(wait(step.want, deadline, "no byte came"));
  }
}

Result<ParsedReply> ClientConnection::read_head(std::chrono::seconds patience, bool* began) {
  const Clock::time_point deadline = Clock::now() + options_.stall_timeout + patience;
  while (true) {
    if (const std::optional<size_t> end = head_end(in_)) {
      UMBEL_ASSIGN_OR_RETURN(ParsedReply reply, parse_reply(std::string_view(in_).substr(0, *end)));
      in_.erase(0, *end);
      if (reply.code >= 200 || reply.code == 101) return reply;
      continue;
    }
    if (in_.size() > kHeadBytesMax) return unavailable("the answer's head is too long");
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    UMBEL_ASSIGN_OR_RETURN(const bool more, read_more(left));
    if (!more) return unavailable("the server closed the connection without an answer");
    if (began != nullptr) *began = true;
  }
}

}  // namespace umbel::http

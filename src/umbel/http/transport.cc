#include "umbel/http/transport.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include "umbel/http/socket_bio.h"
#include "umbel/http/verification.h"

namespace umbel::http {

namespace {

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

Status system_status(int error) {
  if (error == ECONNRESET || error == EPIPE) {
    return unavailable("the connection was cut by the other end");
  }
  return unavailable("the connection broke: {}", std::strerror(error));
}

}  // namespace

void SslFree::operator()(SSL* ssl) const { SSL_free(ssl); }

Transport::Transport(int descriptor, UniqueSsl ssl, std::shared_ptr<Verification> verification)
    : descriptor_(descriptor), ssl_(std::move(ssl)), verification_(std::move(verification)) {
  BIO* bio = new_socket_bio(descriptor);
  SSL_set_bio(ssl_.get(), bio, bio);
}

Step Transport::failed(int result, std::string_view doing) {
  const int system_error = errno;
  Step step;
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      step.want = Want::kRead;
      break;
    case SSL_ERROR_WANT_WRITE:
      step.want = Want::kWrite;
      break;
    case SSL_ERROR_ZERO_RETURN:
      step.end = true;
      break;
    case SSL_ERROR_SYSCALL:
      step.status = system_status(system_error == 0 ? ECONNRESET : system_error);
      break;
    default: {
      const unsigned long code = ERR_peek_error();
      const char* reason = ERR_reason_error_string(code);
      if (verification_ != nullptr && !verification_->refusal.empty()) {
        step.status = absl::UnauthenticatedError(verification_->refusal);
      } else if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        step.status = system_status(ECONNRESET);
      } else if (ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER) {
        step.status = unavailable("{}: the other end does not speak TLS", doing);
      } else {
        step.status = unavailable("{}: {}", doing, reason == nullptr ? "failed" : reason);
      }
    }
  }
  ERR_clear_error();
  return step;
}

Step Transport::handshake() {
  if (!secure()) return {};
  ERR_clear_error();
  errno = 0;
  const int result = SSL_do_handshake(ssl_.get());
  return result == 1 ? Step() : failed(result, "TLS handshake");
}

Step Transport::read(std::span<std::byte> out) {
  Step step;
  while (step.bytes != out.size()) {
    const std::span<std::byte> rest = out.subspan(step.bytes);
    Step stopped;
    if (secure()) {
      size_t count = 0;
      ERR_clear_error();
      errno = 0;
      if (const int result = SSL_read_ex(ssl_.get(), rest.data(), rest.size(), &count);
          result == 1) {
        step.bytes += count;
        continue;
      } else {
        stopped = failed(result, "TLS");
      }
    } else {
      const ssize_t count = ::recv(descriptor_, rest.data(), rest.size(), 0);
      if (count > 0) {
        step.bytes += static_cast<size_t>(count);
        if (static_cast<size_t>(count) < rest.size()) return step;
        continue;
      }
      if (count == 0) {
        stopped.end = true;
      } else if (would_block(errno)) {
        stopped.want = Want::kRead;
      } else {
        stopped.status = system_status(errno);
      }
    }
    // What stopped us is found again by the next call.
    return step.bytes != 0 ? step : stopped;
  }
  return step;
}

Step Transport::write(std::span<const std::byte> bytes) {
  Step step;
  while (step.bytes != bytes.size()) {
    const std::span<const std::byte> rest = bytes.subspan(step.bytes);
    Step stopped;
    if (secure()) {
      size_t count = 0;
      ERR_clear_error();
      errno = 0;
      if (const int result = SSL_write_ex(ssl_.get(), rest.data(), rest.size(), &count);
          result == 1) {
        step.bytes += count;
        continue;
      } else {
        stopped = failed(result, "TLS");
      }
      if (stopped.end) stopped.status = system_status(EPIPE);
    } else {
      const ssize_t count = ::send(descriptor_, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (count > 0) {
        step.bytes += static_cast<size_t>(count);
        continue;
      }
      if (would_block(errno)) {
        stopped.want = Want::kWrite;
      } else {
        stopped.status = system_status(errno);
      }
    }
    stopped.bytes = step.bytes;
    return stopped;
  }
  return step;
}

void Transport::finish() {
  if (secure() && SSL_is_init_finished(ssl_.get())) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }
  ::shutdown(descriptor_, SHUT_WR);
}

void Transport::set_bulk(bool on) {
  if (secure()) SSL_set_default_read_buffer_len(ssl_.get(), on ? kBulkReadBytes : 0);
}

std::string Transport::peer_certificate_sha256() const {
  std::string hash(32, '\0');
  if (!secure()) return hash;
  const X509* certificate = SSL_get0_peer_certificate(ssl_.get());
  return certificate == nullptr ? hash : certificate_hash(certificate);
}

}  // namespace umbel::http

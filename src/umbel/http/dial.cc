#include "umbel/http/dial.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace umbel::http {

namespace {

Status connect_status(int error) {
  switch (error) {
    case ECONNREFUSED:
      return unavailable("connection refused: nobody listens there");
    case ETIMEDOUT:
      return unavailable("no answer");
    case ENETUNREACH:
    case EHOSTUNREACH:
      return unavailable("no way there: {}", std::strerror(error));
    default:
      return unavailable("cannot connect: {}", std::strerror(error));
  }
}

}  // namespace

Result<Descriptor> start_connect(const sockaddr* address, unsigned size) {
  Descriptor socket(
      ::socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!socket) return connect_status(errno);
  set_socket_options(socket.get());
  if (::connect(socket.get(), address, size) != 0 && errno != EINPROGRESS) {
    return connect_status(errno);
  }
  return socket;
}

Status connect_result(int descriptor) {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  return error == 0 ? absl::OkStatus() : connect_status(error);
}

void set_socket_options(int descriptor) {
  const int on = 1;
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

std::string address_text(const sockaddr* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address->sa_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
      inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, text.data(), text.size());
      return fmt::format("{}:{}", text.data(), ntohs(v6->sin6_port));
    }
    inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
    return fmt::format("[{}]:{}", text.data(), ntohs(v6->sin6_port));
  }
  const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
  inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
  return fmt::format("{}:{}", text.data(), ntohs(v4->sin_port));
}

}  // namespace umbel::http

#include "umbel/http/listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "umbel/http/dial.h"

namespace umbel::http {

namespace {

namespace fs = std::filesystem;

// The inode of the socket that listens on a port, from the kernel's table; "" if there is none.
std::string listening_inode(uint16_t port) {
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream lines(table);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string slot, local, remote, state, skip, inode;
      words >> slot >> local >> remote >> state;
      if (state != "0A" || !local.ends_with(fmt::format(":{:04X}", port))) continue;
      for (int i = 0; i != 5; ++i) words >> skip;
      words >> inode;
      return inode;
    }
  }
  return "";
}

// " (process 4711, nginx, has it)" as far as this user may see that.
std::string owner_of_port(uint16_t port) {
  const std::string inode = listening_inode(port);
  if (inode.empty()) return "";
  const std::string wanted = fmt::format("socket:[{}]", inode);
  std::error_code error;
  for (const auto& process : fs::directory_iterator("/proc", error)) {
    const std::string number = process.path().filename().string();
    if (number.find_first_not_of("0123456789") != std::string::npos) continue;
    std::error_code hidden;
    for (fs::directory_iterator at(process.path() / "fd", hidden), end; !hidden && at != end;
         at.increment(hidden)) {
      std::error_code unread;
      if (fs::read_symlink(at->path(), unread) != wanted) continue;
      std::string name;
      std::getline(std::ifstream(process.path() / "comm"), name);
      return fmt::format(" by process {} ({})", number, name);
    }
  }
  return "";
}

int descriptor_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur > 1 << 20 ? 1 << 20 : static_cast<int>(limit.rlim_cur);
}

}  // namespace

Result<Descriptor> listen_on(const std::string& address, uint16_t port) {
  const std::string name = address.find(':') == std::string::npos
                               ? fmt::format("{}:{}", address, port)
                               : fmt::format("[{}]:{}", address, port);
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  v4.sin_family = AF_INET;
  v6.sin6_family = AF_INET6;
  v4.sin_port = v6.sin6_port = htons(port);
  const bool is_v4 = inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1;
  if (!is_v4 && inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) != 1) {
    return invalid_argument("\"{}\": an address of this machine is expected", address);
  }
  Descriptor listener(::socket(is_v4 ? AF_INET : AF_INET6,
                               SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!listener) return unavailable("{}: no socket: {}", name, std::strerror(errno));
  const int on = 1, off = 0;
  ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!is_v4) ::setsockopt(listener.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  const auto* where =
      is_v4 ? reinterpret_cast<const sockaddr*>(&v4) : reinterpret_cast<const sockaddr*>(&v6);
  const socklen_t size = is_v4 ? sizeof v4 : sizeof v6;
  if (::bind(listener.get(), where, size) != 0 || ::listen(listener.get(), 4096) != 0) {
    if (errno == EADDRINUSE) {
      return unavailable("{}: the port is in use{}", name, owner_of_port(port));
    }
    return unavailable("{}: cannot listen: {}", name, std::strerror(errno));
  }
  return listener;
}

uint16_t port_of(int descriptor) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port
                   : reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

Result<Descriptor> accept_from(int listener, std::string& peer, int reserve) {
  static const int limit = descriptor_limit();
  while (true) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    Descriptor accepted(::accept4(listener, reinterpret_cast<sockaddr*>(&address), &size,
                                  SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!accepted) {
      if (errno == EAGAIN) return Descriptor();
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        return resource_exhausted("no descriptors left");
      }
      continue;  // that client has given up already
    }
    // The lowest free number is given out, so it tells how many are taken.
    if (accepted.get() >= limit - reserve) return resource_exhausted("few descriptors left");
    set_socket_options(accepted.get());
    peer = address_text(reinterpret_cast<const sockaddr*>(&address));
    return accepted;
  }
}

}  // namespace umbel::http

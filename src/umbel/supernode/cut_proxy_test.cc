#include "umbel/supernode/cut_proxy_test.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <list>
#include <vector>

namespace umbel::supernode {

namespace {

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

bool write_all(int socket, const char* bytes, size_t size) {
  while (size != 0) {
    const ssize_t sent = send(socket, bytes, size, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes += sent;
    size -= static_cast<size_t>(sent);
  }
  return true;
}

}  // namespace

struct CutProxy::Pair {
  Descriptor node, hub;
  uint64_t down = 0, up = 0;
};

CutProxy::CutProxy(uint16_t hub_port)
    : hub_port_(hub_port), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(listen(listener_.get(), 64), 0);
  getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

CutProxy::~CutProxy() {
  thread_.request_stop();
  shutdown(listener_.get(), SHUT_RDWR);
}

bool CutProxy::pass(Pair& pair, bool down) {
  char bytes[64 << 10];
  const int from = (down ? pair.hub : pair.node).get(), to = (down ? pair.node : pair.hub).get();
  const ssize_t got = recv(from, bytes, sizeof bytes, 0);
  if (got <= 0) return false;
  uint64_t& passed = down ? pair.down : pair.up;
  std::atomic<uint64_t>& limit = down ? cut_down_ : cut_up_;
  passed += static_cast<uint64_t>(got);
  if (passed >= limit) {
    limit = UINT64_MAX;
    ++cuts_;
    return false;
  }
  return write_all(to, bytes, static_cast<size_t>(got));
}

void CutProxy::run(const std::stop_token& stop) {
  std::list<Pair> pairs;
  while (!stop.stop_requested()) {
    std::vector<pollfd> polled{{listener_.get(), POLLIN, 0}};
    for (const Pair& pair : pairs) {
      polled.push_back({pair.node.get(), POLLIN, 0});
      polled.push_back({pair.hub.get(), POLLIN, 0});
    }
    if (poll(polled.data(), polled.size(), 1'000) <= 0) continue;
    size_t at = 1;
    for (auto pair = pairs.begin(); pair != pairs.end(); at += 2) {
      const auto here = pair++;
      const bool up = polled[at].revents == 0 || pass(*here, false);
      const bool down = polled[at + 1].revents == 0 || pass(*here, true);
      if (!up || !down) pairs.erase(here);
    }
    if (polled[0].revents == 0) continue;
    Pair pair{.node = Descriptor(accept(listener_.get(), nullptr, nullptr)),
              .hub = Descriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))};
    const sockaddr_in address = loopback(hub_port_);
    const auto* hub = reinterpret_cast<const sockaddr*>(&address);
    if (pair.node && connect(pair.hub.get(), hub, sizeof address) == 0) {
      pairs.push_back(std::move(pair));
    }
  }
}

}  // namespace umbel::supernode

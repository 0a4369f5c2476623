#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <string>
#include <string_view>

#include "umbel/base/shared_blob.h"

namespace umbel::http {

inline constexpr std::string_view kUpgrade =
    "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Protocol: umbel.v1\r\n\r\n";

// A plain connection to this machine, for bytes that no client of ours would send.
class RawSocket {
 public:
  explicit RawSocket(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    const timeval limit{20, 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  void send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t count = ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (count <= 0) return;  // the other end has had enough
      text.remove_prefix(static_cast<size_t>(count));
    }
  }
  // Up to and with `end`, or up to where the connection ends.
  std::string read_until(std::string_view end) {
    while (in_.find(end) == std::string::npos && more()) {
    }
    const size_t at = in_.find(end);
    const size_t size = at == std::string::npos ? in_.size() : at + end.size();
    std::string text = in_.substr(0, size);
    in_.erase(0, size);
    return text;
  }
  std::string read_all() {
    while (more()) {
    }
    return std::exchange(in_, "");
  }
  // Whether the last read found the end of the connection, not a time limit.
  bool ended() const { return ended_; }

 private:
  bool more() {
    std::array<char, 4096> piece;
    const ssize_t count = ::recv(socket_.get(), piece.data(), piece.size(), 0);
    ended_ = count == 0 || (count < 0 && errno == ECONNRESET);
    if (count > 0) in_.append(piece.data(), static_cast<size_t>(count));
    return count > 0;
  }

  Descriptor socket_;
  std::string in_;
  bool ended_ = false;
};

}  // namespace umbel::http

#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "umbel/base/shared_blob.h"
#include "umbel/http/client.h"
#include "umbel/http/head.h"
#include "umbel/http/tls_context.h"
#include "umbel/http/transport.h"

struct sockaddr;

namespace umbel::http {

// A client's connection: steps on a non-blocking socket with the waiting between them done by
// poll(), so that every wait has its limit and can be cancelled.
class ClientConnection {
 public:
  ClientConnection(Endpoint endpoint, Client::Options options);

  // Makes sure that there is a connection on which nothing is under way.
  Status open();
  void close();
  bool is_open() const { return transport_.has_value(); }
  const Endpoint& endpoint() const { return endpoint_; }
  std::string certificate_sha256() const { return transport_->peer_certificate_sha256(); }
  void set_bulk(bool on) { transport_->set_bulk(on); }

  struct Written {
    Status status;
    bool answered = false;  // the server has said something before it had everything
  };
  Written write(std::span<const std::byte> bytes);
  // The head of the final answer (1xx are skipped).  `began` tells whether any byte of it came.
  Result<ParsedReply> read_head(std::chrono::seconds patience, bool* began = nullptr);
  // Some bytes of what follows; 0 at its end.
  Result<size_t> read(std::span<std::byte> out);
  // More of it into the buffer behind the head; false at the end.
  Result<bool> read_more(std::chrono::milliseconds limit);
  std::string& buffered() { return in_; }

  void cancel();  // any thread

 private:
  using Clock = std::chrono::steady_clock;
  Status connect_to(const sockaddr* address, unsigned size, Clock::time_point deadline);
  Status handshake(Clock::time_point deadline);
  Status wait(Want want, Clock::time_point deadline, const char* what);
  bool idle_and_alive();

  const Endpoint endpoint_;
  const Client::Options options_;
  const std::shared_ptr<const TlsContext> tls_;
  Descriptor cancel_event_;
  std::atomic<bool> cancelled_{false};
  Descriptor socket_;
  std::optional<Transport> transport_;  // on socket_
  std::string in_;
};

}  // namespace umbel::http

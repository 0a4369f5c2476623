#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "umbel/base/status.h"

namespace umbel::http {

// One end of a WebSocket connection that carries binary messages.  Calls from any thread; none
// blocks.
class Session {
 public:
  virtual ~Session() = default;
  // Queues a message.  False, and the session is closed as UNAVAILABLE, if more than
  // kSessionQueueBytesMax would be waiting: a peer that does not read is as good as gone.
  virtual bool send(std::string message) = 0;
  // Sends what is queued, then closes with this reason (at most 120 bytes of it).
  virtual void close(std::string reason) = 0;
  // From now on messages of up to `bytes` are taken; kFirstMessageBytesMax before.
  virtual void set_message_max(size_t bytes) = 0;
  // "192.0.2.7:51234"
  virtual const std::string& peer() const = 0;
  // SHA-256 of the server's certificate (32 bytes), the same at both ends; zeros without TLS.
  virtual const std::string& certificate_sha256() const = 0;
};
inline constexpr size_t kSessionQueueBytesMax = size_t{64} << 20;
inline constexpr size_t kFirstMessageBytesMax = 64 << 10;

// What a session tells its owner: one call at a time, from the threads of the server or client.
class SessionListener {
 public:
  virtual ~SessionListener() = default;
  virtual void received(std::span<const std::byte> message) = 0;
  // Last; OK if the other end or close() ended it in order.
  virtual void closed(const Status& status) = 0;
};

}  // namespace umbel::http

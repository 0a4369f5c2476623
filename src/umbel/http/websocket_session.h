#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "umbel/http/registry.h"
#include "umbel/http/session.h"
#include "umbel/http/stream.h"

namespace umbel::http {

// A Session over Beast's WebSocket, at either end.  All work is done on the stream's strand.
class WebSocketSession final : public Session,
                               public Guest,
                               public std::enable_shared_from_this<WebSocketSession> {
 public:
  struct Options {
    std::string peer;
    std::string certificate_sha256;
    std::string name;      // goes before the words of a failure; "" for none
    std::string protocol;  // the subprotocol
    std::chrono::milliseconds handshake_timeout{10'000};
    std::chrono::milliseconds ping_interval{30'000};
  };
  // `owner` is whatever the stream's executor needs to live.
  WebSocketSession(std::shared_ptr<void> owner, AsyncStream stream, Options options);
  ~WebSocketSession() override;

  // On the strand, one of them, once.  Server: answers an upgrade whose head was checked.
  void accept(const std::string& target, const std::string& key,
              std::shared_ptr<SessionListener> listener, Registry::Place place);
  // Client: asks for one; `opened` comes before anything is received.
  void connect(const std::string& host, const std::string& target,
               std::shared_ptr<SessionListener> listener, Registry::Place place,
               std::function<void()> opened);
  // Server: the upgrade was refused; the stream is left alone.
  void abandon();

  bool send(std::string message) override;
  void close(std::string reason) override;
  void set_message_max(size_t bytes) override;
  const std::string& peer() const override { return options_.peer; }
  const std::string& certificate_sha256() const override { return options_.certificate_sha256; }

  void expire() override {}
  void leave() override { close("stopping"); }
  void drop() override;

 private:
  struct Socket;
  void begin(std::shared_ptr<SessionListener> listener, Registry::Place place);
  void opened();
  void read_next();
  void received();
  void write_next();
  void say_goodbye(const std::string& reason);
  void fail(const Status& status);
  void ended(error_code code);
  Status status_of(error_code code);

  const std::shared_ptr<void> owner_;
  const Options options_;
  AsyncStream stream_;
  const AsyncStream::executor_type strand_;
  std::unique_ptr<Socket> socket_;
  std::shared_ptr<SessionListener> listener_;
  Registry::Place place_;
  std::string current_;  // being written
  Status failure_;       // why we broke it off
  size_t message_max_ = kFirstMessageBytesMax;
  bool goodbye_ = false, ended_ = false;

  absl::Mutex mutex_;
  std::deque<std::string> queue_ ABSL_GUARDED_BY(mutex_);
  size_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool busy_ ABSL_GUARDED_BY(mutex_) = true;  // write_next() will run or is running
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<std::string> reason_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace umbel::http

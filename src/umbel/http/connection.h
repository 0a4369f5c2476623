#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "umbel/http/head.h"
#include "umbel/http/registry.h"
#include "umbel/http/server_core.h"
#include "umbel/http/stream.h"

namespace umbel::http {

// One connection of a server: requests, one after another, by a coroutine on its strand; until it
// ends, or becomes a session.  Holds no buffer while it waits.
class Connection final : public Guest, public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<ServerCore> core, AsyncStream stream, Registry::Place place,
             std::string peer);

  void start();
  // The answer to the current request; on the strand.
  void deliver(Response response);
  AsyncStream::executor_type executor() const { return stream_.get_executor(); }

  void expire() override;
  void leave() override { drop(); }
  void drop() override;

 private:
  using Bytes = std::span<const std::byte>;
  template <class T>
  using Awaitable = boost::asio::awaitable<T>;
  enum class Body { kWhole, kRefused, kBroken };

  // connection.cc: the order of things.
  Awaitable<void> serve();
  Awaitable<bool> handshake();
  Awaitable<std::optional<ParsedRequest>> next_request(bool first);
  Awaitable<bool> answer(const ParsedRequest& request);
  Awaitable<bool> upgrade(const ParsedRequest& request, const RequestHead& head);
  Awaitable<bool> wait(Want want);
  void within(std::chrono::milliseconds limit);
  Step read_more();

  // connection_body.cc
  Awaitable<Body> read_body(Call& call, const ParsedRequest& request);
  Awaitable<Body> read_sized(Call& call, uint64_t length);
  Awaitable<Body> read_chunked(Call& call);
  bool refuse_body(Status status);

  // connection_reply.cc
  Awaitable<bool> hear_answer(Call& call);
  Awaitable<void> pause();
  void watch();
  void wake();
  Awaitable<bool> send(Response response, bool head_only, bool keep_alive);
  Awaitable<bool> send_part(Response::Part part);
  Awaitable<bool> refuse(int code, Status status);
  Awaitable<bool> write(Bytes bytes);
  Awaitable<void> linger();

  const std::shared_ptr<ServerCore> core_;
  AsyncStream stream_;
  Registry::Place place_;
  const std::string peer_;
  std::string in_;  // has come and is not yet used
  std::optional<Response> response_;
  boost::asio::steady_timer pause_;  // never runs out: a bell for whoever waits
  bool watching_ = false, readable_ = false;
  bool expired_ = false, dropped_ = false, handed_over_ = false;
};

inline constexpr size_t kBodyPieceBytes = 256 << 10;
// A body that brings less than this within the idle timeout has stalled.
inline constexpr size_t kProgressBytes = 32 << 10;

}  // namespace umbel::http

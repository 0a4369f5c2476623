#pragma once

#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/system/error_code.hpp>
#include <memory>
#include <utility>

#include "umbel/http/transport.h"

namespace umbel::http {

namespace asio = boost::asio;
using boost::system::error_code;

// A Transport on an Asio socket: for coroutines, which make steps on transport() and wait() between
// them; and for Beast, as an AsyncReadStream and AsyncWriteStream.  A handle: copies are the same
// stream.  Used by one strand, its executor.
class AsyncStream {
 public:
  using executor_type = asio::any_io_executor;
  static constexpr size_t kGatherMax = 8;
  // Bytes of several buffers, to be written in their order.
  struct Gather {
    std::array<std::span<const std::byte>, kGatherMax> parts;
    size_t count = 0;
  };

  AsyncStream(asio::ip::tcp::socket socket, Transport transport);

  executor_type get_executor() const { return core_->socket.get_executor(); }
  asio::ip::tcp::socket& socket() { return core_->socket; }
  Transport& transport() { return core_->transport; }
  // Closes at once; what waits ends with operation_aborted.
  void close();
  // Why the last read or write through Beast failed.
  const Status& status() const { return core_->status; }

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return started<Token>(
        [out = first_of(buffers)](AsyncStream& stream) { return stream.read_step(out); }, token);
  }
  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return started<Token>(
        [gather = gathered(buffers)](AsyncStream& stream) { return stream.write_step(gather); },
        token);
  }

  // Says that no more will be sent.
  void finish();

 private:
  struct Core {
    asio::ip::tcp::socket socket;
    Transport transport;
    Status status;
  };

  // A step made again and again until it got somewhere; never completes within its start.
  template <class Stream, class MakeStep>
  struct Operation {
    Stream stream;
    MakeStep make;
    bool continued = false, done = false;
    Step step;

    template <class Self>
    void operator()(Self& self, error_code error = {}) {
      if (!done && !error) step = make(stream);
      if (!error) error = stream.code_of(step);
      if (!done && !error && step.want != Want::kNothing && step.bytes == 0) {
        continued = true;
        asio::ip::tcp::socket& socket = stream.socket();
        socket.async_wait(step.want == Want::kWrite ? asio::ip::tcp::socket::wait_write
                                                    : asio::ip::tcp::socket::wait_read,
                          std::move(self));
      } else if (!continued && !done) {
        done = true;
        asio::post(stream.get_executor(), std::move(self));
      } else {
        self.complete(error, error ? 0 : step.bytes);
      }
    }
  };
  template <class Token, class MakeStep>
  auto started(MakeStep make, Token& token) {
    return asio::async_compose<Token, void(error_code, size_t)>(
        Operation<AsyncStream, MakeStep>{*this, std::move(make)}, token, core_->socket);
  }

  Step read_step(std::span<std::byte> out);
  Step write_step(const Gather& gather);
  error_code code_of(const Step& step);

  template <class Buffers>
  static std::span<std::byte> first_of(const Buffers& buffers) {
    for (auto at = asio::buffer_sequence_begin(buffers); at != asio::buffer_sequence_end(buffers);
         ++at) {
      const asio::mutable_buffer one(*at);
      if (one.size() != 0) return {static_cast<std::byte*>(one.data()), one.size()};
    }
    return {};
  }
  template <class Buffers>
  static Gather gathered(const Buffers& buffers) {
    Gather gather;
    for (auto at = asio::buffer_sequence_begin(buffers);
         at != asio::buffer_sequence_end(buffers) && gather.count != kGatherMax; ++at) {
      const asio::const_buffer one(*at);
      if (one.size() == 0) continue;
      gather.parts[gather.count++] = {static_cast<const std::byte*>(one.data()), one.size()};
    }
    return gather;
  }

  std::shared_ptr<Core> core_;
};

// Beast's customisation points.
void beast_close_socket(AsyncStream& stream);
template <class Handler>
void async_teardown(boost::beast::role_type, AsyncStream& stream, Handler&& handler) {
  stream.finish();
  asio::post(stream.get_executor(),
             [handler = std::forward<Handler>(handler)]() mutable { handler(error_code()); });
}

}  // namespace umbel::http

#include "umbel/http/server.h"

#include <absl/synchronization/notification.h>

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <thread>
#include <utility>
#include <vector>

#include "umbel/http/connection.h"
#include "umbel/http/listener.h"
#include "umbel/http/server_core.h"

namespace umbel::http {

namespace {

constexpr int kReservedDescriptors = 64;
constexpr std::chrono::milliseconds kSweepInterval{200};
constexpr std::chrono::milliseconds kRetryAccept{500};  // others may give descriptors back
constexpr std::chrono::milliseconds kGoodbye{1000};

class RunningServer final : public Server {
 public:
  RunningServer(std::shared_ptr<ServerCore> core, Descriptor listener)
      : core_(std::move(core)),
        port_(port_of(listener.get())),
        strand_(asio::make_strand(core_->context)),
        listener_(strand_, listener.release()),
        sweep_(strand_),
        pause_(strand_) {
    asio::co_spawn(strand_, accept(), asio::detached);
    asio::co_spawn(strand_, sweep(), asio::detached);
    for (size_t i = 0; i != std::max<size_t>(1, core_->options.threads); ++i) {
      threads_.emplace_back([this] { core_->context.run(); });
    }
  }
  ~RunningServer() override { stop(); }

  uint16_t port() const override { return port_; }
  size_t connections() const override { return core_->registry.size(); }
  void stop() override;

 private:
  asio::awaitable<void> accept();
  asio::awaitable<void> sweep();
  asio::awaitable<void> wait_for_room();
  void admit(Descriptor socket, std::string peer);

  const std::shared_ptr<ServerCore> core_;
  const uint16_t port_;
  asio::strand<asio::io_context::executor_type> strand_;
  asio::posix::stream_descriptor listener_;
  asio::steady_timer sweep_, pause_;
  bool stopping_ = false;  // on the strand
  absl::Notification listener_gone_;
  std::vector<std::jthread> threads_;
};

asio::awaitable<void> RunningServer::accept() {
  while (!stopping_) {
    error_code code;
    co_await listener_.async_wait(asio::posix::stream_descriptor::wait_read,
                                  asio::redirect_error(asio::use_awaitable, code));
    while (!stopping_) {
      if (core_->registry.full()) {
        co_await wait_for_room();
        continue;
      }
      std::string peer;
      Result<Descriptor> socket =
          accept_from(listener_.native_handle(), peer, kReservedDescriptors);
      if (!socket.ok()) {
        co_await wait_for_room();
      } else if (!*socket) {
        break;
      } else {
        admit(*std::move(socket), std::move(peer));
      }
    }
  }
  listener_.close();
  listener_gone_.Notify();
}

asio::awaitable<void> RunningServer::wait_for_room() {
  pause_.expires_after(kRetryAccept);
  core_->registry.when_freed([this] { asio::post(strand_, [this] { pause_.cancel(); }); });
  error_code code;
  co_await pause_.async_wait(asio::redirect_error(asio::use_awaitable, code));
  core_->registry.when_freed(nullptr);
}

asio::awaitable<void> RunningServer::sweep() {
  while (!stopping_) {
    sweep_.expires_after(kSweepInterval);
    error_code code;
    co_await sweep_.async_wait(asio::redirect_error(asio::use_awaitable, code));
    core_->registry.sweep(std::chrono::steady_clock::now());
  }
}

void RunningServer::admit(Descriptor socket, std::string peer) {
  std::optional<Registry::Place> place = core_->registry.enter(peer.substr(0, peer.rfind(':')));
  if (!place) return;  // too many from there: closed
  const int descriptor = socket.get();
  asio::ip::tcp::socket stream(asio::make_strand(core_->context));
  error_code code;
  stream.assign(peer.starts_with('[') ? asio::ip::tcp::v6() : asio::ip::tcp::v4(), socket.release(),
                code);
  if (code) return;
  Transport transport =
      core_->tls == nullptr ? Transport(descriptor) : core_->tls->accept(descriptor);
  std::make_shared<Connection>(core_, AsyncStream(std::move(stream), std::move(transport)),
                               *std::move(place), std::move(peer))
      ->start();
}

void RunningServer::stop() {
  if (threads_.empty()) return;
  asio::post(strand_, [this] {
    stopping_ = true;
    error_code ignored;
    listener_.cancel(ignored);
    pause_.cancel();
  });
  listener_gone_.WaitForNotification();
  core_->registry.leave_all();
  core_->registry.wait_empty(kGoodbye);
  // A handler may still be at work on a call; its connection ends when it returns.
  do {
    core_->registry.drop_all();
  } while (!core_->registry.wait_empty(kGoodbye));
  asio::post(strand_, [this] { sweep_.cancel(); });
  threads_.clear();  // the context runs out of work
}

}  // namespace

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, Handler& handler) {
  std::shared_ptr<const TlsContext> tls;
  if (options.identity) {
    UMBEL_ASSIGN_OR_RETURN(tls, TlsContext::server(*options.identity));
  }
  UMBEL_ASSIGN_OR_RETURN(Descriptor listener, listen_on(options.address, options.port));
  return std::make_unique<RunningServer>(
      std::make_shared<ServerCore>(std::move(options), handler, std::move(tls)),
      std::move(listener));
}

}  // namespace umbel::http

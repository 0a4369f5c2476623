#include <absl/synchronization/mutex.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <thread>
#include <utility>

#include "umbel/http/client.h"
#include "umbel/http/dial.h"
#include "umbel/http/registry.h"
#include "umbel/http/tls_context.h"
#include "umbel/http/websocket_session.h"

namespace umbel::http {

namespace {

constexpr std::chrono::seconds kConnectTimeout{10};
constexpr std::chrono::milliseconds kSessionGoodbye{1000};
constexpr const char* kProtocol = "umbel.v1";

struct Core {
  Registry registry{SIZE_MAX, SIZE_MAX};
  asio::io_context context{1};
  const std::shared_ptr<const TlsContext> tls = TlsContext::client();
  bool stopped = false;  // set when the thread has ended
};

// A session on its way: name, connection, TLS, upgrade.  On the one thread, as everything here.
class Opening final : public Guest, public std::enable_shared_from_this<Opening> {
 public:
  Opening(std::shared_ptr<Core> core, Endpoint endpoint, std::string target,
          std::shared_ptr<SessionClient::Listener> listener, Registry::Place place)
      : core_(std::move(core)),
        endpoint_(std::move(endpoint)),
        target_(std::move(target)),
        listener_(std::move(listener)),
        place_(std::move(place)),
        resolver_(core_->context),
        deadline_(core_->context) {}

  void start() {
    place_.take(weak_from_this());
    asio::co_spawn(
        core_->context, [self = shared_from_this()] { return self->run(); }, asio::detached);
  }
  void expire() override {}
  void leave() override { drop(); }
  void drop() override {
    asio::post(core_->context,
               [self = shared_from_this()] { self->give_up(absl::CancelledError("stopping")); });
  }

 private:
  asio::awaitable<void> run();
  asio::awaitable<Status> connect();
  asio::awaitable<Status> connect_to(asio::ip::tcp::endpoint address);
  asio::awaitable<Status> handshake();
  void hand_over();

  void give_up(Status why) {
    if (!given_up_.ok()) return;
    given_up_ = std::move(why);
    resolver_.cancel();
    error_code ignored;
    if (socket_) socket_->cancel(ignored);
    if (stream_) stream_->socket().cancel(ignored);
  }

  const std::shared_ptr<Core> core_;
  const Endpoint endpoint_;
  const std::string target_;
  std::shared_ptr<SessionClient::Listener> listener_;
  Registry::Place place_;
  asio::ip::tcp::resolver resolver_;
  asio::steady_timer deadline_;
  std::optional<asio::ip::tcp::socket> socket_;
  std::optional<AsyncStream> stream_;
  Status given_up_;
};

asio::awaitable<void> Opening::run() {
  deadline_.expires_after(kConnectTimeout);
  deadline_.async_wait([self = shared_from_this()](error_code code) {
    if (!code) self->give_up(unavailable("no connection within {} s", kConnectTimeout.count()));
  });
  Status status = co_await connect();
  if (status.ok()) status = co_await handshake();
  if (!given_up_.ok()) status = given_up_;
  deadline_.cancel();
  if (status.ok()) {
    hand_over();
  } else {
    std::exchange(listener_, nullptr)->closed(annotate(status, endpoint_.text()));
    place_ = Registry::Place();
  }
}

asio::awaitable<Status> Opening::connect() {
  error_code code;
  const auto found =
      co_await resolver_.async_resolve(endpoint_.host, std::to_string(endpoint_.port),
                                       asio::redirect_error(asio::use_awaitable, code));
  if (code) co_return unavailable("the host is not known: {}", code.message());
  Status status = unavailable("the host has no address");
  for (const auto& entry : found) {
    if (!given_up_.ok()) break;
    status = co_await connect_to(entry.endpoint());
    if (status.ok()) break;
  }
  co_return status;
}

asio::awaitable<Status> Opening::connect_to(asio::ip::tcp::endpoint address) {
  Result<Descriptor> started = start_connect(address.data(), static_cast<unsigned>(address.size()));
  if (!started.ok()) co_return started.status();
  socket_.emplace(core_->context);
  error_code code;
  socket_->assign(address.protocol(), started->get(), code);
  if (code) co_return unavailable("{}", code.message());
  const int descriptor = started->release();
  co_await socket_->async_wait(asio::ip::tcp::socket::wait_write,
                               asio::redirect_error(asio::use_awaitable, code));
  if (code) co_return unavailable("{}", code.message());
  co_return connect_result(descriptor);
}

asio::awaitable<Status> Opening::handshake() {
  const int descriptor = socket_->native_handle();
  stream_.emplace(*std::exchange(socket_, std::nullopt),
                  endpoint_.trust.plain
                      ? Transport(descriptor)
                      : core_->tls->connect(descriptor, endpoint_.trust, endpoint_.host));
  while (given_up_.ok()) {
    const Step step = stream_->transport().handshake();
    if (step.end) co_return unavailable("the connection was closed during the TLS handshake");
    if (step.want == Want::kNothing) co_return step.status;
    error_code code;
    co_await stream_->socket().async_wait(step.want == Want::kWrite
                                              ? asio::ip::tcp::socket::wait_write
                                              : asio::ip::tcp::socket::wait_read,
                                          asio::redirect_error(asio::use_awaitable, code));
  }
  co_return given_up_;
}

void Opening::hand_over() {
  WebSocketSession::Options options;
  error_code ignored;
  const auto remote = stream_->socket().remote_endpoint(ignored);
  options.peer = address_text(remote.data());
  options.certificate_sha256 = stream_->transport().peer_certificate_sha256();
  options.name = endpoint_.text();
  options.protocol = kProtocol;
  const auto session = std::make_shared<WebSocketSession>(core_, *stream_, std::move(options));
  stream_.reset();
  const auto listener = std::exchange(listener_, nullptr);
  session->connect(endpoint_.text(), target_, listener, std::move(place_),
                   [listener, session] { listener->opened(session); });
}

}  // namespace

struct SessionClient::State {
  std::shared_ptr<Core> core = std::make_shared<Core>();
  asio::executor_work_guard<asio::io_context::executor_type> work{core->context.get_executor()};
  std::jthread thread{[core = core] { core->context.run(); }};
};

SessionClient::SessionClient() : state_(std::make_unique<State>()) {}

SessionClient::~SessionClient() {
  Registry& registry = state_->core->registry;
  registry.leave_all();
  while (!registry.wait_empty(kSessionGoodbye)) registry.drop_all();
  asio::io_context& context = state_->core->context;
  context.stop();
  state_->thread.join();
  // What sessions left behind is done here; calls of after() are no longer made.
  state_->core->stopped = true;
  context.restart();
  context.poll();
}

void SessionClient::open(const Endpoint& endpoint, std::string target,
                         std::shared_ptr<Listener> listener) {
  const std::shared_ptr<Core> core = state_->core;
  const auto opening = std::make_shared<Opening>(core, endpoint, std::move(target),
                                                 std::move(listener), *core->registry.enter(""));
  opening->start();
}

void SessionClient::after(std::chrono::milliseconds delay, std::function<void()> call) {
  const auto timer = std::make_shared<asio::steady_timer>(state_->core->context);
  timer->expires_after(delay);
  timer->async_wait([timer, core = state_->core.get(), call = std::move(call)](error_code code) {
    if (!code && !core->stopped) call();
  });
}

}  // namespace umbel::http

#include <absl/synchronization/mutex.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <thread>

#include "bench/deploy.h"
#include "bench/fleet_nodes.h"
#include "bench/measure.h"
#include "umbel/base/check.h"
#include "umbel/http/server.h"

namespace umbel::bench {

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMessageBytes = 256;
// Both ends are asleep again by then.
constexpr std::chrono::milliseconds kIdle{2};

// Takes the times at which messages come.
class Receipts {
 public:
  void came() {
    const auto now = Clock::now();
    const absl::MutexLock lock(&mutex_);
    at_ = now;
  }
  Clock::time_point wait() {
    const auto is_there = [this] {
      mutex_.AssertHeld();
      return at_.has_value();
    };
    const absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&is_there));
    return *std::exchange(at_, std::nullopt);
  }

 private:
  absl::Mutex mutex_;
  std::optional<Clock::time_point> at_ ABSL_GUARDED_BY(mutex_);
};

// Either end of a session.
struct End final : http::SessionClient::Listener {
  explicit End(Receipts& receipts, bool answers) : receipts(receipts), answers(answers) {}
  void opened(std::shared_ptr<http::Session> opened_session) override {
    session = std::move(opened_session);
    receipts.came();
  }
  void received(std::span<const std::byte> message) override {
    receipts.came();
    if (answers) session->send({reinterpret_cast<const char*>(message.data()), message.size()});
  }
  void closed(const Status&) override { session.reset(); }

  Receipts& receipts;
  const bool answers;
  std::shared_ptr<http::Session> session;
};

struct OneSession final : http::Handler {
  explicit OneSession(Receipts& back) : end(std::make_shared<End>(back, false)) {}
  std::unique_ptr<http::Call> begin(const http::RequestHead&) override {
    return http::answered(http::error_response(not_found("sessions only")));
  }
  Result<std::shared_ptr<http::SessionListener>> open(
      const http::RequestHead&, std::shared_ptr<http::Session> session) override {
    end->session = std::move(session);
    return end;
  }
  std::shared_ptr<End> end;
};

// A socket of the loopback interface with a thread that waits at its other end.
class BareSocket {
 public:
  BareSocket() {
    const Descriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    auto* at = reinterpret_cast<sockaddr*>(&address);
    UMBEL_CHECK(::bind(listener.get(), at, size) == 0 && ::listen(listener.get(), 1) == 0);
    UMBEL_CHECK(::getsockname(listener.get(), at, &size) == 0);
    sending_ = Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    UMBEL_CHECK(::connect(sending_.get(), at, size) == 0);
    const int yes = 1;
    ::setsockopt(sending_.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    receiving_ = Descriptor(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    thread_ = std::jthread([this] {
      std::array<char, kMessageBytes> message;
      while (::recv(receiving_.get(), message.data(), message.size(), MSG_WAITALL) > 0) {
        receipts_.came();
      }
    });
  }
  ~BareSocket() { ::shutdown(sending_.get(), SHUT_RDWR); }

  double deliver() {
    const std::array<char, kMessageBytes> message{};
    const auto start = Clock::now();
    UMBEL_CHECK(::send(sending_.get(), message.data(), message.size(), 0) == kMessageBytes);
    return std::chrono::duration<double>(receipts_.wait() - start).count();
  }

 private:
  Descriptor sending_, receiving_;
  Receipts receipts_;
  std::jthread thread_;
};

double quantile(std::vector<double> values, double share) {
  std::ranges::sort(values);
  const auto at = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::clamp<size_t>(at, 1, values.size()) - 1];
}

void print_quantiles(const std::string& what, const std::vector<double>& ours,
                     const std::vector<double>& floor) {
  for (const auto& [name, share] : {std::pair("median", 0.5), std::pair("p99", 0.99)}) {
    print({.id = "D-lat",
           .what = fmt::format("{}: {}", what, name),
           .ours = 1e3 * quantile(ours, share),
           .unit = "ms",
           .floor = floor.empty() ? 0 : 1e3 * quantile(floor, share),
           .runs = ours.size()});
  }
}

}  // namespace

void session_latency(bool smoke) {
  const size_t messages = smoke ? 20 : 2'000;
  Receipts there, back;
  OneSession handler(back);
  http::ServerOptions options{.address = "127.0.0.1", .port = 0, .identity = loopback_identity()};
  const auto server = or_throw(http::Server::start(options, handler));
  const http::Endpoint endpoint{
      "127.0.0.1", server->port(), {.authority_sha256 = loopback_identity().authority_sha256}};
  const auto node = std::make_shared<End>(there, true);
  {
    http::SessionClient client;
    client.open(endpoint, "/", node);
    there.wait();
    BareSocket bare;
    std::vector<double> delivered, answered, floor;
    for (size_t i = 0; i != messages; ++i) {
      std::this_thread::sleep_for(kIdle);
      const auto start = Clock::now();
      UMBEL_CHECK(handler.end->session->send(std::string(kMessageBytes, 'm')));
      delivered.push_back(std::chrono::duration<double>(there.wait() - start).count());
      answered.push_back(std::chrono::duration<double>(back.wait() - start).count());
      std::this_thread::sleep_for(kIdle);
      floor.push_back(bare.deliver());
    }
    print_quantiles("an idle session with TLS: sent to received", delivered, floor);
    print_quantiles("an idle session with TLS: sent to answer received", answered, {});
  }
}

void round_trips(const HubOptions& hub, size_t rounds) {
  Receipts receipts;
  std::vector<double> times;
  std::optional<Clock::time_point> answered;
  FleetNodes* all = nullptr;
  FleetNodes nodes(
      hub.endpoint, 1,
      {.on_frame =
           [&](size_t node, wire::HubFrame frame) {
             const auto* assign = std::get_if<wire::Assign>(&frame);
             if (assign == nullptr) return;
             if (answered) {
               times.push_back(std::chrono::duration<double>(Clock::now() - *answered).count());
             }
             answered = Clock::now();
             wire::NodeResult result{.instruction = assign->instruction};
             Metadata& metadata = result.reply.metadata = assign->message.metadata;
             metadata.reply_to = std::exchange(metadata.id, MessageId());
             std::swap(metadata.source, metadata.destination);
             all->send(node, result);
             if (times.size() + 1 == rounds) receipts.came();
           },
       .all_joined =
           [] {
             fmt::print("joined\n");
             std::fflush(stdout);
           }});
  all = &nodes;
  or_throw(nodes.enroll(hub.admin_key));
  nodes.join();
  receipts.wait();
  print_quantiles("a node's answer to the app's next message, ServerApp and hub between", times,
                  {});
}

}  // namespace umbel::bench

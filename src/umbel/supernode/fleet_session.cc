#include "umbel/supernode/fleet_session.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "umbel/base/text.h"
#include "umbel/supernode/log.h"

namespace umbel::supernode {

namespace {

constexpr std::chrono::seconds kHandshakeMax{15};
// After a refusal: soon at first, since a node is often started just before it is registered.
constexpr std::chrono::seconds kRefusedSoonWait{2}, kRefusedWait{30};
// A session that lasted this long was a good one: the next tries come quickly again.
constexpr std::chrono::seconds kGoodSession{10};
// Frames that were received and not looked at yet.
constexpr size_t kPendingBytesMax = size_t{64} << 20;

std::string bytes_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

// One connection's listener: takes its calls over to the loop.
class FleetSession::Connection final : public http::SessionClient::Listener {
 public:
  Connection(FleetSession& owner, uint64_t attempt) : owner_(owner), attempt_(attempt) {}

  void opened(std::shared_ptr<http::Session> session) override {
    session->set_message_max(wire::kFrameBytesMax);
    session_ = session;
    post([session](FleetSession& owner) { owner.opened(session); });
  }
  void received(std::span<const std::byte> message) override {
    const size_t size = message.size();
    if (pending_->fetch_add(size) + size > kPendingBytesMax) {
      session_->close("more frames than the node can take");
      return;
    }
    post([pending = pending_, size,
          frame = wire::parse_hub_frame(message)](FleetSession& owner) mutable {
      pending->fetch_sub(size);
      owner.received(std::move(frame));
    });
  }
  void closed(const Status& status) override {
    session_.reset();
    post([status](FleetSession& owner) { owner.closed(status); });
  }

 private:
  // Calls are carried out only while this is the owner's latest connection; the owner itself
  // outlives the loop's run.
  template <class Call>
  void post(Call call) {
    owner_.loop_.post([&owner = owner_, attempt = attempt_, call = std::move(call)]() mutable {
      if (owner.attempt_ == attempt) call(owner);
    });
  }

  FleetSession& owner_;
  const uint64_t attempt_;
  std::shared_ptr<http::Session> session_;
  const std::shared_ptr<std::atomic<size_t>> pending_ = std::make_shared<std::atomic<size_t>>(0);
};

FleetSession::FleetSession(Options options, const PrivateKey& key, Loop& loop,
                           FleetListener& listener)
    : options_(std::move(options)),
      key_(key),
      loop_(loop),
      listener_(listener),
      backoff_(options_.seed) {}

FleetSession::~FleetSession() = default;

void FleetSession::start() {
  lost_at_ = Loop::Clock::now();
  connect();
}

void FleetSession::connect() {
  if (stage_ == Stage::kStopped) return;
  stage_ = Stage::kOpening;
  const uint64_t attempt = ++attempt_;
  refusal_.reset();
  auto connection = std::make_shared<Connection>(*this, attempt);
  client_.open(options_.hub, "/v1/fleet", std::move(connection));
  loop_.after(kHandshakeMax, [this, attempt] {
    const bool busy = stage_ == Stage::kHello || stage_ == Stage::kProof;
    if (attempt_ == attempt && busy) give_up("the hub did not answer within 15 s");
  });
}

void FleetSession::opened(std::shared_ptr<http::Session> session) {
  if (stage_ != Stage::kOpening) return session->close("the node is being shut down");
  session_ = std::move(session);
  stage_ = Stage::kHello;
  std::array<std::byte, wire::kNonceBytes> nonce;
  random_bytes(nonce);
  nonce_ = bytes_text(nonce);
  held_ = listener_.holding();
  wire::Hello hello;
  hello.versions = {wire::kProtocolVersion};
  hello.key = key_.public_key();
  hello.nonce = nonce_;
  hello.holding = held_;
  hello.software = options_.software;
  hello.platform = options_.platform;
  session_->send(wire::format(wire::NodeFrame(std::move(hello))));
}

void FleetSession::received(Result<wire::HubFrame> frame) {
  if (absl::IsUnimplemented(frame.status())) return;  // of a newer hub: not meant for us
  if (!frame.ok()) return give_up("a frame of the hub: " + message_of(frame.status()));
  if (const auto* refusal = std::get_if<wire::Refusal>(&*frame)) return refused(*refusal);
  const auto* challenge = std::get_if<wire::Challenge>(&*frame);
  const auto* welcome = std::get_if<wire::Welcome>(&*frame);
  if (stage_ == Stage::kHello && challenge != nullptr) return challenged(*challenge);
  if (stage_ == Stage::kProof && welcome != nullptr) return welcomed(*welcome);
  if (stage_ == Stage::kOpen && challenge == nullptr && welcome == nullptr) {
    return listener_.received(*std::move(frame));
  }
  if (stage_ != Stage::kStopped) give_up("a frame of the hub came out of order");
}

void FleetSession::challenged(const wire::Challenge& challenge) {
  if (challenge.version != wire::kProtocolVersion) {
    refusal_ = failed_precondition("the hub speaks umbel.v{}, this node umbel.v{}",
                                   challenge.version, wire::kProtocolVersion);
    return give_up("no common version");
  }
  if (challenge.nonce.size() != wire::kNonceBytes) return give_up("the hub's nonce is too short");
  const std::string text =
      wire::proof_text(challenge.nonce, nonce_, session_->certificate_sha256());
  const Signature signature = key_.sign(std::as_bytes(std::span(text)));
  stage_ = Stage::kProof;
  session_->send(wire::format(
      wire::NodeFrame(wire::Proof{.signature = {signature.begin(), signature.end()}})));
}

void FleetSession::welcomed(const wire::Welcome& welcome) {
  stage_ = Stage::kOpen;
  opened_at_ = Loop::Clock::now();
  last_failure_.clear();
  listener_.connected(welcome, held_);
}

void FleetSession::refused(const wire::Refusal& refusal) {
  refusal_ = absl::UnauthenticatedError(
      fmt::format("{}: {} ({})", options_.hub.text(), refusal.reason, refusal.code));
  give_up("refused");
}

// closed() follows.
void FleetSession::give_up(const std::string& reason) {
  if (session_ == nullptr) return;
  if (!refusal_) log_warn("fleet: session given up reason=\"{}\"", escaped(reason));
  session_->close(reason);
}

void FleetSession::closed(const Status& status) {
  session_.reset();
  const bool was_open = stage_ == Stage::kOpen;
  if (stage_ == Stage::kStopped) return listener_.disconnected(absl::OkStatus());
  stage_ = Stage::kIdle;
  const Status reason = refusal_ ? *refusal_
                        : status.ok()
                            ? unavailable("{}: the hub ended the session", options_.hub.text())
                            : status;
  const auto now = Loop::Clock::now();
  if (was_open) {
    lost_at_ = now;
    if (now - opened_at_ >= kGoodSession) backoff_.reset();
    listener_.disconnected(reason);
  }
  const bool final = refusal_ || absl::IsUnauthenticated(reason);
  if (message_of(reason) != last_failure_) {
    last_failure_ = message_of(reason);
    listener_.failed(reason, final);
  }
  if (stage_ == Stage::kStopped) return;  // the listener may have had enough
  const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(now - lost_at_);
  const auto wait = backoff_.next(since);
  const std::chrono::milliseconds refused =
      since < Backoff::kSoon ? kRefusedSoonWait : kRefusedWait;
  retry_in(refusal_ ? std::max(wait, refused) : wait);
}

void FleetSession::retry_in(std::chrono::milliseconds wait) {
  loop_.after(wait, [this, attempt = attempt_] {
    if (attempt_ == attempt && stage_ == Stage::kIdle) connect();
  });
}

bool FleetSession::send(const wire::NodeFrame& frame) {
  return stage_ == Stage::kOpen && session_->send(wire::format(frame));
}

void FleetSession::stop(const std::string& reason) {
  stage_ = Stage::kStopped;
  if (session_ != nullptr) session_->close(reason);
}

}  // namespace umbel::supernode

#include "bench/fleet_nodes.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "umbel/base/rng.h"

namespace umbel::bench {

namespace {

using Json = nlohmann::json;

std::string hex_of(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) text += fmt::format("{:02x}", std::to_integer<int>(byte));
  return text;
}

std::string bytes_of(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 2 <= hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

Result<Json> call(http::Client& client, std::string_view method, std::string_view target,
                  const Json& body) {
  UMBEL_ASSIGN_OR_RETURN(const auto reply,
                         client.request(method, target, body.is_null() ? "" : body.dump()));
  UMBEL_RETURN_IF_ERROR(reply.status());
  Json json = Json::parse(reply.body, nullptr, false);
  if (json.is_discarded()) return data_loss("{}: the answer is no JSON", target);
  return json;
}

Status log_in(http::Client& client, const PrivateKey& key) {
  UMBEL_ASSIGN_OR_RETURN(const std::string certificate, client.certificate_sha256());
  UMBEL_ASSIGN_OR_RETURN(const Json challenge, call(client, "GET", "/v1/challenge", {}));
  const std::string nonce = challenge.value("nonce", "");
  const std::string own = random_hex(32);
  const std::string text = "umbel.v1 user login" + bytes_of(nonce) + bytes_of(own) + certificate;
  const Json answer = {{"key", key.public_key().text()},
                       {"nonce", nonce},
                       {"client-nonce", own},
                       {"signature", hex_of(key.sign(std::as_bytes(std::span(text))))}};
  UMBEL_ASSIGN_OR_RETURN(const Json account, call(client, "POST", "/v1/login", answer));
  client.set_bearer(account.value("token", ""));
  return absl::OkStatus();
}

}  // namespace

class FleetNodes::Node final : public http::SessionClient::Listener,
                               public std::enable_shared_from_this<Node> {
 public:
  Node(FleetNodes& owner, size_t number) : owner_(owner), number_(number), backoff_(number) {}

  const PublicKey& key() const { return key_.public_key(); }
  void open() { owner_.client_->open(owner_.hub_, "/v1/fleet", shared_from_this()); }
  void send(const wire::NodeFrame& frame) {
    const absl::MutexLock lock(&mutex_);
    if (session_) session_->send(wire::format(frame));
  }
  std::string token() const {
    const absl::MutexLock lock(&mutex_);
    return token_;
  }

  void opened(std::shared_ptr<http::Session> session) override {
    session->set_message_max(wire::kFrameBytesMax);
    {
      const absl::MutexLock lock(&mutex_);
      session_ = std::move(session);
    }
    nonce_.resize(wire::kNonceBytes);
    random_bytes(std::as_writable_bytes(std::span(nonce_)));
    send(wire::Hello{.versions = {wire::kProtocolVersion},
                     .key = key_.public_key(),
                     .nonce = nonce_,
                     .software = "bench"});
  }

  void received(std::span<const std::byte> message) override {
    Result<wire::HubFrame> frame = wire::parse_hub_frame(message);
    if (!frame.ok()) return;
    if (const auto* challenge = std::get_if<wire::Challenge>(&*frame)) return prove(*challenge);
    if (auto* welcome = std::get_if<wire::Welcome>(&*frame)) {
      {
        const absl::MutexLock lock(&mutex_);
        token_ = welcome->token;
      }
      is_in_ = true;
      lost_at_.reset();
      backoff_.reset();
      return owner_.joined();
    }
    if (const auto* refusal = std::get_if<wire::Refusal>(&*frame)) {
      fmt::print(stderr, "node {}: refused: {}\n", number_, refusal->reason);
      return;
    }
    if (owner_.hooks_.on_frame) owner_.hooks_.on_frame(number_, *std::move(frame));
  }

  void closed(const Status&) override {
    {
      const absl::MutexLock lock(&mutex_);
      session_.reset();
    }
    if (std::exchange(is_in_, false)) owner_.lost();
    const auto now = std::chrono::steady_clock::now();
    if (!lost_at_) lost_at_ = now;
    const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(now - *lost_at_);
    owner_.client_->after(backoff_.next(since), [self = shared_from_this()] { self->open(); });
  }

 private:
  void prove(const wire::Challenge& challenge) {
    std::string certificate;
    {
      const absl::MutexLock lock(&mutex_);
      certificate = session_->certificate_sha256();
    }
    const std::string text = wire::proof_text(challenge.nonce, nonce_, certificate);
    const Signature signature = key_.sign(std::as_bytes(std::span(text)));
    send(wire::Proof{.signature = {signature.begin(), signature.end()}});
  }

  FleetNodes& owner_;
  const size_t number_;
  const PrivateKey key_ = PrivateKey::generate();
  supernode::Backoff backoff_;
  std::string nonce_;
  bool is_in_ = false;
  std::optional<std::chrono::steady_clock::time_point> lost_at_;

  mutable absl::Mutex mutex_;
  std::shared_ptr<http::Session> session_ ABSL_GUARDED_BY(mutex_);
  std::string token_ ABSL_GUARDED_BY(mutex_);
};

FleetNodes::FleetNodes(http::Endpoint hub, size_t count, Hooks hooks)
    : hub_(std::move(hub)), hooks_(std::move(hooks)) {
  for (size_t i = 0; i != count; ++i) nodes_.push_back(std::make_shared<Node>(*this, i));
  client_ = std::make_unique<http::SessionClient>();
}

FleetNodes::~FleetNodes() = default;

Status FleetNodes::enroll(const std::filesystem::path& admin_key) {
  UMBEL_ASSIGN_OR_RETURN(const PrivateKey key, PrivateKey::read(admin_key));
  http::Client client(hub_);
  UMBEL_RETURN_IF_ERROR(log_in(client, key));
  const std::string prefix = "bench-" + random_hex(4);
  for (size_t i = 0; i != nodes_.size(); ++i) {
    const Json node = {{"name", fmt::format("{}-{}", prefix, i)}, {"key", nodes_[i]->key().text()}};
    UMBEL_RETURN_IF_ERROR(call(client, "POST", "/v1/nodes", node).status());
  }
  return absl::OkStatus();
}

void FleetNodes::join() {
  for (const auto& node : nodes_) node->open();
}

void FleetNodes::send(size_t node, const wire::NodeFrame& frame) { nodes_[node]->send(frame); }

std::string FleetNodes::token(size_t node) const { return nodes_[node]->token(); }

void FleetNodes::joined() {
  if (++joined_ == nodes_.size() && hooks_.all_joined) hooks_.all_joined();
}

void FleetNodes::lost() { --joined_; }

}  // namespace umbel::bench

#include "umbel/supernode/node.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "umbel/base/rng.h"
#include "umbel/base/text.h"
#include "umbel/supernode/log.h"
#include "umbel/supernode/node_impl.h"

namespace umbel::supernode {

namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

constexpr milliseconds kTick{5'000};
constexpr milliseconds kCloseMax{2'000};
constexpr size_t kLogsMax = 200;  // of runs
constexpr std::chrono::hours kStatesAge{30 * 24};

uint64_t random_seed() {
  uint64_t seed = 0;
  random_bytes(std::as_writable_bytes(std::span(&seed, 1)));
  return seed;
}

BundleCache::Options cache_options(const NodeOptions& options) {
  return {.folder = options.state / "bundles",
          .build_from_source = options.build_from_source,
          .python = options.python,
          .on_build_line = [](std::string_view line) { log_info("build: {}", line); }};
}

}  // namespace

Node::Impl::Impl(NodeOptions options, PrivateKey key, Pins pins, Descriptor lock)
    : options_(std::move(options)),
      key_(std::move(key)),
      pins_(std::move(pins)),
      lock_(std::move(lock)),
      policy_(options_.policy),
      state_({.apps_max = options_.apps_max, .idle_max = options_.idle_max}),
      cache_(cache_options(options_), policy_),
      disk_thread_([this] { disk_.run(); }),
      transfers_(options_.hub, random_seed()),
      session_({.hub = options_.hub,
                .software = options_.software,
                .platform = bundle::this_platform(),
                .seed = random_seed()},
               key_, loop_, *this) {
  shown_.hub = options_.hub.text();
  shown_.name = options_.name;
  shown_.key = key_.public_key().text();
  shown_.software = options_.software;
  shown_.pid = getpid();
  shown_.started_ms = milliseconds_since_1970();
}

Node::Impl::~Impl() {
  disk_.stop();
  runs_.clear();  // their processes' threads post to the loop
}

NodeState::Time Node::Impl::now() const {
  return duration_cast<milliseconds>(Loop::Clock::now() - begun_);
}

int Node::Impl::run() {
  prune_logs(options_.state / "logs", kLogsMax);
  prune_states(states_folder(), kStatesAge);
  loop_.post([this] {
    session_.start();
    show_status();
    tick();
  });
  loop_.run();
  shown_.connected = false;
  write_status_now();
  return exit_code_;
}

void Node::Impl::stop() {
  loop_.post([this, first = stops_.fetch_add(1) == 0] { first ? drain() : finish(0); });
}

void Node::Impl::tick() {
  state_.tick(now());
  pump();
  loop_.after(kTick, [this] { tick(); });
}

void Node::Impl::drain() {
  if (finishing_) return;
  log_info("node: shutting down working={} seconds-max={}", state_.count(Stage::kRunning),
           options_.drain_max.count());
  session_.send(wire::Draining{});
  state_.drain(now());
  loop_.after(options_.drain_max, [this] { finish(0); });
  pump();
}

void Node::Impl::finish(int exit_code) {
  if (std::exchange(finishing_, true)) return;
  exit_code_ = exit_code;
  const bool was_open = session_.is_open();
  session_.stop("the node was shut down");
  if (!was_open) return loop_.stop();
  loop_.after(kCloseMax, [this] { loop_.stop(); });
}

std::vector<uint64_t> Node::Impl::holding() { return state_.holding(); }

void Node::Impl::connected(const wire::Welcome& welcome, const std::vector<uint64_t>& held) {
  log_info("fleet: connected hub={} name={} held={} kept={}", options_.hub.text(), welcome.name,
           held.size(), welcome.keep.size());
  inline_max_ = std::min<uint64_t>(welcome.inline_bytes_max, wire::kFrameBytesMax / 2);
  transfers_.set_token(welcome.token);
  shown_.connected = true;
  shown_.name = welcome.name;
  shown_.last_error.clear();
  state_.connected(held, welcome.keep, now());
  if (state_.is_draining()) session_.send(wire::Draining{});
  pump();
}

void Node::Impl::disconnected(const Status& reason) {
  if (finishing_) return loop_.stop();
  log_warn("fleet: session ended reason=\"{}\"", message_of(reason));
  transfers_.set_token("");
  shown_.connected = false;
  pump();
}

void Node::Impl::failed(const Status& reason, bool final) {
  shown_.last_error = message_of(reason);
  if (final) {
    log_error("fleet: the hub refuses this node reason=\"{}\" key={}", message_of(reason),
              shown_.key);
  } else {
    log_warn("fleet: not connected, trying again reason=\"{}\"", message_of(reason));
  }
  show_status();
  if (final && options_.exit_on_refusal) finish(2);
}

void Node::Impl::received(wire::HubFrame frame) {
  std::visit([this](auto& it) { take(it); }, frame);
  pump();
}

// Carries out what the state asks for, until it asks for nothing.
void Node::Impl::pump() {
  for (auto actions = state_.take_actions(); !actions.empty(); actions = state_.take_actions()) {
    for (const Action& action : actions) {
      std::visit([this](const auto& it) { carry_out(it); }, action);
    }
  }
  std::erase_if(over_, [this](RunId run) {
    if (state_.has_process(run)) return false;  // on its way out
    runs_.erase(run);
    return true;
  });
  show_status();
  if (state_.is_draining() && state_.is_idle() && !finishing_) finish(0);
}

Node::Node(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Node::~Node() = default;

Result<std::unique_ptr<Node>> Node::create(NodeOptions options, PrivateKey key) {
  UMBEL_ASSIGN_OR_RETURN(Pins pins, Pins::read(options.apps, options.python));
  UMBEL_ASSIGN_OR_RETURN(Descriptor lock, lock_state(options.state));
  if (options.policy.trust_publishers.empty() && !options.policy.allow_any_app &&
      options.apps.empty()) {
    log_warn(
        "policy: this node will run no app: --trust-publisher ed25519:... names whose apps may "
        "run");
  }
  return std::unique_ptr<Node>(new Node(std::make_unique<Impl>(std::move(options), std::move(key),
                                                               std::move(pins), std::move(lock))));
}

int Node::run() { return impl_->run(); }
void Node::stop() { impl_->stop(); }

}  // namespace umbel::supernode

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
constexpr milliseconds kStatusEvery{1'000};
constexpr milliseconds kCloseMax{2'000};
constexpr size_t kLogsMax = 200;    // of runs
constexpr size_t kRunsMax = 1'000;  // of which something is kept

uint64_t random_seed() {
  uint64_t seed = 0;
  random_bytes(std::as_writable_bytes(std::span(&seed, 1)));
  return seed;
}

int64_t now_ms() {
  return duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

BundleCache::Options cache_options(const NodeOptions& options) {
  return {.folder = options.state / "bundles",
          .build_from_source = options.build_from_source,
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
  shown_.started_ms = now_ms();
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

// Why an instruction is answered at once; "" if it is not.
std::string Node::Impl::refusal_of(const wire::Assign& assign) const {
  const wire::Envelope& message = assign.message;
  if (message.error) return "the message has no content";
  const Status allowed = policy_.may_handle(message.metadata);
  if (!allowed.ok()) return message_of(allowed);
  const wire::BlobRef& blob = message.blob;
  if (blob.size != message.head.blob_size()) return "the message's arrays have another size";
  if (blob.is_here()) return "";
  if (blob.id == 0) return "the message came without its arrays";
  const auto known = blobs_.find(blob.id);
  const bool same = known == blobs_.end() ||
                    (known->second.ref.size == blob.size && known->second.ref.crc32 == blob.crc32);
  return same ? "" : "two messages' arrays have one number";
}

void Node::Impl::take(wire::Assign& assign) {
  const uint64_t id = assign.instruction;
  const RunId run = assign.run.id;
  session_.send(wire::Accept{id});
  Assignment assignment{.instruction = id, .run = run, .refusal = refusal_of(assign)};
  if (!state_.stage(id) && assignment.refusal.empty()) {
    if (!runs_.contains(run)) forget_old_runs();
    if (const App* pinned = pins_.find(assign.run.bundle.id)) {
      runs_[run].app = *pinned;
    } else {
      assignment.bundle = assign.run.bundle.sha256;
      bundle_refs_[assign.run.bundle.sha256] = assign.run.bundle;
    }
    runs_[run].info = assign.run;
    over_.erase(run);
    const wire::BlobRef& blob = assign.message.blob;
    if (!blob.is_here()) {
      assignment.blob = blob.id;
      blobs_.try_emplace(blob.id, Blob{.ref = blob});
    }
  }
  const auto time = now();
  if (!state_.stage(id)) instructions_[id].assign = std::move(assign);
  state_.assign(assignment, time);
  if (!state_.stage(id)) instructions_.erase(id);  // beyond all limits
}

// A hub that never says that a run ended gets no memory of ours for it.
void Node::Impl::forget_old_runs() {
  if (runs_.size() < kRunsMax) return;
  std::set<RunId> in_use;
  for (const auto& [id, instruction] : instructions_) in_use.insert(instruction.assign.run.id);
  for (auto run = runs_.begin(); run != runs_.end() && runs_.size() >= kRunsMax;) {
    const bool idle = !state_.has_process(run->first) && !in_use.contains(run->first);
    run = idle ? runs_.erase(run) : std::next(run);
  }
}

void Node::Impl::take(const wire::WrapUp& wrap_up) {
  const auto found = instructions_.find(wrap_up.instruction);
  if (found == instructions_.end()) return;
  const double seconds = std::clamp(wrap_up.seconds, 0.0, 1e9);
  found->second.wrap_up = Loop::Clock::now() + duration_cast<Loop::Clock::duration>(
                                                   std::chrono::duration<double>(seconds));
  if (state_.stage(wrap_up.instruction) == Stage::kRunning) wrap_up_running(wrap_up.instruction);
}

void Node::Impl::take(const wire::Cancel& cancel) { state_.cancel(cancel.instruction, now()); }

void Node::Impl::take(const wire::Upload& upload) {
  state_.upload(upload.instruction, upload.offset);
}

void Node::Impl::take(const wire::Done& done) {
  if (!done.counted && state_.stage(done.instruction)) {
    log_info("fleet: reply not counted instruction={} reason=\"{}\"", done.instruction,
             done.reason);
  }
  state_.done(done.instruction, now());
}

void Node::Impl::take(const wire::RunEnded& ended) {
  if (!runs_.contains(ended.run)) return;
  state_.run_ended(ended.run, now());
  over_.insert(ended.run);
  log_info("run: ended run={}", ended.run.value());
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

NodeStatus Node::Impl::status() const {
  NodeStatus status = shown_;
  status.draining = state_.is_draining();
  status.changed_ms = now_ms();
  status.fetching = state_.count(Stage::kFetching);
  status.waiting = state_.count(Stage::kWaiting);
  status.working = state_.count(Stage::kRunning);
  status.kept = state_.count(Stage::kKept);
  for (const auto& [id, run] : runs_) {
    status.runs.push_back({.run = id.value(),
                           .app = run.info.bundle.id,
                           .working = state_.running(id).has_value(),
                           .process = state_.has_process(id)});
  }
  return status;
}

// At most once a second; what came meanwhile is shown at its end.
void Node::Impl::show_status() {
  if (show_later_) return;
  const auto time = Loop::Clock::now();
  if (time - shown_at_ < kStatusEvery && shown_at_ != Loop::Clock::time_point()) {
    show_later_ = true;
    return loop_.after(shown_at_ + kStatusEvery - time, [this] {
      show_later_ = false;
      show_status();
    });
  }
  shown_at_ = time;
  write_status_now();
}

void Node::Impl::write_status_now() const {
  const Status written = write_status(options_.state / "status.json", status());
  if (!written.ok()) log_warn("status: not written reason=\"{}\"", message_of(written));
}

Node::Node(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Node::~Node() = default;

Result<std::unique_ptr<Node>> Node::create(NodeOptions options, PrivateKey key) {
  UMBEL_ASSIGN_OR_RETURN(Pins pins, Pins::read(options.apps));
  UMBEL_ASSIGN_OR_RETURN(Descriptor lock, lock_state(options.state));
  return std::unique_ptr<Node>(new Node(std::make_unique<Impl>(std::move(options), std::move(key),
                                                               std::move(pins), std::move(lock))));
}

int Node::run() { return impl_->run(); }
void Node::stop() { impl_->stop(); }

}  // namespace umbel::supernode

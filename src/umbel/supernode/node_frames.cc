#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "umbel/supernode/log.h"
#include "umbel/supernode/node_impl.h"

namespace umbel::supernode {

namespace {

constexpr size_t kRunsMax = 1'000;         // of which something is kept
constexpr double kWrapUpSecondsMax = 1e9;  // later is never

}  // namespace

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
    runs_[run].states.open(states_folder(), assign.run);
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
  const double given = std::isnan(wrap_up.seconds) ? 0 : wrap_up.seconds;
  const double seconds = std::clamp(given, 0.0, kWrapUpSecondsMax);
  found->second.wrap_up = Loop::Clock::now() + std::chrono::duration_cast<Loop::Clock::duration>(
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
  // Also of a run whose work was before this process's life.
  remove_states(states_folder(), ended.run);
  if (!runs_.contains(ended.run)) return;
  state_.run_ended(ended.run, now());
  over_.insert(ended.run);
  log_info("run: ended run={}", ended.run.value());
}

}  // namespace umbel::supernode

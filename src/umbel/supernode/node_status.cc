#include "umbel/supernode/log.h"
#include "umbel/supernode/node_impl.h"

namespace umbel::supernode {

namespace {

constexpr std::chrono::milliseconds kStatusEvery{1'000};

}  // namespace

NodeStatus Node::Impl::status() const {
  NodeStatus status = shown_;
  status.draining = state_.is_draining();
  status.changed_ms = milliseconds_since_1970();
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

}  // namespace umbel::supernode

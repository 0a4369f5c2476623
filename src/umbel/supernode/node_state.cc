#include "umbel/supernode/node_state.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "umbel/base/check.h"

namespace umbel::supernode {

void NodeState::assign(const Assignment& assignment, Time now) {
  const uint64_t instruction = assignment.instruction;
  if (const auto known = work_.find(instruction); known != work_.end()) {
    if (known->second.stage == Stage::kKept) actions_.push_back(action::SendResult{instruction});
    return;
  }
  // Beyond even the errors that are kept for it: a hub that never says done gets no memory of ours.
  if (work_.size() >= 2 * limits_.instructions_max) return;
  const auto entry = work_.emplace(instruction, Work{.run = assignment.run}).first;
  Work& work = entry->second;
  if (!assignment.refusal.empty()) return fail(entry, assignment.refusal);
  if (draining_) return fail(entry, "the node is being shut down");
  if (work_.size() > limits_.instructions_max) {
    return fail(entry, fmt::format("the node has {} instructions already, and takes no more",
                                   limits_.instructions_max));
  }
  if (!assignment.bundle.empty()) {
    work.bundle = assignment.bundle;
    const auto [bundle, added] = bundles_.emplace(assignment.bundle, false);
    if (added) actions_.push_back(action::FetchBundle{assignment.bundle});
  }
  if (assignment.blob != 0) {
    work.blob = assignment.blob;
    const auto [blob, added] = blobs_.try_emplace(assignment.blob);
    blob->second.needed_by.insert(instruction);
    if (added) actions_.push_back(action::FetchBlob{assignment.blob});
  }
  schedule(now);
}

bool NodeState::is_ready(const Work& work) const {
  return (work.bundle.empty() || bundles_.at(work.bundle)) &&
         (work.blob == 0 || blobs_.at(work.blob).here);
}

void NodeState::bundle_fetched(const std::string& sha256, const std::string& error, Time now) {
  const auto bundle = bundles_.find(sha256);
  if (bundle == bundles_.end() || bundle->second) return;
  if (error.empty()) {
    bundle->second = true;
    return schedule(now);
  }
  for (auto work = work_.begin(); work != work_.end(); ++work) {
    if (work->second.bundle == sha256) fail(work, error);
  }
  bundles_.erase(bundle);  // the next instruction of this bundle tries again
}

void NodeState::blob_fetched(uint64_t blob, const std::string& error, Time now) {
  const auto found = blobs_.find(blob);
  if (found == blobs_.end() || found->second.here) return;
  if (error.empty()) {
    found->second.here = true;
    return schedule(now);
  }
  const std::set<uint64_t> needed_by = found->second.needed_by;
  for (const uint64_t instruction : needed_by) fail(work_.find(instruction), error);
}

void NodeState::handled(uint64_t instruction, Time now) {
  const auto found = work_.find(instruction);
  if (found == work_.end() || found->second.stage != Stage::kRunning) return;
  Work& work = found->second;
  Process& process = processes_.at(work.run);
  process.running.reset();
  process.idle_since = now;
  release_blob(instruction, work);
  work.bundle.clear();
  work.stage = Stage::kKept;
  actions_.push_back(action::SendResult{instruction});
  schedule(now);
}

void NodeState::process_ended(RunId run, const std::string& how, Time now) {
  const auto process = processes_.find(run);
  if (process == processes_.end()) return;
  const auto running = process->second.running;
  processes_.erase(process);
  if (running) {
    const auto found = work_.find(*running);
    // Killed from outside, by a person or for want of memory: no fault of the work's, perhaps.
    if (how.find("SIGKILL") != std::string::npos && !found->second.begun_again) {
      found->second.begun_again = true;
      found->second.stage = Stage::kWaiting;
    } else {
      fail(found, how);
    }
  }
  schedule(now);
}

void NodeState::cancel(uint64_t instruction, Time now) {
  const auto found = work_.find(instruction);
  if (found == work_.end()) return;
  drop(found);
  schedule(now);
}

void NodeState::upload(uint64_t instruction, uint64_t offset) {
  const auto found = work_.find(instruction);
  if (found == work_.end() || found->second.stage != Stage::kKept) return;
  if (found->second.uploading) {
    found->second.upload_next = offset;
    return;
  }
  found->second.uploading = true;
  actions_.push_back(action::StartUpload{instruction, offset});
}

void NodeState::upload_ended(uint64_t instruction) {
  const auto found = work_.find(instruction);
  if (found == work_.end()) return;
  found->second.uploading = false;
  const auto next = std::exchange(found->second.upload_next, std::nullopt);
  if (next) upload(instruction, *next);
}

void NodeState::run_ended(RunId run, Time now) {
  for (auto work = work_.begin(); work != work_.end();) {
    const auto here = work++;
    if (here->second.run == run) drop(here);
  }
  const auto process = processes_.find(run);
  if (process != processes_.end() && !process->second.ending) {
    process->second.ending = true;
    actions_.push_back(action::EndProcess{run, false});
  }
  schedule(now);
}

void NodeState::connected(std::span<const uint64_t> held, std::span<const uint64_t> keep,
                          Time now) {
  const std::set<uint64_t> wanted(keep.begin(), keep.end());
  for (const uint64_t instruction : held) {
    const auto found = work_.find(instruction);
    if (found == work_.end()) continue;
    if (!wanted.contains(instruction)) {
      drop(found);
    } else if (found->second.stage == Stage::kKept) {
      actions_.push_back(action::SendResult{instruction});
    }
  }
  schedule(now);
}

void NodeState::drain(Time now) {
  draining_ = true;
  for (auto work = work_.begin(); work != work_.end(); ++work) {
    const Stage stage = work->second.stage;
    if (stage == Stage::kFetching || stage == Stage::kWaiting) {
      fail(work, "the node is being shut down");
    }
  }
  schedule(now);
}

void NodeState::tick(Time now) {
  for (auto& [run, process] : processes_) {
    if (process.ending || process.running || now - process.idle_since < limits_.idle_max) continue;
    process.ending = true;
    actions_.push_back(action::EndProcess{run, false});
  }
}

std::vector<Action> NodeState::take_actions() { return std::exchange(actions_, {}); }

std::vector<uint64_t> NodeState::holding() const {
  std::vector<uint64_t> instructions;
  for (const auto& [instruction, work] : work_) instructions.push_back(instruction);
  return instructions;
}

std::optional<Stage> NodeState::stage(uint64_t instruction) const {
  const auto found = work_.find(instruction);
  return found == work_.end() ? std::nullopt : std::optional(found->second.stage);
}

std::optional<uint64_t> NodeState::running(RunId run) const {
  const auto found = processes_.find(run);
  return found == processes_.end() ? std::nullopt : found->second.running;
}

size_t NodeState::count(Stage stage) const {
  return static_cast<size_t>(std::count_if(
      work_.begin(), work_.end(), [&](const auto& entry) { return entry.second.stage == stage; }));
}

// The instruction needs its blob no more; who needs it last lets it go.
void NodeState::release_blob(uint64_t instruction, Work& work) {
  if (work.blob == 0) return;
  const auto blob = blobs_.find(work.blob);
  work.blob = 0;
  blob->second.needed_by.erase(instruction);
  if (!blob->second.needed_by.empty()) return;
  actions_.push_back(action::DropBlob{blob->first});
  blobs_.erase(blob);
}

// A process cannot be told to leave its work alone: it is ended with it.
void NodeState::leave_process(uint64_t instruction, const Work& work) {
  if (work.stage != Stage::kRunning) return;
  const auto process = processes_.find(work.run);
  if (process == processes_.end() || process->second.running != instruction) return;
  process->second.running.reset();
  process->second.ending = true;
  actions_.push_back(action::EndProcess{work.run, true});
}

void NodeState::drop(Works::iterator found) {
  leave_process(found->first, found->second);
  release_blob(found->first, found->second);
  if (found->second.uploading) actions_.push_back(action::StopUpload{found->first});
  actions_.push_back(action::Forget{found->first});
  work_.erase(found);
}

void NodeState::fail(Works::iterator found, const std::string& reason) {
  UMBEL_CHECK(found != work_.end());
  leave_process(found->first, found->second);
  release_blob(found->first, found->second);
  found->second.bundle.clear();
  found->second.stage = Stage::kKept;
  actions_.push_back(action::Fail{found->first, reason});
}

std::set<RunId> NodeState::waiting_runs() const {
  std::set<RunId> runs;
  for (const auto& [instruction, work] : work_) {
    if (work.stage == Stage::kWaiting) runs.insert(work.run);
  }
  return runs;
}

// Ends idle processes that nothing waits for, the longest idle first, until `wanted` are on their
// way out.
void NodeState::make_room(size_t wanted) {
  size_t ending = 0;
  for (const auto& [run, process] : processes_) ending += process.ending ? 1 : 0;
  const std::set<RunId> waiting = waiting_runs();
  for (; ending < wanted; ++ending) {
    auto longest = processes_.end();
    for (auto process = processes_.begin(); process != processes_.end(); ++process) {
      if (process->second.ending || process->second.running || waiting.contains(process->first)) {
        continue;
      }
      if (longest == processes_.end() || process->second.idle_since < longest->second.idle_since) {
        longest = process;
      }
    }
    if (longest == processes_.end()) return;
    longest->second.ending = true;
    actions_.push_back(action::EndProcess{longest->first, false});
  }
}

void NodeState::schedule(Time now) {
  std::set<RunId> without_room;
  for (auto& [instruction, work] : work_) {
    if (work.stage == Stage::kFetching && is_ready(work)) work.stage = Stage::kWaiting;
    if (work.stage != Stage::kWaiting) continue;
    auto process = processes_.find(work.run);
    if (process == processes_.end()) {
      if (processes_.size() >= limits_.apps_max) {
        without_room.insert(work.run);
        continue;
      }
      process = processes_.emplace(work.run, Process{.idle_since = now}).first;
      actions_.push_back(action::StartProcess{work.run});
    }
    if (process->second.running || process->second.ending) continue;
    process->second.running = instruction;
    work.stage = Stage::kRunning;
    actions_.push_back(action::Handle{instruction});
  }
  make_room(without_room.size());
}

}  // namespace umbel::supernode

#include <algorithm>
#include <utility>

#include "umbel/base/text.h"
#include "umbel/supernode/log.h"
#include "umbel/supernode/node_impl.h"

namespace umbel::supernode {

namespace {

constexpr size_t kHubLineBytesMax = 8'000;  // of what an app logged

// Made safe for logs, but for line ends: a traceback is many lines.
std::string escaped_lines(std::string_view text) {
  std::string safe;
  for (size_t at = 0; at <= text.size() && safe.size() < kHubLineBytesMax;) {
    const size_t end = std::min(text.find('\n', at), text.size());
    safe += (at == 0 ? "" : "\n") + escaped(text.substr(at, end - at));
    at = end + 1;
  }
  if (safe.size() > kHubLineBytesMax) safe.resize(kHubLineBytesMax);
  return safe;
}

}  // namespace

void Node::Impl::carry_out(const action::StartProcess& start) {
  const Status started = start_process(start.run, runs_.at(start.run));
  if (started.ok()) return;
  log_error("app: not started run={} reason=\"{}\"", start.run.value(), message_of(started));
  const uint64_t number = runs_.at(start.run).process_number;
  loop_.post([this, run = start.run, number, how = message_of(started)] {
    ended(run, number, "the app's process could not be started: " + how);
  });
}

Status Node::Impl::start_process(RunId id, RunHere& run) {
  run.process_number = ++numbers_;
  const uint64_t number = run.process_number;
  if (const auto known = apps_.find(run.info.bundle.sha256); known != apps_.end() && !run.app) {
    run.app = known->second;
  }
  if (!run.app) return not_found("bundle {}: not here", run.info.bundle.id);
  if (run.log == nullptr) {
    const auto file = options_.state / "logs" / fmt::format("run-{}.log", id.value());
    UMBEL_ASSIGN_OR_RETURN(run.log, AppLog::open(file));
  }
  AppProcess::Events events;
  events.answered = [this, id, number](AppProcess::Answer answer) {
    loop_.post([this, id, number, answer = std::move(answer)] { answered(id, number, answer); });
  };
  events.logged = [this, id, number](wire::AppLog line) {
    loop_.post([this, id, number, line = std::move(line)] { logged(id, number, line); });
  };
  events.ended = [this, id, number](std::string how, std::string words) {
    loop_.post([this, id, number, how = std::move(how), words = std::move(words)] {
      if (!words.empty()) log_warn("app: not ready run={} reason=\"{}\"", id.value(), words);
      const bool said = !words.empty() && policy_.may_log("error");
      ended(id, number, said ? how + ": " + words : how);
    });
  };
  const wire::ClientStart start{.run = run.info, .node_config = options_.node_config};
  UMBEL_ASSIGN_OR_RETURN(run.process,
                         AppProcess::start(*run.app, start, run.log, std::move(events)));
  log_info("app: started run={} app={}", id.value(), run.app->id);
  return absl::OkStatus();
}

void Node::Impl::carry_out(const action::Handle& handle) {
  const Instruction& instruction = instructions_.at(handle.instruction);
  const wire::Assign& assign = instruction.assign;
  RunHere& run = runs_.at(assign.run.id);
  if (run.process == nullptr) return;  // it could not be started: ended() follows
  wire::Handle frame{.instruction = handle.instruction, .message = assign.message};
  frame.message.blob.crc32.clear();
  Result<RecordDict> state = run.states.before(assign.client, assign.message.metadata);
  if (!state.ok()) return without_state(handle.instruction, state.status());
  frame.state = *std::move(state);
  const auto blob = blobs_.find(assign.message.blob.id);
  const bool beside = !assign.message.blob.is_here() && blob != blobs_.end();
  run.process->handle(frame, beside ? blob->second.here : nullptr);
  if (instruction.wrap_up) wrap_up_running(handle.instruction);
}

// Going on without what the client had kept would be another client's work.
void Node::Impl::without_state(uint64_t id, const Status& why) {
  Instruction& instruction = instructions_.at(id);
  log_error("states: {} (removing the file lets the client begin anew)", message_of(why));
  instruction.reply = error_reply(
      instruction.assign.message.metadata,
      "what this client keeps is damaged on its node's disk: the node's log names the file");
  ++shown_.failures;
  state_.handled(id, now());
}

void Node::Impl::wrap_up_running(uint64_t id) {
  const Instruction& instruction = instructions_.at(id);
  RunHere& run = runs_.at(instruction.assign.run.id);
  if (run.process == nullptr) return;
  const std::chrono::duration<double> left = *instruction.wrap_up - Loop::Clock::now();
  run.process->wrap_up(id, std::max(0.0, left.count()));
}

void Node::Impl::carry_out(const action::EndProcess& end) {
  RunHere& run = runs_.at(end.run);
  if (run.process == nullptr) return;
  end.at_once ? run.process->kill("") : run.process->end();
}

void Node::Impl::answered(RunId id, uint64_t number, AppProcess::Answer answer) {
  const auto found = runs_.find(id);
  if (found == runs_.end() || found->second.process_number != number) return;
  RunHere& run = found->second;
  const uint64_t instruction = answer.handled.instruction;
  const auto running = state_.running(id);
  if (!running) return;  // it was cancelled meanwhile
  if (*running != instruction) {
    return run.process->kill("the app's process answered what it had not been asked");
  }
  const wire::Assign& assign = instructions_.at(instruction).assign;
  const Status kept =
      run.states.keep(assign.client, assign.message.metadata, std::move(answer.handled.state));
  if (!kept.ok()) {
    log_error("states: not on the disk, in memory alone run={} reason=\"{}\"", id.value(),
              message_of(kept));
  }
  if (const auto& error = answer.handled.reply.error) {
    log_warn("app: failed run={} instruction={} reason=\"{}\"", id.value(), instruction,
             escaped(error->reason));
    answer.handled.reply.error = policy_.outgoing(*error);
  }
  KeptReply reply = app_reply(assign.message.metadata, std::move(answer.handled.reply),
                              std::move(answer.blob), std::move(answer.crc32));
  const Status allowed = policy_.may_leave(reply.told(0), now());
  if (!allowed.ok()) {
    log_warn("policy: reply kept back run={} instruction={} reason=\"{}\"", id.value(), instruction,
             message_of(allowed));
    reply = error_reply(assign.message.metadata, message_of(allowed));
  }
  reply.head.error ? ++shown_.failures : ++shown_.replies;
  instructions_.at(instruction).reply = std::move(reply);
  state_.handled(instruction, now());
  pump();
}

void Node::Impl::logged(RunId id, uint64_t number, wire::AppLog line) {
  const auto found = runs_.find(id);
  if (found == runs_.end() || found->second.process_number != number) return;
  const std::chrono::duration<double> time = Loop::Clock::now() - begun_;
  if (!policy_.may_log(line.level) || !log_allowance_.take(time.count())) return;
  session_.send(
      wire::NodeLog{.run = id, .level = line.level, .message = escaped_lines(line.message)});
}

void Node::Impl::ended(RunId id, uint64_t number, const std::string& how) {
  const auto found = runs_.find(id);
  if (found == runs_.end() || found->second.process_number != number) return;
  found->second.process.reset();
  if (state_.running(id)) log_error("app: ended at work run={} how=\"{}\"", id.value(), how);
  state_.process_ended(id, how, now());
  pump();
}

void Node::Impl::carry_out(const action::Fail& fail) {
  Instruction& instruction = instructions_.at(fail.instruction);
  instruction.reply = error_reply(instruction.assign.message.metadata, fail.reason);
  ++shown_.failures;
  log_warn("fleet: instruction failed instruction={} reason=\"{}\"", fail.instruction, fail.reason);
  carry_out(action::SendResult{fail.instruction});
}

// Without a session it is sent after the next welcome.
void Node::Impl::carry_out(const action::SendResult& send) {
  if (!session_.is_open()) return;
  Instruction& instruction = instructions_.at(send.instruction);
  session_.send(wire::NodeResult{.instruction = send.instruction,
                                 .reply = instruction.reply.told(inline_max_)});
}

void Node::Impl::carry_out(const action::StartUpload& start) {
  Instruction& instruction = instructions_.at(start.instruction);
  const auto ready = [this, id = start.instruction](const Status& status) {
    if (absl::IsCancelled(status)) return;
    loop_.post([this, id, status] {
      const auto found = instructions_.find(id);
      if (found == instructions_.end()) return;
      found->second.upload.reset();
      if (!status.ok()) {
        log_warn("fleet: upload failed instruction={} reason=\"{}\"", id, message_of(status));
      }
      state_.upload_ended(id);
      pump();
    });
  };
  instruction.upload =
      transfers_.upload(start.instruction, start.offset, instruction.reply.blob, ready);
}

void Node::Impl::carry_out(const action::StopUpload& stop) {
  const auto found = instructions_.find(stop.instruction);
  if (found != instructions_.end() && found->second.upload) {
    transfers_.cancel(*found->second.upload);
  }
}

void Node::Impl::carry_out(const action::Forget& forget) {
  instructions_.erase(forget.instruction);
}

}  // namespace umbel::supernode

#include "umbel/runner/client_process.h"

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <deque>
#include <memory>
#include <thread>

#include "umbel/app/silent_runtime.h"
#include "umbel/runner/attach.h"
#include "umbel/wire/runtime.h"

namespace umbel::runner {

namespace {

constexpr char kSoftware[] = "umbel 0.1.0";
constexpr size_t kQueueMax = 16;  // a node sends one at a time
constexpr std::chrono::duration<double> kSecondsMax{1e9};
constexpr int kExitLost = 1;

std::string_view level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "info";
}

// What a ClientApp's code may ask of its surroundings: its lines go to the node.
class NodeRuntime final : public SilentRuntime {
 public:
  explicit NodeRuntime(Channel& channel) : channel_(channel) {}
  void log(LogLevel level, std::optional<NodeId> node, std::string_view message) override {
    const wire::AppFrame frame =
        wire::AppLog{std::string(level_name(level)), std::string(message), node};
    (void)channel_.send(wire::format(frame));  // a node that is gone reads no lines
  }

 private:
  Channel& channel_;
};

// A message that waits or is being handled.
struct Work {
  wire::Handle handle;
  Descriptor blob;
  std::shared_ptr<WrapUp> wrap_up = std::make_shared<WrapUp>();
};

class ClientProcess {
 public:
  ClientProcess(Channel channel, const ClientHandler& client)
      : channel_(std::move(channel)), client_(client), runtime_(channel_) {}

  int run() {
    if (!channel_.send(wire::format(wire::AppFrame(wire::AppReady{kSoftware}))).ok()) {
      return kExitLost;
    }
    std::jthread reader([this] { read(); });
    const DenormalMode fast(DenormalMode::kFlush);  // as a simulation's workers
    while (std::optional<Work> work = next()) {
      const Status status = work_on(*work);
      absl::MutexLock lock(&mutex_);
      if (!status.ok()) end(status);
    }
    channel_.shut_down();
    absl::MutexLock lock(&mutex_);
    return absl::IsUnavailable(ended_) ? 0 : kExitLost;
  }

 private:
  // On a thread of its own, so that a wrap-up and the channel's end reach a running action.
  void read() {
    Status status;
    while (status.ok()) {
      Result<Channel::Frame> frame = channel_.receive(wire::kFrameBytesMax);
      status = frame.ok() ? take(*std::move(frame)) : frame.status();
    }
    absl::MutexLock lock(&mutex_);
    end(status);
    // Nobody wants the reply any more, and the action may never end by itself.
    if (working_) ::_exit(kExitLost);
  }

  // The first reason counts; that the node closes the channel is the usual one.
  void end(const Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!ended_.ok()) return;
    ended_ = status;
    if (absl::IsUnavailable(status)) return;
    std::fprintf(stderr, "the node's channel: %s\n", message_of(status).c_str());
  }

  Status take(Channel::Frame frame) {
    Result<wire::DaemonFrame> parsed =
        wire::parse_daemon_frame(std::as_bytes(std::span(frame.bytes)));
    if (absl::IsUnimplemented(parsed.status())) return absl::OkStatus();  // of a newer node
    UMBEL_RETURN_IF_ERROR(parsed.status());
    absl::MutexLock lock(&mutex_);
    if (auto* start = std::get_if<wire::ClientStart>(&*parsed)) return begin(std::move(*start));
    if (auto* handle = std::get_if<wire::Handle>(&*parsed)) {
      if (!run_) return invalid_argument("a message before the run's start");
      if (queue_.size() == kQueueMax) return invalid_argument("more than {} messages", kQueueMax);
      queue_.push_back({std::move(*handle), std::move(frame.blob)});
      return absl::OkStatus();
    }
    if (const auto* asked = std::get_if<wire::AppWrapUp>(&*parsed)) {
      wrap_up(*asked);
      return absl::OkStatus();
    }
    return invalid_argument("a frame that is for a ServerApp");
  }

  Status begin(wire::ClientStart start) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (run_) return invalid_argument("a second start");
    node_config_ = std::move(start.node_config);
    run_ = Run{.id = start.run.id,
               .seed = start.run.seed,
               .nodes = start.run.nodes,
               .config = RunConfig(std::move(start.run.config), std::move(start.run.origins)),
               .runtime = &runtime_};
    return absl::OkStatus();
  }

  void wrap_up(const wire::AppWrapUp& asked) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::shared_ptr<WrapUp> found;
    if (working_ && working_->first == asked.instruction) found = working_->second;
    for (const Work& work : queue_) {
      if (work.handle.instruction == asked.instruction) found = work.wrap_up;
    }
    if (!found) return;  // it is answered already
    const auto now = WrapUp::Clock::now();
    const auto left = std::min(std::chrono::duration<double>(asked.seconds), kSecondsMax);
    found->ask(now, now + std::chrono::duration_cast<WrapUp::Clock::duration>(left));
  }

  // The next message; nothing once the channel has ended.
  std::optional<Work> next() {
    absl::MutexLock lock(&mutex_);
    const auto awake = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      return !ended_.ok() || !queue_.empty();
    };
    mutex_.Await(absl::Condition(&awake));
    if (!ended_.ok()) return std::nullopt;
    Work work = std::move(queue_.front());
    queue_.pop_front();
    working_.emplace(work.handle.instruction, work.wrap_up);
    return work;
  }

  void action_ended() {
    absl::MutexLock lock(&mutex_);
    working_.reset();
  }

  const Run& run_of() {
    absl::MutexLock lock(&mutex_);
    return *run_;  // does not change once it is there
  }

  Status work_on(Work& work) {
    UMBEL_ASSIGN_OR_RETURN(const Buffer blob,
                           attached(work.handle.message.blob, std::move(work.blob)));
    UMBEL_ASSIGN_OR_RETURN(const Message message, wire::to_message(work.handle.message, blob));
    const Run& run = run_of();
    Context context(run, message.metadata().destination, client_seed(run.seed, message.metadata()),
                    &node_config_, work.wrap_up.get());
    context.state() = work.handle.state;
    const Message reply = client_.handle(message, context);
    action_ended();
    // A client whose action failed keeps what it had.
    if (reply.has_error()) return send(work, reply, work.handle.state);
    const Status sendable = check(reply, context.state());
    if (sendable.ok()) return send(work, reply, std::move(context.state()));
    return refuse(work, reply, message_of(sendable));
  }

  // That the node will take this reply and this state, as far as can be told before they are bytes.
  static Status check(const Message& reply, const RecordDict& state) {
    UMBEL_RETURN_IF_ERROR(annotate(wire::require_sendable(reply.content()), "the reply"));
    UMBEL_RETURN_IF_ERROR(annotate(wire::require_sendable(state), "the state"));
    if (state.byte_size() <= wire::kFrameBytesMax) return absl::OkStatus();
    return invalid_argument("the state: {} bytes, the limit is {}", state.byte_size(),
                            wire::kFrameBytesMax);
  }

  Status send(const Work& work, const Message& reply, RecordDict state) {
    wire::Handled handled{.instruction = work.handle.instruction,
                          .reply = wire::envelope_of(reply),
                          .state = std::move(state)};
    std::optional<SharedBlob> blob;
    if (!reply.has_error()) {
      UMBEL_ASSIGN_OR_RETURN(blob, shared_blob_of(reply.content(), handled.reply.blob));
    }
    const std::string bytes = wire::format(wire::AppFrame(std::move(handled)));
    if (bytes.size() <= wire::kFrameBytesMax) return channel_.send(bytes, blob ? &*blob : nullptr);
    return refuse(work, reply,
                  fmt::format("state, metrics and settings take {} bytes, the limit is {}",
                              bytes.size(), wire::kFrameBytesMax));
  }

  // An error instead of the reply; the state is as it was.
  Status refuse(const Work& work, const Message& reply, std::string_view reason) {
    const MessageError error{MessageError::Code::kBadReply,
                             fmt::format("client {}: {}", reply.source().value(), reason)};
    wire::Handled handled{.instruction = work.handle.instruction,
                          .reply = wire::envelope_of(Message(reply.metadata(), error)),
                          .state = work.handle.state};
    return channel_.send(wire::format(wire::AppFrame(std::move(handled))));
  }

  Channel channel_;
  const ClientHandler& client_;
  NodeRuntime runtime_;
  ConfigRecord node_config_;  // as run_: set before the first message, never changed

  absl::Mutex mutex_;
  std::optional<Run> run_ ABSL_GUARDED_BY(mutex_);
  std::deque<Work> queue_ ABSL_GUARDED_BY(mutex_);
  // The instruction whose action is running.
  std::optional<std::pair<uint64_t, std::shared_ptr<WrapUp>>> working_ ABSL_GUARDED_BY(mutex_);
  Status ended_ ABSL_GUARDED_BY(mutex_);  // why the channel is of no use any more
};

}  // namespace

int run_client_process(Channel channel, const ClientHandler& client) {
  return ClientProcess(std::move(channel), client).run();
}

}  // namespace umbel::runner

#include "umbel/runner/client_process.h"

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <deque>
#include <memory>
#include <thread>

#include "umbel/app/silent_runtime.h"
#include "umbel/runner/attach.h"
#include "umbel/runner/reply_memory.h"
#include "umbel/wire/runtime.h"

namespace umbel::runner {

namespace {

constexpr char kSoftware[] = "umbel 0.1.0";
constexpr size_t kQueueMax = 16;  // a node sends one at a time
constexpr double kSecondsMax = 1e9;
constexpr size_t kSmallBytes = 4 << 10;  // a blob that travels in its frame in any case
constexpr absl::Duration kLongAction = absl::Milliseconds(20);
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

WrapUp::Clock::duration clock_duration(double seconds) {
  return std::chrono::duration_cast<WrapUp::Clock::duration>(
      std::chrono::duration<double>(std::min(seconds, kSecondsMax)));
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

// A content that came with a message: what it takes to make the message's own copy of it.
struct KeptContent {
  uint64_t number = 0;
  wire::ContentHead head;
  Buffer here;        // its blob,
  SharedBlob beside;  // or the memory that has it

  static Result<KeptContent> make(wire::Handle& handle, Descriptor memory) {
    KeptContent content{handle.content, std::move(handle.message.head)};
    const wire::BlobRef& blob = handle.message.blob;
    if (blob.is_here() || !memory) {
      UMBEL_ASSIGN_OR_RETURN(content.here, attached(blob, std::move(memory)));
    } else {
      UMBEL_ASSIGN_OR_RETURN(content.beside, SharedBlob::adopt(std::move(memory), blob.size));
    }
    return content;
  }
  Result<RecordDict> copy() const {
    if (!beside) return wire::assemble(head, here.clone());
    UMBEL_ASSIGN_OR_RETURN(const Buffer blob, beside.map_private());
    return wire::assemble(head, blob);
  }
};

// One thread reads a message, has it answered, and reads the next.  Another reads what comes while
// an action takes long, so that a wrap-up and the channel's end reach it: no message waits for a
// thread to wake up.
class ClientProcess {
 public:
  ClientProcess(Channel channel, const ClientHandler& client)
      : channel_(std::move(channel)), client_(client), runtime_(channel_) {}

  int run() {
    action_over_ = Descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    const wire::AppFrame ready =
        wire::AppReady{kSoftware, {wire::kFeatureContents, wire::kFeatureReplyMemory}};
    if (!action_over_ || !channel_.send(wire::format(ready)).ok()) return kExitLost;
    std::jthread watcher([this] { watch(); });
    const DenormalMode fast(DenormalMode::kFlush);  // as a simulation's workers
    while (std::optional<Work> work = next()) {
      const Status status = work_on(*work);
      absl::MutexLock lock(&mutex_);
      if (!status.ok()) end(status);
    }
    channel_.shut_down();
    absl::MutexLock lock(&mutex_);
    closing_ = true;
    changed_.SignalAll();
    return absl::IsUnavailable(ended_) ? 0 : kExitLost;
  }

 private:
  // Looks now and then whether the action is still the same, and if so reads until it ends.
  void watch() {
    absl::MutexLock lock(&mutex_);
    uint64_t seen = 0;
    while (!closing_) {
      if (seen == turn_ && !working_) {
        parked_ = true;
        changed_.Wait(&mutex_);
        parked_ = false;
        continue;
      }
      const uint64_t turn = seen = turn_;
      changed_.WaitWithTimeout(&mutex_, kLongAction);
      if (working_ && turn_ == turn) read_while_working();
    }
  }

  void read_while_working() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    reading_ = true;
    while (working_) {
      mutex_.Unlock();
      Status status;
      if (channel_.wait(action_over_.get())) {
        Result<Channel::Frame> frame = channel_.receive(wire::kFrameBytesMax);
        status = frame.ok() ? take(*std::move(frame)) : frame.status();
      }
      mutex_.Lock();
      if (status.ok()) continue;
      end(status);
      // Nobody wants the reply any more, and the action may never end by itself.
      if (working_) ::_exit(kExitLost);
    }
    uint64_t ignored = 0;
    if (::read(action_over_.get(), &ignored, sizeof ignored) < 0) ignored = 0;
    reading_ = false;
    changed_.SignalAll();
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
      Work& work = queue_.emplace_back(Work{std::move(*handle), std::move(frame.blob)});
      if (const auto& time = work.handle.wrap_up) {
        const auto from = WrapUp::Clock::now() + clock_duration(time->in);
        work.wrap_up->ask(from, from + clock_duration(time->seconds));
      }
      return absl::OkStatus();
    }
    if (const auto* memory = std::get_if<wire::ReplyMemory>(&*parsed)) {
      UMBEL_ASSIGN_OR_RETURN(reply_memory_,
                             ReplyMemory::adopt(std::move(frame.blob), memory->size));
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
               .runtime = &runtime_,
               .twin_examples = start.twin_examples};
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
    found->ask(now, now + clock_duration(asked.seconds));
  }

  // The next message; nothing once the channel has ended.
  std::optional<Work> next() {
    for (;;) {
      {
        absl::MutexLock lock(&mutex_);
        if (!ended_.ok()) return std::nullopt;
        if (!queue_.empty()) return begin_work();
      }
      Result<Channel::Frame> frame = channel_.receive(wire::kFrameBytesMax);
      const Status status = frame.ok() ? take(*std::move(frame)) : frame.status();
      absl::MutexLock lock(&mutex_);
      if (!status.ok()) end(status);
    }
  }

  Work begin_work() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    Work work = std::move(queue_.front());
    queue_.pop_front();
    working_.emplace(work.handle.instruction, work.wrap_up);
    ++turn_;
    if (parked_) changed_.SignalAll();
    return work;
  }

  void action_ended() {
    absl::MutexLock lock(&mutex_);
    working_.reset();
    if (!reading_) return;
    const uint64_t one = 1;
    if (::write(action_over_.get(), &one, sizeof one) < 0) ::_exit(kExitLost);
    while (reading_) changed_.Wait(&mutex_);
  }

  const Run& run_of() {
    absl::MutexLock lock(&mutex_);
    return *run_;  // does not change once it is there
  }

  Result<RecordDict> content_of(Work& work) {
    wire::Handle& handle = work.handle;
    if (handle.kept) {
      for (const KeptContent& content : contents_) {
        if (content.number == handle.content) return content.copy();
      }
      return invalid_argument("content {} is not kept", handle.content);
    }
    UMBEL_ASSIGN_OR_RETURN(KeptContent content, KeptContent::make(handle, std::move(work.blob)));
    if (handle.content == 0) return content.copy();
    contents_.push_back(std::move(content));
    if (contents_.size() > wire::kContentsKept) contents_.pop_front();
    return contents_.back().copy();
  }

  Result<Message> message_of_work(Work& work) {
    const wire::Envelope& envelope = work.handle.message;
    if (envelope.error) return Message(envelope.metadata, *envelope.error);
    UMBEL_ASSIGN_OR_RETURN(RecordDict content, content_of(work));
    return Message(envelope.metadata, std::move(content));
  }

  Status work_on(Work& work) {
    UMBEL_ASSIGN_OR_RETURN(const Message message, message_of_work(work));
    const Run& run = run_of();
    const ConfigRecord& given = work.handle.node_config;
    Context context(run, message.metadata().destination, client_seed(run.seed, message.metadata()),
                    given.empty() ? &node_config_ : &given, work.wrap_up.get());
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

  // Where this reply's blob may lie; empty: it has to travel.
  std::span<std::byte> place_of_reply(const wire::Handle& handle) {
    const std::span<std::byte> all = reply_memory_.bytes();
    const uint64_t size = handle.reply_size;
    if (size > all.size() || handle.reply_offset > all.size() - size) return {};
    return all.subspan(handle.reply_offset, size);
  }

  Status send(const Work& work, const Message& reply, RecordDict state) {
    const std::span<std::byte> place = place_of_reply(work.handle);
    wire::Handled handled{
        .instruction = work.handle.instruction,
        .reply = wire::envelope_of(reply, place.empty() ? wire::kInlineBytesMax : kSmallBytes),
        .state = std::move(state)};
    std::optional<SharedBlob> blob;
    const uint64_t size = handled.reply.blob.size;
    if (!handled.reply.blob.is_here() && size <= place.size()) {
      handled.in_reply_memory = true;
      std::byte* at = place.data();
      UMBEL_RETURN_IF_ERROR(
          wire::for_each_piece(reply.content(), [&at](std::span<const std::byte> piece) {
            at = std::copy(piece.begin(), piece.end(), at);
            return absl::OkStatus();
          }));
    } else if (!reply.has_error()) {
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
  std::deque<KeptContent> contents_;  // the oldest first
  // Replaced while no action runs: the other end waits for each reply.
  ReplyMemory reply_memory_;
  Descriptor action_over_;    // can be read once the action ended that another thread watches
  ConfigRecord node_config_;  // as run_: set before the first message, never changed

  absl::Mutex mutex_;
  absl::CondVar changed_;
  bool parked_ ABSL_GUARDED_BY(mutex_) = false;   // the watcher waits for a message
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;  // the watcher reads the channel
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t turn_ ABSL_GUARDED_BY(mutex_) = 0;  // of actions
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

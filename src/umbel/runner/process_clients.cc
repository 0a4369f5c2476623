#include "umbel/runner/process_clients.h"

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "umbel/base/error.h"
#include "umbel/runner/attach.h"
#include "umbel/runner/kept_contents.h"
#include "umbel/runner/reply_memory.h"
#include "umbel/wire/runtime.h"

namespace umbel::runner {

namespace {

constexpr std::chrono::seconds kEndGrace{2};  // of a worker whose channel is closed
constexpr int kFailedStartsMax = 3;           // in a row
// Replies that are worth memory of their own, which a worker keeps.
constexpr uint64_t kReplyBytesMin = 4 << 10, kReplyBytesMax = uint64_t{64} << 20;
constexpr size_t kAnswerBytesMax = 2 * wire::kFrameBytesMax;  // a reply and a state

LogLevel level_named(std::string_view name) {
  return name == "error" ? LogLevel::kError : name == "warn" ? LogLevel::kWarn : LogLevel::kInfo;
}

Message client_failed(const Message& message, std::string_view what,
                      MessageError::Code code = MessageError::Code::kClientFailed) {
  return message.reply(MessageError{
      code, fmt::format("client {}: {}", message.metadata().destination.value(), what)});
}

// Seconds from now on, not below 0.
double seconds_until(WrapUp::Clock::time_point moment) {
  return std::max(0.0, std::chrono::duration<double>(moment - WrapUp::Clock::now()).count());
}

}  // namespace

class ProcessClients::Pool {
 public:
  Pool(std::unique_ptr<WorkerSource> source, const Run& run, size_t workers)
      : source_(std::move(source)), run_(run), workers_max_(std::max<size_t>(1, workers)) {}
  ~Pool() { stop(); }

  void prepare();
  Message handle(const Message& message, Context& context);
  void give_up(const Metadata& message);
  void stop();

 private:
  struct Worker {
    Channel channel;
    uint64_t id;
    bool keeps_contents = false;
    bool has_reply_memory = false;  // knows what to do with it
    bool rested = false;            // it was idle before
    uint64_t messages = 0;
    std::deque<uint64_t> contents = {};  // that it keeps
    uint64_t reply_bytes = 0;            // of its largest reply that had to travel
    std::shared_ptr<ReplyPlaces> places = {};
    std::optional<size_t> place = {};  // for the reply under way
  };
  // A message that is being handled, and the worker at it.
  struct Task {
    std::optional<uint64_t> worker;
    bool given_up = false;
  };

  Result<std::unique_ptr<Worker>> take(Task& task);
  Result<std::unique_ptr<Worker>> start(Task& task);
  Status get_ready(Worker& worker);
  wire::ClientStart client_start() const;
  void put_back(std::unique_ptr<Worker> worker);
  std::string end(const Worker& worker, const Status& why);
  std::string lose(std::unique_ptr<Worker> worker, const Status& why);
  void log(const wire::AppLog& line) const;

  Status send(Worker& worker, const Message& message, const Context& context);
  Status reserve_place(Worker& worker, wire::Handle& handle);
  Result<Buffer> blob_of_reply(Worker& worker, const wire::Handled& handled, Descriptor memory);
  Result<Message> answer(Worker& worker, const Message& message, Context& context);
  Result<std::optional<Message>> take_frame(Worker& worker, Channel::Frame frame,
                                            const Message& message, Context& context);

  const std::unique_ptr<WorkerSource> source_;
  const Run& run_;
  const size_t workers_max_;
  KeptContents contents_;

  absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  size_t alive_ ABSL_GUARDED_BY(mutex_) = 0;  // idle, at work, being started
  std::vector<std::unique_ptr<Worker>> idle_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<MessageId, Task*> tasks_ ABSL_GUARDED_BY(mutex_);
  int failed_starts_ ABSL_GUARDED_BY(mutex_) = 0;  // since the last that got ready
  bool any_ready_ ABSL_GUARDED_BY(mutex_) = false;
};

void ProcessClients::Pool::prepare() {
  Task task;
  put_back(or_throw(take(task)));
}

void ProcessClients::Pool::stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
  }
  source_->stop();
}

void ProcessClients::Pool::give_up(const Metadata& message) {
  absl::MutexLock lock(&mutex_);
  const auto found = tasks_.find(message.id);
  if (found == tasks_.end()) return;
  found->second->given_up = true;
  // Under the lock, so that it is still at this message.
  if (found->second->worker) source_->kill(*found->second->worker);
}

// An idle worker, or a new one.
Result<std::unique_ptr<ProcessClients::Pool::Worker>> ProcessClients::Pool::take(Task& task) {
  {
    absl::MutexLock lock(&mutex_);
    const auto free = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      return stopped_ || task.given_up || !idle_.empty() || alive_ < workers_max_;
    };
    mutex_.Await(absl::Condition(&free));
    if (stopped_ || task.given_up) return absl::CancelledError("nobody waits for the reply");
    if (!idle_.empty()) {
      std::unique_ptr<Worker> worker = std::move(idle_.back());
      idle_.pop_back();
      task.worker = worker->id;
      return worker;
    }
    ++alive_;
  }
  auto started = start(task);
  absl::MutexLock lock(&mutex_);
  if (started.ok()) {
    any_ready_ = true;
    failed_starts_ = 0;
    return started;
  }
  --alive_;
  if (stopped_ || task.given_up) return started;
  if (++failed_starts_ >= kFailedStartsMax || !any_ready_) throw Error(started.status());
  return started;
}

Result<std::unique_ptr<ProcessClients::Pool::Worker>> ProcessClients::Pool::start(Task& task) {
  UMBEL_ASSIGN_OR_RETURN(WorkerSource::Worker made, source_->start());
  auto worker = std::make_unique<Worker>(Worker{std::move(made.channel), made.id});
  bool given_up = false;
  {
    absl::MutexLock lock(&mutex_);
    task.worker = worker->id;
    given_up = task.given_up;
  }
  if (given_up) source_->kill(worker->id);
  const Status ready = get_ready(*worker);
  if (ready.ok()) return worker;
  return unavailable("a process for the clients {} before it was ready", end(*worker, ready));
}

Status ProcessClients::Pool::get_ready(Worker& worker) {
  UMBEL_RETURN_IF_ERROR(worker.channel.send(wire::format(wire::DaemonFrame(client_start()))));
  for (;;) {
    UMBEL_ASSIGN_OR_RETURN(const Channel::Frame frame, worker.channel.receive(kAnswerBytesMax));
    UMBEL_ASSIGN_OR_RETURN(const wire::AppFrame parsed,
                           wire::parse_app_frame(std::as_bytes(std::span(frame.bytes))));
    if (const auto* ready = std::get_if<wire::AppReady>(&parsed)) {
      const auto has = [&](const char* name) {
        return std::ranges::count(ready->features, name) > 0;
      };
      worker.keeps_contents = has(wire::kFeatureContents);
      worker.has_reply_memory = has(wire::kFeatureReplyMemory);
      return absl::OkStatus();
    }
    const auto* line = std::get_if<wire::AppLog>(&parsed);
    if (!line) return invalid_argument("sent a frame out of turn");
    log(*line);
  }
}

wire::ClientStart ProcessClients::Pool::client_start() const {
  wire::ClientStart start;
  start.run.id = run_.id;
  start.run.seed = run_.seed;
  start.run.nodes = run_.nodes;
  start.run.config = run_.config.record();
  for (const auto& [key, value] : start.run.config) {
    start.run.origins.push_back(run_.config.origin(key));
  }
  start.twin_examples = run_.twin_examples;
  return start;
}

void ProcessClients::Pool::put_back(std::unique_ptr<Worker> worker) {
  worker->rested = true;
  absl::MutexLock lock(&mutex_);
  idle_.push_back(std::move(worker));
}

// Ends a worker whose channel is of no use any more; says what became of it.
std::string ProcessClients::Pool::end(const Worker& worker, const Status& why) {
  const bool gone = absl::IsUnavailable(why) || absl::IsOutOfRange(why);
  if (!gone) source_->kill(worker.id);
  const WorkerSource::End how = source_->wait(worker.id, kEndGrace);
  if (!gone) return fmt::format("broke the protocol: {}", message_of(why));
  if (how.killed) return "closed its channel";
  return fmt::format("{}{}", how.how.starts_with("killed") ? "was " : "", how.how);
}

// As well, of a worker that was ready.
std::string ProcessClients::Pool::lose(std::unique_ptr<Worker> worker, const Status& why) {
  const std::string how = end(*worker, why);
  absl::MutexLock lock(&mutex_);
  --alive_;
  return fmt::format("its process {}", how);
}

void ProcessClients::Pool::log(const wire::AppLog& line) const {
  run_.runtime->log(level_named(line.level), line.node, line.message);
}

Status ProcessClients::Pool::send(Worker& worker, const Message& message, const Context& context) {
  UMBEL_ASSIGN_OR_RETURN(const auto content, contents_.find(message.shared_content()));
  wire::Handle handle{.instruction = ++worker.messages,
                      .message = {.metadata = message.metadata()},
                      .state = context.state()};
  if (const ConfigRecord* configured = context.configured()) handle.node_config = *configured;
  const auto times =
      context.wrap_up_times() ? context.wrap_up_times()->times() : std::optional<WrapUp::Times>();
  if (times) {
    handle.wrap_up = {seconds_until(times->from),
                      std::chrono::duration<double>(times->until - times->from).count()};
  }
  if (worker.keeps_contents) {
    handle.content = content->number;
    handle.kept = std::ranges::count(worker.contents, content->number) > 0;
  }
  if (!handle.kept) {
    handle.message.head = content->head;
    handle.message.blob = content->blob;
  }
  UMBEL_RETURN_IF_ERROR(reserve_place(worker, handle));
  const bool keeps = handle.content != 0 && !handle.kept;
  const bool with_memory = !handle.kept && content->shared;
  const std::string bytes = wire::format(wire::DaemonFrame(std::move(handle)));
  if (bytes.size() > wire::kFrameBytesMax) {
    return absl::FailedPreconditionError(
        fmt::format("its message has {} bytes of state, metrics and settings, the limit is {}",
                    bytes.size(), wire::kFrameBytesMax));
  }
  if (keeps) {
    worker.contents.push_back(content->number);
    if (worker.contents.size() > wire::kContentsKept) worker.contents.pop_front();
  }
  return worker.channel.send(bytes, with_memory ? &content->shared : nullptr);
}

// Memory for the reply's blob, where replies are large enough to be worth it.
Status ProcessClients::Pool::reserve_place(Worker& worker, wire::Handle& handle) {
  if (worker.place) worker.places->release(*worker.place);  // its message was not sent after all
  worker.place.reset();
  if (worker.reply_bytes > (worker.places ? worker.places->place_bytes() : 0)) {
    auto places = ReplyPlaces::make(worker.reply_bytes);
    worker.reply_bytes = 0;
    if (places.ok()) {  // where there is no memory, replies travel
      worker.places = *std::move(places);
      const Descriptor memory = worker.places->take_descriptor();
      const wire::DaemonFrame frame = wire::ReplyMemory{worker.places->size()};
      UMBEL_RETURN_IF_ERROR(worker.channel.send_with(wire::format(frame), memory.get()));
    }
  }
  worker.place = worker.places ? worker.places->take() : std::nullopt;
  if (!worker.place) return absl::OkStatus();
  handle.reply_offset = worker.places->offset(*worker.place);
  handle.reply_size = worker.places->place_bytes();
  return absl::OkStatus();
}

Result<Buffer> ProcessClients::Pool::blob_of_reply(Worker& worker, const wire::Handled& handled,
                                                   Descriptor memory) {
  const wire::BlobRef& blob = handled.reply.blob;
  const std::optional<size_t> place = std::exchange(worker.place, std::nullopt);
  if (handled.in_reply_memory) {
    if (place && !memory && blob.size <= worker.places->place_bytes()) {
      return worker.places->bytes(*place, blob.size);
    }
    if (place) worker.places->release(*place);
    return invalid_argument("a reply in memory that it was not given");
  }
  if (place) worker.places->release(*place);
  if (worker.has_reply_memory && blob.size > kReplyBytesMin && blob.size <= kReplyBytesMax) {
    worker.reply_bytes = std::max(worker.reply_bytes, blob.size);
  }
  return attached(blob, std::move(memory));
}

Result<Message> ProcessClients::Pool::answer(Worker& worker, const Message& message,
                                             Context& context) {
  for (;;) {
    UMBEL_ASSIGN_OR_RETURN(Channel::Frame frame, worker.channel.receive(kAnswerBytesMax));
    UMBEL_ASSIGN_OR_RETURN(std::optional<Message> reply,
                           take_frame(worker, std::move(frame), message, context));
    if (reply) return *std::move(reply);
  }
}

// The reply, if the frame has it.
Result<std::optional<Message>> ProcessClients::Pool::take_frame(Worker& worker,
                                                                Channel::Frame frame,
                                                                const Message& message,
                                                                Context& context) {
  UMBEL_ASSIGN_OR_RETURN(wire::AppFrame parsed,
                         wire::parse_app_frame(std::as_bytes(std::span(frame.bytes))));
  if (const auto* line = std::get_if<wire::AppLog>(&parsed)) {
    log(*line);
    return std::optional<Message>();
  }
  auto* handled = std::get_if<wire::Handled>(&parsed);
  if (!handled) return invalid_argument("a frame that is not for a ClientApp to send");
  const wire::Envelope& reply = handled->reply;
  if (handled->instruction != worker.messages || reply.metadata.reply_to != message.metadata().id) {
    return invalid_argument("a reply to another message");
  }
  UMBEL_ASSIGN_OR_RETURN(const Buffer blob, blob_of_reply(worker, *handled, std::move(frame.blob)));
  if (reply.error) return std::optional(message.reply(*reply.error));
  UMBEL_ASSIGN_OR_RETURN(RecordDict content, wire::assemble(reply.head, blob));
  context.state() = std::move(handled->state);
  return std::optional(message.reply(std::move(content)));
}

Message ProcessClients::Pool::handle(const Message& message, Context& context) {
  Task task;
  const MessageId id = message.metadata().id;
  {
    absl::MutexLock lock(&mutex_);
    tasks_[id] = &task;
  }
  struct Registered {
    Pool& pool;
    MessageId id;
    ~Registered() {
      absl::MutexLock lock(&pool.mutex_);
      pool.tasks_.erase(id);
    }
  } registered{*this, id};
  for (;;) {
    auto taken = take(task);
    if (absl::IsCancelled(taken.status())) {
      return client_failed(message, "nobody waits for its reply", MessageError::Code::kStopped);
    }
    if (!taken.ok()) return client_failed(message, message_of(taken.status()));
    std::unique_ptr<Worker> worker = *std::move(taken);
    const Status sent = send(*worker, message, context);
    if (sent.ok()) {
      auto reply = answer(*worker, message, context);
      {
        absl::MutexLock lock(&mutex_);
        task.worker.reset();  // from here on nobody kills it for this message
      }
      if (!reply.ok()) return client_failed(message, lose(std::move(worker), reply.status()));
      put_back(std::move(worker));
      return *std::move(reply);
    }
    if (!absl::IsUnavailable(sent)) {  // nothing was sent
      put_back(std::move(worker));
      return client_failed(message, message_of(sent));
    }
    // It ended while it was idle, so this message never reached it; or it was given up just now.
    const bool rested = worker->rested;
    const std::string how = lose(std::move(worker), sent);
    if (!rested) return client_failed(message, how);
  }
}

ProcessClients::ProcessClients(std::unique_ptr<WorkerSource> source, const Run& run, size_t workers)
    : pool_(std::make_unique<Pool>(std::move(source), run, workers)) {}
ProcessClients::~ProcessClients() = default;

void ProcessClients::prepare() const { pool_->prepare(); }
Message ProcessClients::handle(const Message& message, Context& context) const {
  return pool_->handle(message, context);
}
void ProcessClients::give_up(const Metadata& message) const { pool_->give_up(message); }
void ProcessClients::stop() const { pool_->stop(); }

}  // namespace umbel::runner

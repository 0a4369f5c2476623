#include "umbel/runner/process_clients.h"

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <vector>

#include "umbel/base/error.h"
#include "umbel/runner/kept_contents.h"
#include "umbel/runner/worker_talk.h"

namespace umbel::runner {

namespace {

constexpr std::chrono::seconds kEndGrace{2};  // of a worker whose channel is closed
constexpr int kFailedStartsMax = 3;           // in a row

Message client_failed(const Message& message, std::string_view what,
                      MessageError::Code code = MessageError::Code::kClientFailed) {
  return message.reply(MessageError{
      code, fmt::format("client {}: {}", message.metadata().destination.value(), what)});
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
  using Worker = WorkerTalk;
  // A message that is being handled, and the worker at it.
  struct Task {
    std::optional<uint64_t> worker;
    bool given_up = false;
  };

  Result<std::unique_ptr<Worker>> take(Task& task);
  Result<std::unique_ptr<Worker>> start(Task& task);
  void put_back(Task& task, std::unique_ptr<Worker> worker);
  std::string end(const Worker& worker, const Status& why);
  std::string lose(Task& task, std::unique_ptr<Worker> worker, const Status& why);

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
  put_back(task, or_throw(take(task)));
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
      task.worker = worker->id();
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
  auto worker = std::make_unique<Worker>(std::move(made), run_);
  bool given_up = false;
  {
    absl::MutexLock lock(&mutex_);
    task.worker = worker->id();
    given_up = task.given_up;
  }
  if (given_up) source_->kill(worker->id());
  const Status ready = worker->get_ready();
  if (ready.ok()) return worker;
  return unavailable("a process for the clients {} before it was ready", end(*worker, ready));
}

void ProcessClients::Pool::put_back(Task& task, std::unique_ptr<Worker> worker) {
  worker->rested = true;
  absl::MutexLock lock(&mutex_);
  task.worker.reset();  // from here on nobody kills it for this message
  idle_.push_back(std::move(worker));
}

// Ends a worker whose channel is of no use any more; says what became of it.
std::string ProcessClients::Pool::end(const Worker& worker, const Status& why) {
  const bool gone = absl::IsUnavailable(why) || absl::IsOutOfRange(why);
  if (!gone) source_->kill(worker.id());
  const WorkerSource::End how = source_->wait(worker.id(), kEndGrace);
  if (!gone) return fmt::format("broke the protocol: {}", message_of(why));
  if (how.killed) return "closed its channel";
  const char* hint = how.how == "killed by SIGKILL"
                         ? ", which is also what the system does when memory runs out"
                         : "";
  return fmt::format("{}{}{}", how.how.starts_with("killed") ? "was " : "", how.how, hint);
}

// As well, of a worker that was ready.
std::string ProcessClients::Pool::lose(Task& task, std::unique_ptr<Worker> worker,
                                       const Status& why) {
  {
    absl::MutexLock lock(&mutex_);
    task.worker.reset();
  }
  const std::string how = end(*worker, why);
  absl::MutexLock lock(&mutex_);
  --alive_;
  return fmt::format("its process {}", how);
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
    const Status sent = worker->send(message, context, contents_);
    if (sent.ok()) {
      auto reply = worker->answer(message, context);
      if (!reply.ok()) {
        return client_failed(message, lose(task, std::move(worker), reply.status()));
      }
      put_back(task, std::move(worker));
      return *std::move(reply);
    }
    if (!absl::IsUnavailable(sent)) {  // nothing was sent
      put_back(task, std::move(worker));
      return client_failed(message, message_of(sent));
    }
    // It ended while it was idle, so this message never reached it; or it was given up just now.
    const bool rested = worker->rested;
    const std::string how = lose(task, std::move(worker), sent);
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

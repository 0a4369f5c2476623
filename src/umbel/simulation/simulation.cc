#include "umbel/simulation/simulation.h"

#include <absl/time/clock.h>

#include <algorithm>
#include <exception>

#include "umbel/simulation/fold_job.h"

namespace umbel {

namespace {

constexpr absl::Duration kLookEvery = absl::Milliseconds(100);  // progress, deadlines
constexpr std::chrono::seconds kSlowClient{60};                 // worth a warning

Error stopped() { return Error(absl::CancelledError("the run was stopped")); }

}  // namespace

// The pool as Parallel: the pieces are a job like any other.
class Simulation::Workers final : public Parallel {
 public:
  explicit Workers(WorkerPool& pool) : pool_(pool) {}
  size_t threads() const override { return pool_.lanes(); }

  void for_each(size_t count, const std::function<void(size_t)>& piece) override {
    if (count == 0) return;
    // A piece that asks for pieces gets them on its own thread: the others may all be waiting, too.
    if (WorkerPool::on_worker()) return Serial().for_each(count, piece);
    const DenormalMode::Mode mode = DenormalMode::current();
    const std::function<void(size_t)> as_here = [&piece, mode](size_t i) {
      const DenormalMode same(mode);
      piece(i);
    };
    const auto job = std::make_shared<Pieces>(count, as_here);
    pool_.start(job);
    while (!pool_.wait(*job, absl::InfiniteDuration())) {
    }
    if (job->failure) std::rethrow_exception(job->failure);
  }

 private:
  struct Pieces final : WorkerPool::Job {
    Pieces(size_t count, const std::function<void(size_t)>& piece) : count(count), piece(piece) {}
    bool run(size_t) override {
      for (size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
        try {
          piece(i);
        } catch (...) {
          absl::MutexLock lock(&mutex);
          if (!failure) failure = std::current_exception();
        }
      }
      return true;
    }
    bool has_work() const override { return next < count; }

    size_t count;
    const std::function<void(size_t)>& piece;
    std::atomic<size_t> next{0};
    absl::Mutex mutex;
    std::exception_ptr failure;
  };

  WorkerPool& pool_;
};

Simulation::Simulation(const ClientHandler& clients, const Run& run, SimulationOptions options)
    : run_(run),
      options_(std::move(options)),
      world_(options_.population ? std::optional<World>(*options_.population) : std::nullopt),
      clients_(clients, run, world_ ? &world_->population() : nullptr),
      pool_(options_.threads ? options_.threads : available_processors()),
      workers_(std::make_unique<Workers>(pool_)) {
  if (run_.nodes == 0) throw Error(invalid_argument("a simulation needs at least 1 node, got 0"));
  if (world_ && world_->population().clients() != run_.nodes) {
    throw Error(invalid_argument("the population has {} clients, the run {} nodes",
                                 world_->population().clients(), run_.nodes));
  }
}

Simulation::~Simulation() { (void)shut_down(std::chrono::minutes(1)); }

Parallel& Simulation::parallel() { return *workers_; }
size_t Simulation::threads() const { return pool_.lanes(); }

void Simulation::require_running() const {
  if (stop_) throw stopped();
  if (WorkerPool::on_worker()) {
    throw Error(failed_precondition(
        "the Grid was called from a worker thread: it belongs to the ServerApp's own"));
  }
  absl::MutexLock lock(&failing_);
  if (failure_) std::rethrow_exception(failure_);
}

// Before messages are sent.
void Simulation::begin() {
  if (!sent_) clients_.handler().prepare();
  require_running();
  sent_ = true;
}

void Simulation::fail(std::exception_ptr failure) {
  {
    absl::MutexLock lock(&failing_);
    if (!failure_) failure_ = std::move(failure);
  }
  mailbox_.close();
}

Message Simulation::make_message(std::string type, NodeId node, RecordDict content) {
  or_throw(check_client(node.value(), run_.nodes));
  Metadata metadata{.run = run_.id,
                    .id = MessageId(next_message_.fetch_add(1)),
                    .source = kServerNode,
                    .destination = node,
                    .type = std::move(type)};
  return Message(std::move(metadata), std::move(content));
}

std::vector<MessageId> Simulation::push(std::vector<Message> messages) {
  require_running();
  begin();
  std::vector<MessageId> ids;
  for (const Message& message : messages) {
    or_throw(check_client(message.metadata().destination.value(), run_.nodes));
    ids.push_back(message.metadata().id);
  }
  or_throw(mailbox_.expect(ids));
  const auto job =
      std::make_shared<MessageJob>(clients_, mailbox_, std::move(messages), ids,
                                   [this](std::exception_ptr failure) { fail(failure); });
  std::erase_if(message_jobs_, [](const auto& known) { return known.expired(); });
  message_jobs_.push_back(job);
  pool_.start(job);
  return ids;
}

std::vector<Message> Simulation::pull(std::span<const MessageId> ids, Deadline deadline) {
  require_running();
  std::vector<Message> replies = mailbox_.take(ids, time_limit(deadline));
  require_running();
  return replies;
}

void Simulation::forget(std::span<const MessageId> ids) {
  mailbox_.forget(ids);
  for (const auto& known : message_jobs_) {
    const auto job = known.lock();
    if (!job || mailbox_.awaits_any(job->ids())) continue;
    job->cancel();
    // Clients that are past their time must not keep the threads that later messages need.
    pool_.relieve(*job);
  }
}

aggregate::FoldResult Simulation::send_and_fold(const Broadcast& broadcast,
                                                const AggregationPlan& plan, Deadline deadline) {
  require_running();
  or_throw(check_broadcast(broadcast, run_.nodes, deadline));
  begin();
  const MessageId first(next_message_.fetch_add(broadcast.nodes.size()));
  std::optional<PhaseClock> clock;
  if (world_) {
    clock.emplace(world_->population(), world_->now(), deadline, broadcast.content->byte_size(),
                  run_.seed);
    deadline.reset();  // it is the clock's
  }
  const auto job = std::make_shared<FoldJob>(clients_, run_.id, first, broadcast, plan, deadline,
                                             pool_.lanes(), std::move(clock));
  pool_.start(job);
  await(*job, deadline);
  if (stop_) {
    job->cancel();
    throw stopped();
  }
  if (world_) world_->advance(job->virtual_time());
  return job->close();
}

void Simulation::await(FoldJob& job, Deadline deadline) {
  const auto start = FoldJob::Clock::now();
  bool warned = false;
  while (!pool_.wait(
      job, deadline ? std::min(kLookEvery, absl::Seconds(deadline->count()) / 4) : kLookEvery)) {
    if (stop_) return;
    const auto now = FoldJob::Clock::now();
    if (deadline) {
      const auto allowed = FoldJob::clock_duration(*deadline);
      const std::string late = fmt::format("no reply within {} s", deadline->count());
      for (const size_t lane : job.expire(now - allowed, late)) pool_.relieve(job, lane);
    } else if (const auto busy = job.longest();
               !warned && busy && now - busy->started > kSlowClient) {
      warned = true;
      run_.runtime->log(
          LogLevel::kWarn, std::nullopt,
          fmt::format("round {}: client {} has been at \"{}\" for over {} s; the round waits for "
                      "it: a strategy with a deadline would not",
                      job.round(), busy->client, job.type(), kSlowClient.count()));
    }
    if (!options_.progress) continue;
    const double seconds = std::chrono::duration<double>(now - start).count();
    options_.progress({job.round(), job.type(), job.done(), job.total(),
                       static_cast<double>(job.done()) / seconds});
  }
}

void Simulation::request_stop() {
  stop_ = true;
  mailbox_.close();
  pool_.wake();
  clients_.handler().stop();
}

bool Simulation::shut_down(std::chrono::milliseconds grace) {
  for (const auto& known : message_jobs_) {
    if (const auto job = known.lock()) job->cancel();  // nobody will pull their replies
  }
  return pool_.shut_down(absl::FromChrono(grace));
}

}  // namespace umbel

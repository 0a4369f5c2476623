#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "umbel/app/client_app.h"
#include "umbel/app/grid.h"
#include "umbel/simulation/message_job.h"
#include "umbel/simulation/virtual_clients.h"
#include "umbel/simulation/worker_pool.h"

namespace umbel {

class FoldJob;

// How far a phase has come.
struct Progress {
  uint64_t round;
  std::string phase;  // the message type
  uint64_t done;
  uint64_t total;
  double clients_per_second;
};

struct SimulationOptions {
  size_t threads = 0;  // 0: as many as this process has processors
  // Called a few times a second, from the ServerApp's thread, while clients are at work.
  std::function<void(const Progress&)> progress = {};
  // What the clients are like; none: they are there at once and always, and time is the clock's.
  std::optional<Population> population = {};
};

// A federation in this process: the Grid of a simulation.  Clients are virtual: a population costs
// no memory, running one costs what its own training needs, and all share the buffers of the
// content they are sent.  The same app, seed and number of clients give the same bytes for any
// number of threads, unless a deadline cuts replies off.  With a population the deadline is in
// virtual time: then that holds with deadlines, too.
class Simulation final : public Grid {
 public:
  // Both must outlive the simulation.  umbel::Error if the run has no nodes, or a population has
  // not as many clients.
  Simulation(const ClientHandler& clients, const Run& run, SimulationOptions options);
  ~Simulation() override;

  uint64_t node_count() const override { return run_.nodes; }
  World* world() override { return world_ ? &*world_ : nullptr; }
  MessageId next_message() const override { return MessageId(next_message_.load()); }
  void set_next_message(MessageId next) override { next_message_ = next.value(); }
  Message make_message(std::string type, NodeId node, RecordDict content) override;
  std::vector<MessageId> push(std::vector<Message> messages) override;
  std::vector<Message> pull(std::span<const MessageId> ids, Deadline deadline) override;
  void forget(std::span<const MessageId> ids) override;
  aggregate::FoldResult send_and_fold(const Broadcast& broadcast, const AggregationPlan& plan,
                                      Deadline deadline) override;

  // The worker threads, for the ServerApp's own work.
  Parallel& parallel();
  size_t threads() const;

  // Makes the calls under way, and all later ones, end with CANCELLED.  Any thread.
  void request_stop();
  bool stop_requested() const { return stop_; }
  // Whether any message was sent yet.
  bool sent() const { return sent_; }
  // Ends the threads; false if a client's code has not returned within `grace`.
  bool shut_down(std::chrono::milliseconds grace);

 private:
  class Workers;
  void await(FoldJob& job, Deadline deadline);
  void require_running() const;
  void begin();
  void fail(std::exception_ptr failure);

  const Run& run_;
  SimulationOptions options_;
  std::optional<World> world_;
  VirtualClients clients_;
  Mailbox mailbox_;
  WorkerPool pool_;
  std::unique_ptr<Workers> workers_;
  std::vector<std::weak_ptr<MessageJob>> message_jobs_;
  std::atomic<uint64_t> next_message_{1};
  std::atomic<bool> stop_{false};
  std::atomic<bool> sent_{false};
  mutable absl::Mutex failing_;
  std::exception_ptr failure_ ABSL_GUARDED_BY(failing_);  // no client can be served any more
};

}  // namespace umbel

#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "umbel/aggregate/stream_fold.h"
#include "umbel/superlink/memory_budget.h"
#include "umbel/superlink/store.h"
#include "umbel/wire/fleet.h"

namespace umbel::superlink {

// How a collection reaches nodes, by their registration numbers.  Any thread; none blocks.
class NodeLines {
 public:
  virtual ~NodeLines() = default;
  // False if the node is not connected: it will be told when it comes back.
  virtual bool send(uint64_t node, const wire::HubFrame& frame) = 0;
  // The instruction is over: nothing that comes for it is looked at any more.
  virtual void forget(uint64_t instruction) = 0;
};

enum class Stage : uint8_t;
struct Pending;

// One message to one node, and what becomes of its reply.
struct Ask {
  uint64_t instruction = 0;
  uint64_t client = 0;  // the run's number for the node
  uint64_t node = 0;    // the node's registration number
  MessageId message;
};

// Messages that are out together, and their replies: folded as they arrive, or (a collection
// without a fold) handed on one by one.
//
// A reply's blob comes in one of three ways.  A small one is in its frame.  One for which the
// memory budget has room is kept until it is whole.  Any other is folded as it arrives and not
// kept; should it end half-way, the sums are emptied and all replies that were folded so are
// fetched again: nodes keep theirs until Done.  So a reply counts once or not at all, and memory
// does not grow with the number of nodes.
//
// Any threads.  NodeLines and hooks must not call back from within a call.
class Collection : public std::enable_shared_from_this<Collection> {
 public:
  struct Hooks {
    // Asks the ServerApp for a reply's weight; weighed() answers.
    std::function<void(uint64_t instruction, const MetricRecord& metrics)> weigh;
    // A collection without a fold: one reply, whole.  Its blob is in the envelope or shared.
    std::function<void(const wire::Envelope& reply, SharedBlob blob)> arrived;
    // Every reply is in, failed or given up; may be called again if replies had to be fetched anew.
    std::function<void()> complete;
  };
  struct Options {
    wire::RunInfo run;
    std::string type;
    uint64_t round = 0;
    // The content of the messages; each ask gets it with metadata of its own.
    wire::Envelope message;
    bool folds = true;
    std::shared_ptr<const Layout> layout;  // of the arrays to fold; nullptr: metrics only
    FoldOptions fold;
    bool weighs = false;
  };
  Collection(Options options, NodeLines& lines, MemoryBudget& memory, Hooks hooks);
  ~Collection();

  // Sends the messages.
  void start(std::vector<Ask> asks);
  // Another message with a content of its own, for a collection without a fold.
  void add(const Ask& ask, wire::Envelope message);
  // Gives up on messages; their nodes are told.
  void forget(std::span<const uint64_t> messages);

  // A node is connected (again) and still has `holding`: what it has lost is sent again.
  void node_joined(uint64_t node, const std::set<uint64_t>& holding);
  // A node will not answer any more: what it owes has failed.
  void node_gone(uint64_t node, const std::string& reason);
  // A node's reply, or the reply again after it reconnected.
  void result(uint64_t node, wire::NodeResult result);
  void weighed(uint64_t instruction, Result<double> weight);

  // The blob of a reply, piece by piece.
  class Upload {
   public:
    Status take(std::span<const std::byte> piece);
    bool whole() const;
    uint64_t offset() const;

   private:
    friend class Collection;
    std::shared_ptr<Collection> collection;
    std::shared_ptr<Pending> pending;
    uint64_t turn = 0;
  };
  // NOT_FOUND for what this node was not asked for, FAILED_PRECONDITION (with the right offset) if
  // the hub has not as many bytes, or more, or does not want any now.  A second upload supersedes
  // the first.
  Result<std::unique_ptr<Upload>> begin_upload(uint64_t node, uint64_t instruction,
                                               uint64_t offset);
  Result<uint64_t> offset(uint64_t node, uint64_t instruction);

  // Tells nodes that still work that their time is running out.
  void wrap_up(double seconds);
  // Gives up on everything that is not in.
  void expire(const std::string& reason);
  // Ends it: nodes are told to drop their work.  No hook is called any more.
  void cancel();

  // After complete(): ends it and gives the result; the mean's bytes go to `take`.
  // FAILED_PRECONDITION if replies are being fetched again.
  Result<aggregate::FoldResult> close(const aggregate::StreamFold::Take& take);
  const Layout* layout() const { return options_.layout.get(); }
  DecisionRecord decision() const;
  bool is_idle() const;  // nothing is out
  // How long the replies that counted took, from the first message to the last byte; in no order.
  std::vector<double> reply_seconds() const;

 private:
  class Guard {
   public:
    explicit Guard(Collection& collection);
    ~Guard();
    bool torn = false;  // a reply ended half-way: the sums are to be emptied

   private:
    Collection& collection_;
  };
  wire::Assign assign_of(const Pending& pending) const;
  std::shared_ptr<Pending> find(uint64_t node, uint64_t instruction) const;
  std::optional<MessageError> wrong_with(const Pending& pending, const wire::Envelope& reply) const;
  void admit(const std::shared_ptr<Pending>& pending,
             const std::shared_ptr<const wire::Envelope>& reply, uint64_t attempt,
             std::optional<double> weight);
  void admit_large(const std::shared_ptr<Pending>& pending, const wire::Envelope& reply,
                   uint64_t attempt, std::optional<double> weight);
  void begin_kept(const std::shared_ptr<Pending>& pending, uint64_t attempt,
                  std::optional<double> weight, uint64_t bytes);
  void fail(const std::shared_ptr<Pending>& pending, uint64_t attempt, const MessageError& error);
  void fail_all(const std::vector<std::shared_ptr<Pending>>& pending, const MessageError& error);
  void fetch_again();
  bool is_ended() const;
  // With the gate and the reply's own mutex held.
  bool is_current(const Pending& pending, uint64_t attempt, Stage stage) const;
  void set_stage(Pending& pending, Stage stage);
  Status begin_streamed(Pending& pending);
  Status add_bytes(Pending& pending, std::span<const std::byte> piece);
  void whole(const std::shared_ptr<Pending>& pending);
  void settle(const std::shared_ptr<Pending>& pending, bool counted, bool keep,
              const std::string& reason);
  bool fail_locked(const std::shared_ptr<Pending>& pending, const MessageError& error);
  void start_over(Pending& pending);
  void release(Pending& pending);

  const Options options_;
  NodeLines& lines_;
  MemoryBudget& memory_;
  const Hooks hooks_;
  std::optional<aggregate::StreamFold> fold_;

  // Held shared while bytes are added to the sums, alone while the sums are emptied.
  absl::Mutex gate_;
  mutable absl::Mutex mutex_ ABSL_ACQUIRED_AFTER(gate_);
  std::map<uint64_t, std::shared_ptr<Pending>> pending_ ABSL_GUARDED_BY(mutex_);  // by instruction
  uint64_t open_ ABSL_GUARDED_BY(mutex_) = 0;                                     // not settled
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  DecisionRecord decision_ ABSL_GUARDED_BY(mutex_);
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  std::vector<double> reply_seconds_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace umbel::superlink

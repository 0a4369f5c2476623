#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "umbel/aggregate/fold.h"
#include "umbel/population/world.h"
#include "umbel/record/message.h"

namespace umbel {

// How long to wait; nothing: as long as it takes.
using Deadline = std::optional<std::chrono::duration<double>>;

// One content for many clients.
struct Broadcast {
  std::string type;  // "train", "evaluate", "query", or with an action's name: "train.lora"
  uint64_t round = 0;
  std::vector<uint64_t> nodes;  // client numbers, each once
  std::shared_ptr<const RecordDict> content;
  // How long before the deadline clients are asked to reply with what they have
  // (Context::wrap_up()); none: they are not asked.
  Deadline wrap_up = {};
};

// What every Grid refuses of a send_and_fold() on a federation of so many clients: INVALID_ARGUMENT
// for a client that is not there or is asked twice, a deadline that is not above 0, and a wrap-up
// that is not within it.
Status check_broadcast(const Broadcast& broadcast, uint64_t node_count, const Deadline& deadline);
Status check_client(uint64_t client, uint64_t node_count);

// What to make of the replies, so that whoever receives them can fold each as it comes and drop it.
struct AggregationPlan {
  std::shared_ptr<const ArrayRecord> layout;  // of the arrays in a reply; nullptr: metrics only
  FoldOptions options;
};

// The ServerApp's view of the federation.  Which runtime carries the messages makes no difference
// to what they say.  Calls come from the ServerApp's thread; they throw umbel::Error (CANCELLED
// once the run is being stopped).
class Grid {
 public:
  virtual ~Grid() = default;

  // Clients are numbered 0 to node_count() - 1.
  virtual uint64_t node_count() const = 0;

  // The clients' world in virtual time, where a simulation has a population; nullptr elsewhere.
  // run_rounds() draws from those who are there, and lets time pass when nobody is.
  virtual World* world() { return nullptr; }
  // What is known of clients before they are asked; nullptr: nothing.
  const Traits* traits() { return world() ? &world()->population() : nullptr; }
  // A client's category: "women".  umbel::Error for an attribute that is not known here, or a
  // client that is not there.
  const std::string& attribute(NodeId client, std::string_view name);

  // The id that the next message gets.  Draws outside rounds depend on it, so a run that goes on
  // after a crash sets it to what it was.  A Grid without such ids ignores that.
  virtual MessageId next_message() const { return {}; }
  virtual void set_next_message(MessageId next) { (void)next; }

  // A message for one client, for push().
  virtual Message make_message(std::string type, NodeId node, RecordDict content) = 0;
  // Hands messages over for delivery and returns their ids at once.  One push may have several
  // messages for a client, which it handles in order; pull (or forget) them before pushing more to
  // the same client, whose state would otherwise depend on timing.  INVALID_ARGUMENT names the
  // first client that is not there; then none is sent.  RESOURCE_EXHAUSTED when over 100,000
  // messages are under way.
  virtual std::vector<MessageId> push(std::vector<Message> messages) = 0;
  // The replies that are there of those asked for, each given out once.  Waits until all are there
  // or the deadline has passed; with a deadline of zero it does not wait, nor for messages that
  // were never pushed, are forgotten, or whose replies were given out before.
  virtual std::vector<Message> pull(std::span<const MessageId> ids, Deadline deadline) = 0;
  // Gives up on replies: they are dropped if they come, and what is not begun yet is not done.
  virtual void forget(std::span<const MessageId> ids) = 0;
  // push() and pull(), and forget() after the deadline: clients without a reply in time give an
  // error reply instead.  In the order of the messages.
  std::vector<Message> send_and_receive(std::vector<Message> messages, Deadline deadline = {});

  // Sends one content to many clients and folds their replies where they arrive.  Late replies are
  // not counted; clients without one count as failures (MessageError::Code::kDeadline).  In a
  // simulation, where clients wait for a thread, each client's time starts when it does.  In one
  // with a population the deadline is in virtual time, clients may leave (kLeft), and nobody is
  // asked to wrap up.
  virtual aggregate::FoldResult send_and_fold(const Broadcast& broadcast,
                                              const AggregationPlan& plan,
                                              Deadline deadline = {}) = 0;
};

}  // namespace umbel

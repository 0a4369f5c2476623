#pragma once

#include <memory>

#include "umbel/app/context.h"
#include "umbel/app/grid.h"
#include "umbel/runner/channel.h"

namespace umbel::runner {

// The Grid of a ServerApp in deployment: hands what it is asked to the SuperLink that started this
// process, over its channel.  Message ids are given out as in a simulation, so that the same app
// has the same draws in both.
class HubGrid final : public Grid {
 public:
  HubGrid(Channel channel, const Run& run);
  ~HubGrid() override;

  uint64_t node_count() const override;
  MessageId next_message() const override;
  void set_next_message(MessageId next) override;
  Message make_message(std::string type, NodeId node, RecordDict content) override;
  std::vector<MessageId> push(std::vector<Message> messages) override;
  std::vector<Message> pull(std::span<const MessageId> ids, Deadline deadline) override;
  void forget(std::span<const MessageId> ids) override;
  aggregate::FoldResult send_and_fold(const Broadcast& broadcast, const AggregationPlan& plan,
                                      Deadline deadline) override;

  // Makes the calls under way, and all later ones, end with CANCELLED.  Any thread.
  void request_stop();
  bool stop_requested() const;
  bool sent() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace umbel::runner

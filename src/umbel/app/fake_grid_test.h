#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "umbel/app/client_app.h"
#include "umbel/app/grid.h"

namespace umbel {

// Runs every client at once, on the caller's thread; replies to push() come in the reverse order.
class FakeGrid final : public Grid {
 public:
  FakeGrid(const ClientApp& app, const Run& run) : app_(app), run_(run) {}
  uint64_t node_count() const override { return run_.nodes; }
  Message make_message(std::string type, NodeId node, RecordDict content) override {
    return Message(metadata(std::move(type), node), std::move(content));
  }
  std::vector<MessageId> push(std::vector<Message> messages) override {
    std::vector<MessageId> ids;
    most_pushed = std::max(most_pushed, messages.size());
    for (const Message& message : messages) {
      ids.push_back(message.metadata().id);
      if (sleeps && sleeps(message.metadata().destination)) continue;
      Context context(run_, message.metadata().destination, 1);
      replies_.push_back(app_.handle(message, context));
    }
    std::ranges::reverse(replies_);
    return ids;
  }
  std::vector<Message> pull(std::span<const MessageId>, Deadline) override {
    return std::exchange(replies_, {});
  }
  void forget(std::span<const MessageId> ids) override { forgotten.assign(ids.begin(), ids.end()); }
  aggregate::FoldResult send_and_fold(const Broadcast& broadcast, const AggregationPlan& plan,
                                      Deadline) override {
    aggregate::Fold fold(plan.layout, plan.options);
    types.push_back(broadcast.type);
    for (const uint64_t node : broadcast.nodes) {
      Metadata one = metadata(broadcast.type, NodeId(node));
      one.round = broadcast.round;
      Context context(run_, NodeId(node), 1);
      fold.add(app_.handle(Message(std::move(one), broadcast.content), context));
    }
    Serial serial;
    return fold.finish(serial);
  }

  std::function<bool(NodeId)> sleeps;  // who does not answer what is pushed
  size_t most_pushed = 0;              // messages at once
  std::vector<std::string> types;      // that were folded
  std::vector<MessageId> forgotten;

 private:
  Metadata metadata(std::string type, NodeId node) {
    return {.id = MessageId(++id_),
            .source = kServerNode,
            .destination = node,
            .type = std::move(type)};
  }

  const ClientApp& app_;
  const Run& run_;
  uint64_t id_ = 0;
  std::vector<Message> replies_;
};

}  // namespace umbel

#include "umbel/app/grid.h"

#include <algorithm>
#include <functional>
#include <unordered_map>

namespace umbel {

namespace {

Status check_distinct(std::vector<uint64_t> nodes) {
  if (std::ranges::adjacent_find(nodes, std::ranges::greater_equal()) == nodes.end()) {
    return absl::OkStatus();
  }
  std::ranges::sort(nodes);
  const auto twice = std::ranges::adjacent_find(nodes);
  if (twice == nodes.end()) return absl::OkStatus();
  return invalid_argument("client {} is asked twice", *twice);
}

}  // namespace

Status check_client(uint64_t client, uint64_t node_count) {
  if (client < node_count) return absl::OkStatus();
  return invalid_argument("there is no client {}: the federation has clients 0 to {}", client,
                          node_count - 1);
}

Status check_broadcast(const Broadcast& broadcast, uint64_t node_count, const Deadline& deadline) {
  for (const uint64_t node : broadcast.nodes) {
    UMBEL_RETURN_IF_ERROR(check_client(node, node_count));
  }
  UMBEL_RETURN_IF_ERROR(check_distinct(broadcast.nodes));
  if (deadline && !(deadline->count() > 0)) {
    return invalid_argument("the deadline is {} s, expected a positive number", deadline->count());
  }
  if (!broadcast.wrap_up) return absl::OkStatus();
  if (deadline && broadcast.wrap_up->count() > 0 && *broadcast.wrap_up < *deadline) {
    return absl::OkStatus();
  }
  return invalid_argument("wrap_up is {} s, expected above 0 and below the deadline ({})",
                          broadcast.wrap_up->count(),
                          deadline ? fmt::format("{} s", deadline->count()) : "none");
}

std::vector<Message> Grid::send_and_receive(std::vector<Message> messages, Deadline deadline) {
  const std::vector<Message> asked = messages;  // shares the contents
  const std::vector<MessageId> ids = push(std::move(messages));
  std::vector<Message> replies = pull(ids, deadline);
  if (replies.size() != ids.size()) forget(ids);
  std::unordered_map<MessageId, size_t> place;
  for (size_t i = 0; i != replies.size(); ++i) place.emplace(replies[i].metadata().reply_to, i);
  std::vector<Message> ordered;
  ordered.reserve(ids.size());
  for (size_t i = 0; i != ids.size(); ++i) {
    const auto found = place.find(ids[i]);
    if (found != place.end()) {
      ordered.push_back(std::move(replies[found->second]));
    } else {
      ordered.push_back(asked[i].reply(MessageError{
          MessageError::Code::kDeadline, fmt::format("client {}: no reply before the deadline",
                                                     asked[i].metadata().destination.value())}));
    }
  }
  return ordered;
}

const std::string& Grid::attribute(NodeId client, std::string_view name) {
  or_throw(check_client(client.value(), node_count()));
  const size_t index = or_throw(find_attribute(traits(), name));
  return traits()->attributes()[index].categories[traits()->category(client.value(), index)];
}

}  // namespace umbel

#include "umbel/app/grid.h"

#include <unordered_map>

namespace umbel {

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

}  // namespace umbel

#include "umbel/simulation/client_states.h"

#include <utility>

namespace umbel {

RecordDict ClientStates::take(uint64_t client) {
  if (kept_.load(std::memory_order_relaxed) == 0) return {};
  Shard& shard = shards_[client % shards_.size()];
  absl::MutexLock lock(&shard.mutex);
  const auto found = shard.states.find(client);
  if (found == shard.states.end()) return {};
  RecordDict state = std::move(found->second);
  shard.states.erase(found);
  --kept_;
  return state;
}

void ClientStates::put(uint64_t client, RecordDict state) {
  if (state.empty()) return;
  Shard& shard = shards_[client % shards_.size()];
  absl::MutexLock lock(&shard.mutex);
  kept_ += shard.states.insert_or_assign(client, std::move(state)).second ? 1 : 0;
}

}  // namespace umbel

#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <unordered_map>

#include "umbel/record/record.h"

namespace umbel {

// What clients keep between messages of a run, by client.  Only clients that keep something cost
// memory.  Any threads.
class ClientStates {
 public:
  // The client's records, taken out; empty if it keeps none.
  RecordDict take(uint64_t client);
  void put(uint64_t client, RecordDict state);

 private:
  struct Shard {
    absl::Mutex mutex;
    std::unordered_map<uint64_t, RecordDict> states ABSL_GUARDED_BY(mutex);
  };
  std::array<Shard, 64> shards_;
  std::atomic<uint64_t> kept_{0};
};

}  // namespace umbel

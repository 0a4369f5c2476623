#pragma once

#include <cstdint>

namespace umbel::cli {

// What a round moves, without compression: the model to each node and an update of its size back.
struct RoundPlan {
  double bytes_each_way = 0;  // over all nodes
  double seconds = 0;         // of the transfers; the training comes on top
  bool hub_bound = false;     // the hub's link is what they wait for
};
// Links in Mbit/s (10^6 bits) each way.  The nodes move at the same time: one way takes as long as
// the slower of a node's link with one model and the hub's with all of them; and four round trips.
RoundPlan plan_round(int64_t model_bytes, int64_t nodes, double link_mbit, double hub_mbit,
                     double rtt_ms);

}  // namespace umbel::cli

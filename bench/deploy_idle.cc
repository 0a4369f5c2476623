#include <fmt/core.h>

#include <cstdio>

#include "bench/deploy.h"
#include "bench/fleet_nodes.h"
#include "bench/plain_tls.h"

namespace umbel::bench {

void idle_nodes(const HubOptions& hub, size_t count) {
  fmt::print("floor {} {}\n", idle_bytes(loopback_identity(), count),
             handshakes(loopback_identity(), count));
  FleetNodes nodes(hub.endpoint, count, {.on_frame = {}, .all_joined = [] {
                                           fmt::print("joined\n");
                                           std::fflush(stdout);
                                         }});
  or_throw(nodes.enroll(hub.admin_key));
  fmt::print("enrolled\n");
  std::fflush(stdout);
  if (std::getchar() == EOF) return;
  nodes.join();
  while (std::getchar() != EOF) {
  }
}

}  // namespace umbel::bench

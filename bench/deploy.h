#pragma once

#include <filesystem>
#include <string>

#include "umbel/http/client.h"

namespace umbel::bench {

// The parts of bench_deploy; each prints its rows.

struct HubOptions {
  http::Endpoint endpoint;
  std::filesystem::path admin_key;
};

// D-lat: from send() at a server to the receipt at the other end of a session that was idle, TLS
// on.
void session_latency(bool smoke);
// D-lat: one node that answers the app's pings over a real hub, `rounds` of them.
void round_trips(const HubOptions& hub, size_t rounds);
// D-1G: `nodes` nodes that reply to the app's `rounds` with a model each, at once.
void uploads(const HubOptions& hub, size_t nodes, size_t rounds);
// D-2000: `nodes` idle nodes, until standard input ends.  Prints "enrolled", and "joined" each time
// all of them are in; "floor BYTES SECONDS" first: what TLS alone costs for so many.
void idle_nodes(const HubOptions& hub, size_t nodes);

// An identity of the loopback interface, made for this process.
const http::Identity& loopback_identity();

}  // namespace umbel::bench

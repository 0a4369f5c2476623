#pragma once

#include <cstdint>
#include <string>

#include "umbel/base/shared_blob.h"
#include "umbel/base/status.h"

namespace umbel::http {

// A listening, non-blocking TCP socket on an address of this machine ("::" takes IPv4 as well).
// UNAVAILABLE that names address and port, and the process that has them if that can be seen.
Result<Descriptor> listen_on(const std::string& address, uint16_t port);
uint16_t port_of(int descriptor);

// One waiting connection.  No descriptor and OK if there is none; RESOURCE_EXHAUSTED if there are
// no descriptors left, or so few that `reserve` would be touched.
Result<Descriptor> accept_from(int listener, std::string& peer, int reserve);

}  // namespace umbel::http

#pragma once

#include <string>

#include "umbel/base/shared_blob.h"
#include "umbel/base/status.h"

struct sockaddr;

namespace umbel::http {

// A non-blocking TCP socket (not inherited by child processes) on its way to `address`.
// UNAVAILABLE with the reason if that cannot work.
Result<Descriptor> start_connect(const sockaddr* address, unsigned size);
// How it went, once the socket is writable.
Status connect_result(int descriptor);
// For sockets that carry requests: no delay of small packets, dead peers are noticed.
void set_socket_options(int descriptor);
// "192.0.2.7:51234", "[2001:db8::1]:51234"
std::string address_text(const sockaddr* address);

}  // namespace umbel::http

#pragma once

#include <cstddef>

#include "umbel/http/identity.h"

namespace umbel::bench {

// What OpenSSL gives on this machine with nothing of ours around it: TLS 1.3 with the cipher that
// our servers take.

// Seconds in which `connections` threads send `bytes` each to as many threads that discard them:
// blocking SSL_write and SSL_read over TCP on the loopback interface.
double send_and_discard(const http::Identity& identity, size_t connections, size_t bytes);

// Seconds for so many handshakes, both ends of them, on all processors and without sockets.
double handshakes(const http::Identity& identity, size_t count);

// Bytes of memory of a server's end of an idle connection, descriptors and sockets not counted.
double idle_bytes(const http::Identity& identity, size_t count);

}  // namespace umbel::bench

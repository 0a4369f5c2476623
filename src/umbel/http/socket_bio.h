#pragma once

typedef struct bio_st BIO;  // NOLINT: OpenSSL's own declaration

namespace umbel::http {

// OpenSSL's end of a non-blocking socket.  Unlike its own BIO_s_socket a write to a closed
// connection raises no SIGPIPE.  Never closes the descriptor.
BIO* new_socket_bio(int descriptor);

}  // namespace umbel::http

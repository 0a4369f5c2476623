#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "umbel/base/status.h"

typedef struct ssl_st SSL;  // NOLINT: OpenSSL's own declaration

namespace umbel::http {

struct SslFree {
  void operator()(SSL* ssl) const;
};
using UniqueSsl = std::unique_ptr<SSL, SslFree>;

// What a step on a non-blocking socket waits for before it can go on.
enum class Want { kNothing, kRead, kWrite };

// How far a step came.  With `want` the same call is to be made again once the socket is ready.
struct Step {
  size_t bytes = 0;
  Want want = Want::kNothing;
  bool end = false;  // the other end has closed in order
  Status status;     // why this connection is of no more use
  bool more() const { return want == Want::kNothing && !end && status.ok(); }
};

// Whom a client means to reach, and what it found out about the server's certificate.
struct Verification;

// Bytes over a connected, non-blocking socket, with TLS or plain.  TLS works on the socket itself
// (no copies between buffers, none held while idle); a closed connection raises no signal.  Does
// not own the descriptor.  One thread or strand at a time.
class Transport {
 public:
  explicit Transport(int descriptor) : descriptor_(descriptor) {}
  Transport(int descriptor, UniqueSsl ssl, std::shared_ptr<Verification> verification);

  bool secure() const { return ssl_ != nullptr; }
  int descriptor() const { return descriptor_; }

  Step handshake();
  // Fills `out` with what is there; wants to read only if nothing was.
  Step read(std::span<std::byte> out);
  // Writes what the socket takes.  After kWrite the same bytes come first again.
  Step write(std::span<const std::byte> bytes);
  // Tells the other end, as far as that goes without waiting, that no more will come.
  void finish();
  // From now on the socket is read in large pieces (on), or buffers stay small (off).
  void set_bulk(bool on);
  // SHA-256 of the certificate that the server showed (to a client), 32 bytes; zeros without TLS.
  std::string peer_certificate_sha256() const;

 private:
  Step failed(int result, std::string_view doing);

  int descriptor_;
  UniqueSsl ssl_;
  std::shared_ptr<Verification> verification_;
};

inline constexpr size_t kBulkReadBytes = 128 << 10;

}  // namespace umbel::http

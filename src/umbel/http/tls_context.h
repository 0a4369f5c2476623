#pragma once

#include <memory>
#include <string>

#include "umbel/http/identity.h"
#include "umbel/http/transport.h"

typedef struct ssl_ctx_st SSL_CTX;  // NOLINT: OpenSSL's own declaration

namespace umbel::http {

// How TLS is spoken here: versions 1.2 and 1.3, authenticated encryption with forward secrecy
// only, no renegotiation, tickets, compression or early data.  Any threads.
class TlsContext {
 public:
  // INVALID_ARGUMENT if the certificate or key cannot be used.
  static Result<std::shared_ptr<const TlsContext>> server(const Identity& identity);
  static std::shared_ptr<const TlsContext> client();
  ~TlsContext();

  Transport accept(int descriptor) const;
  Transport connect(int descriptor, const Trust& trust, const std::string& host) const;
  // Of the server's own certificate: 32 bytes.
  const std::string& certificate_sha256() const { return certificate_sha256_; }

 private:
  explicit TlsContext(SSL_CTX* context) : context_(context) {}
  SSL_CTX* context_;
  std::string certificate_sha256_;
};

}  // namespace umbel::http

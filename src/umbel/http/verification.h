#pragma once

#include <string>

#include "umbel/http/identity.h"

typedef struct x509_st X509;                      // NOLINT: OpenSSL's own declarations
typedef struct x509_store_ctx_st X509_STORE_CTX;  // NOLINT

namespace umbel::http {

// One connection's expectations, kept with it; `refusal` is filled in when they are not met.
struct Verification {
  Trust trust;
  std::string host;
  std::string refusal;
};

// Decides about the chain that a server sent: OpenSSL's callback
// (SSL_CTX_set_cert_verify_callback). The connection's Verification is its SSL's app data.
int verify_server(X509_STORE_CTX* chain, void*);

// SHA-256 of a certificate (DER): 32 bytes.
std::string certificate_hash(const X509* certificate);
// "2027-01-31 12:00 UTC"
std::string expiry_of(const X509* certificate);

}  // namespace umbel::http

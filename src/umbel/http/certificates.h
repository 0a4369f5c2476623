#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/base/status.h"

typedef struct x509_st X509;          // NOLINT: OpenSSL's own declarations
typedef struct evp_pkey_st EVP_PKEY;  // NOLINT

namespace umbel::http {

struct X509Free {
  void operator()(X509* certificate) const;
};
struct KeyFree {
  void operator()(EVP_PKEY* key) const;
};
using Certificate = std::unique_ptr<X509, X509Free>;
using Key = std::unique_ptr<EVP_PKEY, KeyFree>;

using Date = std::chrono::system_clock::time_point;

// A key on NIST's curve P-256, which every TLS library takes.
Key make_key();
// A self-signed certificate of an authority.
Certificate make_authority(EVP_PKEY* key, Date from, Date until);
// A server's, for host names and addresses, signed by the authority.  INVALID_ARGUMENT for what is
// neither.
Result<Certificate> make_certificate(EVP_PKEY* key, const std::vector<std::string>& names,
                                     X509* authority, EVP_PKEY* authority_key, Date from,
                                     Date until);

std::string to_pem(X509* certificate);
std::string to_pem(EVP_PKEY* key);
// The certificates of a file, in its order; INVALID_ARGUMENT if there is none.
Result<std::vector<Certificate>> certificates_of(std::string_view pem);
Result<Key> key_of(std::string_view pem);

// The host names and addresses that a certificate is for, as text.
std::vector<std::string> names_of(const X509* certificate);
bool valid_at(const X509* certificate, Date when);
// An IPv4 or IPv6 address, not a name.
bool is_address(const std::string& host);

std::string hex_of(std::string_view bytes);

}  // namespace umbel::http

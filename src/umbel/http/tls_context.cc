#include "umbel/http/tls_context.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <array>
#include <cstring>

#include "umbel/base/check.h"
#include "umbel/http/certificates.h"
#include "umbel/http/verification.h"

namespace umbel::http {

namespace {

constexpr std::array<unsigned char, 9> kAlpn = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

bool fast_aes() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#else
  return true;
#endif
}

// A server takes the client's favourite if that is ChaCha20: only a client knows its processor.
void common(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_read_ahead(context, 1);
  const bool aes = fast_aes();
  UMBEL_CHECK(SSL_CTX_set_cipher_list(
                  context, aes ? "ECDHE+AES128+AESGCM:ECDHE+AESGCM:ECDHE+CHACHA20"
                               : "ECDHE+CHACHA20:ECDHE+AES128+AESGCM:ECDHE+AESGCM") == 1);
  UMBEL_CHECK(
      SSL_CTX_set_ciphersuites(context, aes ? "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                              "TLS_CHACHA20_POLY1305_SHA256"
                                            : "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:"
                                              "TLS_AES_256_GCM_SHA384") == 1);
  UMBEL_CHECK(SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384") == 1);
}

int choose_protocol(SSL*, const unsigned char** out, unsigned char* size,
                    const unsigned char* offered, unsigned offered_size, void*) {
  unsigned char* chosen = nullptr;
  const int found =
      SSL_select_next_proto(&chosen, size, kAlpn.data(), kAlpn.size(), offered, offered_size);
  if (found != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

Result<std::shared_ptr<const TlsContext>> TlsContext::server(const Identity& identity) {
  const std::shared_ptr<TlsContext> made(new TlsContext(SSL_CTX_new(TLS_server_method())));
  SSL_CTX* context = made->context_;
  UMBEL_CHECK(context != nullptr);
  common(context);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  UMBEL_ASSIGN_OR_RETURN(const auto chain, certificates_of(identity.certificate_pem));
  UMBEL_ASSIGN_OR_RETURN(const Key key, key_of(identity.key_pem));
  bool good = SSL_CTX_use_certificate(context, chain.front().get()) == 1 &&
              SSL_CTX_use_PrivateKey(context, key.get()) == 1;
  for (size_t i = 1; i < chain.size() && good; ++i) {
    good = SSL_CTX_add1_chain_cert(context, chain[i].get()) == 1;
  }
  if (!good) {
    const char* reason = ERR_reason_error_string(ERR_peek_error());
    const Status status = invalid_argument("the server's certificate cannot be used: {}",
                                           reason ? reason : "unknown");
    ERR_clear_error();
    return status;
  }
  made->certificate_sha256_ = certificate_hash(chain.front().get());
  return std::shared_ptr<const TlsContext>(made);
}

std::shared_ptr<const TlsContext> TlsContext::client() {
  const std::shared_ptr<TlsContext> made(new TlsContext(SSL_CTX_new(TLS_client_method())));
  UMBEL_CHECK(made->context_ != nullptr);
  common(made->context_);
  SSL_CTX_set_verify(made->context_, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(made->context_, verify_server, nullptr);
  SSL_CTX_set_alpn_protos(made->context_, kAlpn.data(), kAlpn.size());
  return made;
}

Transport TlsContext::accept(int descriptor) const {
  UniqueSsl ssl(SSL_new(context_));
  UMBEL_CHECK(ssl != nullptr);
  SSL_set_accept_state(ssl.get());
  return Transport(descriptor, std::move(ssl), nullptr);
}

Transport TlsContext::connect(int descriptor, const Trust& trust, const std::string& host) const {
  UniqueSsl ssl(SSL_new(context_));
  UMBEL_CHECK(ssl != nullptr);
  const auto verification = std::make_shared<Verification>(Verification{trust, host, ""});
  SSL_set_app_data(ssl.get(), verification.get());
  SSL_set_connect_state(ssl.get());
  std::array<unsigned char, 16> address;
  if (inet_pton(AF_INET, host.c_str(), address.data()) != 1 &&
      inet_pton(AF_INET6, host.c_str(), address.data()) != 1) {
    SSL_set_tlsext_host_name(ssl.get(), host.c_str());
  }
  return Transport(descriptor, std::move(ssl), verification);
}

}  // namespace umbel::http

#include "umbel/http/verification.h"

#include <arpa/inet.h>
#include <fmt/chrono.h>
#include <fmt/core.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <array>
#include <chrono>
#include <ctime>
#include <memory>

#include "umbel/base/text.h"
#include "umbel/http/certificates.h"

namespace umbel::http {

namespace {

using Store = std::unique_ptr<X509_STORE, decltype(&X509_STORE_free)>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, decltype(&X509_STORE_CTX_free)>;

std::string time_text(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return "an unreadable date";
  return fmt::format("{:%Y-%m-%d %H:%M} UTC", parts);
}

std::string clock_text() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(now));
}

std::string digits_of(const std::string& authority) {
  return authority.starts_with("sha256:") ? authority.substr(7) : authority;
}

// Puts what may vouch for the server into `store`; the reason if there is nothing.
std::string fill_store(X509_STORE* store, const Trust& trust, X509* leaf,
                       const STACK_OF(X509) * sent) {
  if (!trust.authority_file.empty()) {
    if (X509_STORE_load_file(store, trust.authority_file.c_str()) == 1) return "";
    return fmt::format("{}: no certificate authorities can be read from it",
                       trust.authority_file.string());
  }
  if (trust.authority_sha256.empty()) {
    return X509_STORE_set_default_paths(store) == 1 ? "" : "the system has no list of authorities";
  }
  const std::string expected = digits_of(trust.authority_sha256);
  X509* last = leaf;
  for (int i = 0; i < sk_X509_num(sent); ++i) {
    last = sk_X509_value(sent, i);
    if (hex_of(certificate_hash(last)) != expected) continue;
    return X509_STORE_add_cert(store, last) == 1 ? "" : "its authority's certificate is malformed";
  }
  return fmt::format("the server's authority is sha256:{}, expected sha256:{}",
                     hex_of(certificate_hash(last)), escaped(expected));
}

std::string words(int error, const X509* at, const X509* leaf, const std::string& host) {
  const X509* about = at == nullptr ? leaf : at;
  const char* whose = about == leaf ? "the server's certificate" : "the authority's certificate";
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return fmt::format("{} expired on {} (this machine's clock says {})", whose, expiry_of(about),
                         clock_text());
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return fmt::format("{} is not valid before {} (this machine's clock says {})", whose,
                         time_text(X509_get0_notBefore(about)), clock_text());
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: {
      std::string names;
      for (const std::string& name : names_of(leaf)) {
        if (names.size() > 300) break;
        names += (names.empty() ? "" : ", ") + escaped(name);
      }
      return fmt::format("the server's certificate is for {}, not for {}",
                         names.empty() ? "nobody" : names, host);
    }
    default:
      return fmt::format("{} is not to be trusted: {}", whose,
                         X509_verify_cert_error_string(error));
  }
}

std::string verify(const Verification& wanted, X509* leaf, STACK_OF(X509) * sent) {
  const Store store(X509_STORE_new(), &X509_STORE_free);
  const StoreContext context(X509_STORE_CTX_new(), &X509_STORE_CTX_free);
  if (store == nullptr || context == nullptr || leaf == nullptr) return "it sent no certificate";
  if (std::string why = fill_store(store.get(), wanted.trust, leaf, sent); !why.empty()) return why;
  if (X509_STORE_CTX_init(context.get(), store.get(), leaf, sent) != 1) return "out of memory";
  X509_STORE_CTX_set_default(context.get(), "ssl_server");
  X509_VERIFY_PARAM* rules = X509_STORE_CTX_get0_param(context.get());
  // An authority that was named by its hash ends the chain even if another one vouches for it.
  if (!wanted.trust.authority_sha256.empty()) {
    X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_PARTIAL_CHAIN);
  }
  X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const int named = is_address(wanted.host)
                        ? X509_VERIFY_PARAM_set1_ip_asc(rules, wanted.host.c_str())
                        : X509_VERIFY_PARAM_set1_host(rules, wanted.host.c_str(), 0);
  if (named != 1) return fmt::format("\"{}\" is no host name", escaped(wanted.host));
  if (X509_verify_cert(context.get()) == 1) return "";
  return words(X509_STORE_CTX_get_error(context.get()),
               X509_STORE_CTX_get_current_cert(context.get()), leaf, wanted.host);
}

}  // namespace

int verify_server(X509_STORE_CTX* chain, void*) {
  auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* wanted = static_cast<Verification*>(SSL_get_app_data(ssl));
  wanted->refusal =
      verify(*wanted, X509_STORE_CTX_get0_cert(chain), X509_STORE_CTX_get0_untrusted(chain));
  ERR_clear_error();
  if (wanted->refusal.empty()) {
    X509_STORE_CTX_set_error(chain, X509_V_OK);
    return 1;
  }
  X509_STORE_CTX_set_error(chain, X509_V_ERR_APPLICATION_VERIFICATION);
  return 0;
}

std::string certificate_hash(const X509* certificate) {
  std::string hash(32, '\0');
  unsigned size = 0;
  X509_digest(certificate, EVP_sha256(), reinterpret_cast<unsigned char*>(hash.data()), &size);
  return hash;
}

std::string expiry_of(const X509* certificate) {
  return time_text(X509_get0_notAfter(certificate));
}

}  // namespace umbel::http

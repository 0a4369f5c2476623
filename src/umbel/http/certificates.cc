#include "umbel/http/certificates.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "umbel/base/check.h"
#include "umbel/base/text.h"

namespace umbel::http {

namespace {

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
constexpr size_t kChainMax = 10;

Bio reader(std::string_view text) {
  return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), &BIO_free};
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(size));
}

void add_extension(X509* certificate, X509* issuer, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str());
  UMBEL_CHECK(extension != nullptr);
  UMBEL_CHECK(X509_add_ext(certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

Certificate unsigned_certificate(EVP_PKEY* key, const char* name, Date from, Date until) {
  Certificate certificate(X509_new());
  UMBEL_CHECK(certificate != nullptr);
  X509_set_version(certificate.get(), X509_VERSION_3);
  std::array<unsigned char, 16> serial;
  UMBEL_CHECK(RAND_bytes(serial.data(), serial.size()) == 1);
  serial[0] = static_cast<unsigned char>((serial[0] & 0x7f) | 0x40);  // positive, of 16 bytes
  BIGNUM* number = BN_bin2bn(serial.data(), serial.size(), nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate.get()));
  BN_free(number);
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), std::chrono::system_clock::to_time_t(from));
  ASN1_TIME_set(X509_getm_notAfter(certificate.get()), std::chrono::system_clock::to_time_t(until));
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  X509_set_pubkey(certificate.get(), key);
  return certificate;
}

bool is_host_name(const std::string& name) {
  return !name.empty() && name.size() <= 253 && std::all_of(name.begin(), name.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' || c == '_';
  });
}

}  // namespace

bool is_address(const std::string& host) {
  std::array<unsigned char, 16> bytes;
  return inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

void X509Free::operator()(X509* certificate) const { X509_free(certificate); }
void KeyFree::operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }

Key make_key() {
  Key key(EVP_EC_gen("P-256"));
  UMBEL_CHECK(key != nullptr);
  return key;
}

Certificate make_authority(EVP_PKEY* key, Date from, Date until) {
  Certificate made = unsigned_certificate(key, "Umbel authority", from, until);
  X509_set_issuer_name(made.get(), X509_get_subject_name(made.get()));
  add_extension(made.get(), made.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  add_extension(made.get(), made.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  add_extension(made.get(), made.get(), NID_subject_key_identifier, "hash");
  UMBEL_CHECK(X509_sign(made.get(), key, EVP_sha256()) > 0);
  return made;
}

Result<Certificate> make_certificate(EVP_PKEY* key, const std::vector<std::string>& names,
                                     X509* authority, EVP_PKEY* authority_key, Date from,
                                     Date until) {
  std::string alternatives;
  for (const std::string& name : names) {
    if (!is_address(name) && !is_host_name(name)) {
      return invalid_argument("\"{}\": a host name or an address is expected", escaped(name));
    }
    alternatives +=
        (alternatives.empty() ? "" : ",") + std::string(is_address(name) ? "IP:" : "DNS:") + name;
  }
  if (names.empty()) return invalid_argument("a server's certificate needs a name");
  Certificate made = unsigned_certificate(key, "Umbel SuperLink", from, until);
  X509_set_issuer_name(made.get(), X509_get_subject_name(authority));
  add_extension(made.get(), authority, NID_basic_constraints, "critical,CA:FALSE");
  add_extension(made.get(), authority, NID_key_usage, "critical,digitalSignature");
  add_extension(made.get(), authority, NID_ext_key_usage, "serverAuth");
  add_extension(made.get(), authority, NID_subject_key_identifier, "hash");
  add_extension(made.get(), authority, NID_authority_key_identifier, "keyid");
  add_extension(made.get(), authority, NID_subject_alt_name, alternatives);
  UMBEL_CHECK(X509_sign(made.get(), authority_key, EVP_sha256()) > 0);
  return made;
}

std::string to_pem(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()), &BIO_free);
  UMBEL_CHECK(PEM_write_bio_X509(bio.get(), certificate) == 1);
  return text_of(bio.get());
}

std::string to_pem(EVP_PKEY* key) {
  const Bio bio(BIO_new(BIO_s_secmem()), &BIO_free);
  UMBEL_CHECK(PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return text_of(bio.get());
}

Result<std::vector<Certificate>> certificates_of(std::string_view pem) {
  std::vector<Certificate> found;
  const Bio bio = reader(pem);
  while (found.size() != kChainMax) {
    Certificate one(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (one == nullptr) break;
    found.push_back(std::move(one));
  }
  ERR_clear_error();
  if (found.empty()) return invalid_argument("no certificate (PEM) is in it");
  return found;
}

Result<Key> key_of(std::string_view pem) {
  const Bio bio = reader(pem);
  // No pass phrase is asked for: an encrypted key is refused.
  const auto no_phrase = [](char*, int, int, void*) { return -1; };
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_phrase, nullptr));
  ERR_clear_error();
  if (key == nullptr) return invalid_argument("no private key (PEM, not encrypted) is in it");
  return key;
}

std::vector<std::string> names_of(const X509* certificate) {
  std::vector<std::string> names;
  auto* all = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(all); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(all, i);
    int type = 0;
    const auto* value = static_cast<const ASN1_STRING*>(GENERAL_NAME_get0_value(name, &type));
    if (type == GEN_DNS) {
      names.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                         static_cast<size_t>(ASN1_STRING_length(value)));
    } else if (type == GEN_IPADD) {
      std::array<char, INET6_ADDRSTRLEN> text{};
      const int length = ASN1_STRING_length(value);
      if (length != 4 && length != 16) continue;
      inet_ntop(length == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(value), text.data(),
                text.size());
      names.emplace_back(text.data());
    }
  }
  GENERAL_NAMES_free(all);
  return names;
}

bool valid_at(const X509* certificate, Date when) {
  std::time_t time = std::chrono::system_clock::to_time_t(when);
  return X509_cmp_time(X509_get0_notBefore(certificate), &time) < 0 &&
         X509_cmp_time(X509_get0_notAfter(certificate), &time) > 0;
}

std::string hex_of(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

}  // namespace umbel::http

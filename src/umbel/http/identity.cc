#include "umbel/http/identity.h"

#include <fcntl.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "umbel/base/files.h"
#include "umbel/base/shared_blob.h"
#include "umbel/http/certificates.h"
#include "umbel/http/verification.h"

namespace umbel::http {

namespace {

namespace fs = std::filesystem;
using std::chrono::days;

constexpr size_t kPemBytesMax = 256 << 10;
constexpr days kAuthorityLife{3650}, kServerLife{365}, kRenewBefore{30};
constexpr days kBackdated{1};  // so that machines whose clocks are behind believe it as well

Status write_secret(const fs::path& path, const std::string& text) {
  const fs::path temporary = path.string() + ".new";
  ::unlink(temporary.c_str());
  const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  const bool written =
      file && ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (!written || ::fsync(file.get()) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    return unavailable("{}: cannot be written: {}", path.string(), std::strerror(error));
  }
  return absl::OkStatus();
}

Result<std::string> read_pem(const fs::path& path) { return read_file(path, kPemBytesMax); }

Result<std::vector<Certificate>> read_certificates(const fs::path& path) {
  UMBEL_ASSIGN_OR_RETURN(const std::string pem, read_pem(path));
  Result<std::vector<Certificate>> certificates = certificates_of(pem);
  if (!certificates.ok()) return annotate(certificates.status(), path.string());
  return certificates;
}

Result<Key> read_key(const fs::path& path) {
  UMBEL_ASSIGN_OR_RETURN(const std::string pem, read_pem(path));
  Result<Key> key = key_of(pem);
  if (!key.ok()) return annotate(key.status(), path.string());
  return key;
}

Status require_current(const fs::path& path, const X509* certificate) {
  if (valid_at(certificate, std::chrono::system_clock::now())) return absl::OkStatus();
  return failed_precondition("{}: the certificate is not valid today; it ends on {}", path.string(),
                             expiry_of(certificate));
}

Status make_authority_if_missing(const fs::path& folder) {
  const fs::path key_path = folder / "authority.key", path = folder / "authority.pem";
  if (!fs::exists(key_path)) {
    if (fs::exists(path) || fs::exists(folder / "server.pem")) return absl::OkStatus();
    UMBEL_RETURN_IF_ERROR(write_secret(key_path, to_pem(make_key().get())));
  }
  if (fs::exists(path)) return absl::OkStatus();
  UMBEL_ASSIGN_OR_RETURN(const Key key, read_key(key_path));
  const Date now = std::chrono::system_clock::now();
  return write_file_atomic(
      path, to_pem(make_authority(key.get(), now - kBackdated, now + kAuthorityLife).get()));
}

bool serves(const X509* certificate, const std::vector<std::string>& names) {
  const std::vector<std::string> has = names_of(certificate);
  return std::all_of(names.begin(), names.end(), [&](const std::string& name) {
    return std::find(has.begin(), has.end(), name) != has.end();
  });
}

// Whether the server's certificate and key that are there can stay.
bool still_good(const fs::path& folder, const std::vector<std::string>& names, X509* authority) {
  const Result<std::vector<Certificate>> certificates = read_certificates(folder / "server.pem");
  const Result<Key> key = read_key(folder / "server.key");
  if (!certificates.ok() || !key.ok()) return false;
  X509* server = certificates->front().get();
  const Key authority_key(X509_get_pubkey(authority));
  const Date now = std::chrono::system_clock::now();
  return X509_check_private_key(server, key->get()) == 1 &&
         X509_verify(server, authority_key.get()) == 1 && valid_at(server, now) &&
         valid_at(server, now + kRenewBefore) && serves(server, names);
}

Status make_server_if_needed(const fs::path& folder, const std::vector<std::string>& names) {
  if (!fs::exists(folder / "authority.key")) return absl::OkStatus();
  UMBEL_ASSIGN_OR_RETURN(const auto authority, read_certificates(folder / "authority.pem"));
  UMBEL_RETURN_IF_ERROR(require_current(folder / "authority.pem", authority.front().get()));
  if (still_good(folder, names, authority.front().get())) return absl::OkStatus();
  UMBEL_ASSIGN_OR_RETURN(const Key authority_key, read_key(folder / "authority.key"));
  if (X509_check_private_key(authority.front().get(), authority_key.get()) != 1) {
    return failed_precondition("{}: not the key of authority.pem",
                               (folder / "authority.key").string());
  }
  const Key key = make_key();
  const Date now = std::chrono::system_clock::now();
  UMBEL_ASSIGN_OR_RETURN(
      const Certificate made,
      make_certificate(key.get(), names, authority.front().get(), authority_key.get(),
                       now - kBackdated, now + kServerLife));
  UMBEL_RETURN_IF_ERROR(write_secret(folder / "server.key", to_pem(key.get())));
  return write_file_atomic(folder / "server.pem", to_pem(made.get()));
}

Result<Identity> read_identity(const fs::path& folder) {
  const fs::path server_path = folder / "server.pem", authority_path = folder / "authority.pem";
  for (const char* name : {"server.pem", "server.key", "authority.pem"}) {
    if (!fs::exists(folder / name)) {
      return failed_precondition("{}: is missing, and there is no authority.key to make it with",
                                 (folder / name).string());
    }
  }
  UMBEL_ASSIGN_OR_RETURN(const auto chain, read_certificates(server_path));
  UMBEL_ASSIGN_OR_RETURN(const auto authority, read_certificates(authority_path));
  UMBEL_ASSIGN_OR_RETURN(const Key key, read_key(folder / "server.key"));
  UMBEL_RETURN_IF_ERROR(require_current(server_path, chain.front().get()));
  UMBEL_RETURN_IF_ERROR(require_current(authority_path, authority.front().get()));
  if (X509_check_private_key(chain.front().get(), key.get()) != 1) {
    return failed_precondition("{}: not the key of server.pem", (folder / "server.key").string());
  }
  Identity identity;
  const std::string last = certificate_hash(authority.front().get());
  for (const Certificate& one : chain) {
    if (certificate_hash(one.get()) != last) identity.certificate_pem += to_pem(one.get());
  }
  identity.certificate_pem += to_pem(authority.front().get());
  identity.key_pem = to_pem(key.get());
  identity.authority_sha256 = hex_of(last);
  return identity;
}

}  // namespace

Result<Identity> make_or_read_identity(const fs::path& folder,
                                       const std::vector<std::string>& names) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return unavailable("{}: cannot be made: {}", folder.string(), error.message());
  UMBEL_RETURN_IF_ERROR(make_authority_if_missing(folder));
  UMBEL_RETURN_IF_ERROR(make_server_if_needed(folder, names));
  return read_identity(folder);
}

}  // namespace umbel::http

#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "umbel/base/status.h"

namespace umbel::http {

// A server's certificate and key, and the authority (CA) that vouches for it.
struct Identity {
  std::string certificate_pem;  // the chain: the server's first, the authority's last
  std::string key_pem;
  std::string authority_sha256;  // of the authority's certificate (DER): 64 hexadecimal digits
};

// Reads FOLDER/{authority.pem,authority.key,server.pem,server.key}, after making what is not there:
// an authority good for ten years, and a certificate for `names` (host names and addresses) good
// for a year.  A certificate that the authority made is made anew when fewer than 30 days are left
// or `names` has another one.  Keys have mode 0600.  Without authority.key (someone else's
// certificate was put there) nothing is made: FAILED_PRECONDITION that names the file and its date
// if it has expired.
Result<Identity> make_or_read_identity(const std::filesystem::path& folder,
                                       const std::vector<std::string>& names);

// What a client trusts a server by.
struct Trust {
  // The SHA-256 of the authority's certificate, "sha256:" and 64 digits or the digits alone.  The
  // server sends its chain; the authority in it must have this hash, and everything else must hold
  // as usual: signatures, dates, the server's name.
  std::string authority_sha256;
  // Or a file of trusted authorities (PEM); or neither: those of the system.
  std::filesystem::path authority_file;
  // No TLS at all: for a loopback interface and for tests, never the default.
  bool plain = false;
};

}  // namespace umbel::http

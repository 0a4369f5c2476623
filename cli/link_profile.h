#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "umbel/http/client.h"

namespace umbel::cli {

// Where a hub is, why to believe it, and who we are there: [link.NAME] of $UMBEL_HOME/config.toml.
struct LinkProfile {
  std::string name;
  std::string address;        // HOST:PORT
  std::string trust;          // "sha256:" and 64 digits: the hub's authority; "": the system's
  std::filesystem::path key;  // absolute; the user's private key
  bool plain = false;         // no TLS; key insecure-no-tls
  Result<http::Endpoint> endpoint() const;
};

// $UMBEL_HOME/user.key: who we are where a link profile says nothing else, and who signs bundles.
std::filesystem::path user_key_path();

// The profiles in the order in which they are written; none if there is no config.toml.
// INVALID_ARGUMENT with file and line for what is no profile.
Result<std::vector<LinkProfile>> read_links();
// NOT_FOUND names the nearest one that there is.
Result<LinkProfile> find_link(const std::string& name);

// Add to and take from config.toml, whose other lines stay as they are.  ALREADY_EXISTS, NOT_FOUND.
Status add_link(const LinkProfile& link);
Status remove_link(const std::string& name);

}  // namespace umbel::cli

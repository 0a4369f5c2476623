#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "umbel/superlink/routes.h"

namespace umbel::superlink {

// How a hub is set up.  docs/superlink.md has the same list, with the options' names.
struct HubOptions {
  std::string address = "0.0.0.0";
  uint16_t port = 9092;
  std::filesystem::path state;  // its folder
  std::vector<std::string>
      names;  // host names and addresses for its certificate; this host's always
  bool tls = true;
  size_t threads = 2;
  size_t runs_max = 3;
  uint64_t memory_max = uint64_t{256} << 20;  // for replies that are kept until they are whole
  double node_grace_seconds = 60;
  bool single_replies = true;
  std::string python;  // the interpreter for ServerApps in Python; "": find_interpreter() says
  size_t connections_max = 15'000;
};

// The SuperLink: its parts, in the order in which they need each other.
class Hub {
 public:
  // Reads its state, goes on with what was under way, and listens.
  static Result<std::unique_ptr<Hub>> start(HubOptions options);
  ~Hub();  // as stop()
  // Ends everything in order; runs that are under way go on at the next start.
  void stop();

  uint16_t port() const;
  const std::string& authority_sha256() const { return authority_sha256_; }  // "" without TLS
  // The key of the administrator that the first start made; empty path if it was not this one.
  const std::filesystem::path& new_admin_key() const { return new_admin_key_; }

 private:
  explicit Hub(HubOptions options) : options_(std::move(options)) {}
  Status make_administrator();

  const HubOptions options_;
  std::string authority_sha256_;
  std::filesystem::path new_admin_key_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<AuditLog> audit_;
  std::unique_ptr<Roster> roster_;
  std::unique_ptr<Bundles> bundles_;
  std::unique_ptr<MemoryBudget> memory_;
  std::unique_ptr<Blobs> blobs_;
  std::unique_ptr<Timers> timers_;
  std::unique_ptr<Fleet> fleet_;
  std::unique_ptr<Runs> runs_;
  std::unique_ptr<Routes> routes_;
  std::unique_ptr<http::Server> server_;
};

}  // namespace umbel::superlink

#pragma once

#include <memory>
#include <vector>

#include "history.h"
#include "hub_event.h"
#include "json_records.h"
#include "link_profile.h"
#include "umbel/base/keys.h"

namespace umbel::cli {

// A user at a hub: logs in when first needed, and again where the hub has forgotten us.  Errors
// name the link; UNAVAILABLE if the hub cannot be reached, UNAUTHENTICATED if one of the two does
// not know the other.  One thread, but for cancel().
class HubClient {
 public:
  // Reads the user's key; makes no connection yet.
  static Result<HubClient> open(const LinkProfile& link);
  static Result<HubClient> open(const std::string& link);

  const LinkProfile& link() const { return link_; }
  // Ends the call that is being made, and all later ones, with CANCELLED.  Any thread.
  void cancel() { connection_->cancel(); }

  // The answer of a call as JSON.
  Result<Json> get(const std::string& target);
  Result<Json> post(const std::string& target, const Json& body);
  Result<Json> remove(const std::string& target);

  Result<bool> has_bundle(const std::string& sha256);
  Status put_bundle(const std::string& sha256, const std::string& archive);

  // Runs as the hub has them: `id` is its number there, `link` this link's name.
  Result<Run> start(const Json& request);
  Result<std::vector<Run>> runs();
  Result<Run> run(int64_t id);
  Result<Run> stop(int64_t id);
  // What came after the event `after`, held back for up to `wait` if there is nothing yet.
  Result<std::vector<HubEvent>> events(int64_t run, int64_t after, std::chrono::seconds wait);

  Result<std::vector<ArtifactEvent>> artifacts(int64_t run);
  // The artifact's bytes from `first` on; returns how many came, and why no more.
  http::Client::Moved download(int64_t run, const ArtifactEvent& artifact, uint64_t first,
                               const http::Client::Take& take);

 private:
  HubClient(LinkProfile link, PrivateKey key, http::Endpoint endpoint)
      : link_(std::move(link)),
        key_(std::move(key)),
        connection_(std::make_unique<http::Client>(std::move(endpoint))) {}
  Status login();
  Status require_login();
  template <class Call>
  Result<http::Client::Reply> logged_in(Call&& call);
  Result<http::Client::Reply> request(std::string_view method, const std::string& target,
                                      const std::string& body = "",
                                      std::chrono::seconds patience = std::chrono::seconds(0));
  Result<Json> json_call(std::string_view method, const std::string& target,
                         const std::string& body = "");
  Status named(const Status& status) const;

  LinkProfile link_;
  PrivateKey key_;
  std::unique_ptr<http::Client> connection_;
  bool logged_in_ = false;
};

}  // namespace umbel::cli

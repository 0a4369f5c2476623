#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "umbel/http/server.h"
#include "umbel/superlink/logins.h"
#include "umbel/superlink/runs.h"

namespace umbel::superlink {

// The hub's routes: control for users and administrators, fleet for nodes (docs/protocol.md).  Who
// may do what is decided before a body is read; what is not allowed, and what is not there, look
// the same.
class Routes final : public http::Handler {
 public:
  struct Parts {
    Roster& roster;
    Fleet& fleet;
    Runs& runs;
    Bundles& bundles;
    Blobs& blobs;
    Timers& timers;
    AuditLog& audit;
    MemoryBudget& memory;
  };
  explicit Routes(Parts parts) : parts_(parts) {}
  void set_ready(bool ready) { ready_ = ready; }

  std::unique_ptr<http::Call> begin(const http::RequestHead& head) override;
  Result<std::shared_ptr<http::SessionListener>> open(
      const http::RequestHead& head, std::shared_ptr<http::Session> session) override;

 private:
  std::unique_ptr<http::Call> begin_fleet(const http::RequestHead& head, std::string_view path);
  std::unique_ptr<http::Call> begin_reply(const http::RequestHead& head, uint64_t node,
                                          std::string_view instruction);
  std::unique_ptr<http::Call> begin_control(const http::RequestHead& head, std::string_view path);
  std::unique_ptr<http::Call> login(const http::RequestHead& head);
  std::unique_ptr<http::Call> begin_bundle(const http::RequestHead& head,
                                           const AccountRecord& account, std::string_view path);
  std::unique_ptr<http::Call> begin_run(const http::RequestHead& head, const AccountRecord& account,
                                        std::string_view path);
  std::unique_ptr<http::Call> begin_admin(const http::RequestHead& head,
                                          const AccountRecord& account, std::string_view path);
  std::unique_ptr<http::Call> events(const http::RequestHead& head, const AccountRecord& account,
                                     uint64_t run);
  http::Response create_run(const AccountRecord& account, const std::string& body);
  http::Response artifact(const http::RequestHead& head, const AccountRecord& account, uint64_t run,
                          const std::string& name);
  http::Response add_node(const AccountRecord& account, const std::string& body);
  http::Response remove_node(const AccountRecord& account, const std::string& name);
  http::Response add_account(const AccountRecord& account, const std::string& body);
  http::Response remove_account(const AccountRecord& account, const std::string& name);
  http::Response metrics() const;
  std::unique_ptr<http::Call> refused(const Status& status);
  void audit(const AccountRecord& account, std::string_view action, std::string_view object,
             const Status& outcome);

  Parts parts_;
  Logins logins_;
  std::atomic<bool> ready_{false};
  std::atomic<uint64_t> refused_{0};
};

}  // namespace umbel::superlink

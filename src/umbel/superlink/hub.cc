#include "umbel/superlink/hub.h"

#include <unistd.h>

#include <algorithm>

#include "umbel/superlink/log.h"

namespace umbel::superlink {

namespace {

std::vector<std::string> certificate_names(std::vector<std::string> names) {
  char host[256] = {};
  if (::gethostname(host, sizeof host - 1) == 0 && host[0] != '\0') names.emplace_back(host);
  names.emplace_back("localhost");
  names.emplace_back("127.0.0.1");
  names.emplace_back("::1");
  std::vector<std::string> distinct;
  for (std::string& name : names) {
    if (std::ranges::find(distinct, name) == distinct.end()) distinct.push_back(std::move(name));
  }
  return distinct;
}

}  // namespace

Status Hub::make_administrator() {
  if (!roster_->accounts().empty()) return absl::OkStatus();
  const std::filesystem::path path = options_.state / "admin.key";
  UMBEL_ASSIGN_OR_RETURN(const PrivateKey key, PrivateKey::read_or_make(path));
  UMBEL_RETURN_IF_ERROR(roster_->add_account({"admin", "default", key.public_key(), Role::kAdmin}));
  UMBEL_RETURN_IF_ERROR(audit_->add("hub", "add account", "admin", "ok"));
  new_admin_key_ = path;
  return absl::OkStatus();
}

Result<std::unique_ptr<Hub>> Hub::start(HubOptions options) {
  auto hub = std::unique_ptr<Hub>(new Hub(std::move(options)));
  const HubOptions& asked = hub->options_;
  UMBEL_ASSIGN_OR_RETURN(hub->store_, Store::open(asked.state));
  UMBEL_ASSIGN_OR_RETURN(hub->audit_, AuditLog::open(asked.state / "audit.log"));
  hub->roster_ = std::make_unique<Roster>(*hub->store_);
  UMBEL_RETURN_IF_ERROR(hub->roster_->load());
  UMBEL_RETURN_IF_ERROR(hub->make_administrator());
  hub->bundles_ = std::make_unique<Bundles>(asked.state / "bundles");
  UMBEL_RETURN_IF_ERROR(hub->bundles_->make_folder());
  hub->memory_ = std::make_unique<MemoryBudget>(asked.memory_max);
  hub->blobs_ = std::make_unique<Blobs>();
  hub->timers_ = std::make_unique<Timers>();
  Fleet::Options fleet;
  fleet.epoch = hub->store_->epoch();
  fleet.node_grace = std::chrono::duration<double>(asked.node_grace_seconds);
  hub->fleet_ = std::make_unique<Fleet>(*hub->roster_, *hub->audit_, *hub->timers_, fleet);
  Runs::Options runs;
  runs.folder = asked.state / "runs";
  runs.runs_max = asked.runs_max;
  runs.single_replies = asked.single_replies;
  runs.python = asked.python;
  hub->runs_ = std::make_unique<Runs>(*hub->fleet_, *hub->store_, *hub->bundles_, *hub->blobs_,
                                      *hub->timers_, *hub->memory_, runs);
  Runs& all_runs = *hub->runs_;
  hub->fleet_->set_hooks(
      {.nodes_changed = [&all_runs] { all_runs.nodes_changed(); },
       .log = [&all_runs](uint64_t node, const wire::NodeLog& line) { all_runs.log(node, line); }});
  hub->routes_ = std::make_unique<Routes>(Routes::Parts{*hub->roster_, *hub->fleet_, *hub->runs_,
                                                        *hub->bundles_, *hub->blobs_, *hub->timers_,
                                                        *hub->audit_, *hub->memory_});
  http::ServerOptions server;
  server.address = asked.address;
  server.port = asked.port;
  server.threads = asked.threads;
  server.connections_max = asked.connections_max;
  if (asked.tls) {
    UMBEL_ASSIGN_OR_RETURN(
        server.identity,
        http::make_or_read_identity(asked.state / "tls", certificate_names(asked.names)));
    hub->authority_sha256_ = server.identity->authority_sha256;
  } else {
    log_warn("hub: without TLS: what nodes and users send can be read and changed on the way");
    UMBEL_RETURN_IF_ERROR(hub->audit_->add("hub", "start without TLS", asked.address, "ok"));
  }
  UMBEL_ASSIGN_OR_RETURN(hub->server_, http::Server::start(std::move(server), *hub->routes_));
  UMBEL_RETURN_IF_ERROR(hub->runs_->load());
  hub->routes_->set_ready(true);
  return hub;
}

Hub::~Hub() { stop(); }

void Hub::stop() {
  if (routes_) routes_->set_ready(false);
  if (runs_) runs_->shut_down();
  if (fleet_) fleet_->stop();
  if (server_) server_->stop();
  if (timers_) timers_->stop();
}

uint16_t Hub::port() const { return server_->port(); }

}  // namespace umbel::superlink

#include "umbel/superlink/fleet.h"

#include "umbel/superlink/log.h"
#include "umbel/superlink/node_session.h"

namespace umbel::superlink {

Fleet::Fleet(Roster& roster, AuditLog& audit, Timers& timers, Options options)
    : roster_(roster),
      audit_(audit),
      timers_(timers),
      options_(options),
      next_instruction_(options.epoch << 32 | 1) {}

Fleet::~Fleet() = default;

std::shared_ptr<http::SessionListener> Fleet::open(std::shared_ptr<http::Session> session) {
  auto listener = std::make_shared<NodeSession>(*this, std::move(session));
  listener->limit_handshake();
  return listener;
}

void Fleet::joined(const NodeRecord& node, const std::shared_ptr<http::Session>& session,
                   uint64_t serial, const wire::Hello& hello) {
  wire::Welcome welcome;
  welcome.token = random_hex(32);
  welcome.name = node.name;
  const std::set<uint64_t> holding(hello.holding.begin(), hello.holding.end());
  std::shared_ptr<http::Session> older;
  {
    absl::MutexLock lock(&mutex_);
    for (const uint64_t instruction : holding) {
      const auto found = instructions_.find(instruction);
      if (found != instructions_.end() && found->second.node == node.number) {
        welcome.keep.push_back(instruction);
      }
    }
    Connected& connected = connected_[node.number];
    older = connected.session;
    if (!connected.token.empty()) tokens_.erase(connected.token);
    connected = {session,        serial, welcome.token,     hello.platform,
                 hello.software, false,  now_milliseconds()};
    tokens_[welcome.token] = {node.number, std::nullopt};
    away_.erase(node.number);
    session->send(wire::format(wire::HubFrame(welcome)));
  }
  if (older) older->close("the node opened another session");
  log_info("fleet: node joined name={} peer={} holding={} keep={}", node.name, session->peer(),
           holding.size(), welcome.keep.size());
  for (const auto& collection : collections()) collection->node_joined(node.number, holding);
  if (hooks_.nodes_changed) hooks_.nodes_changed();
  // Unregistered while it proved who it is: whoever removed it did not find its session yet.
  if (!roster_.node(node.key)) cut(node, "the node was unregistered");
}

std::chrono::duration<double> Fleet::grace(bool drained) const {
  return drained ? std::min(options_.drained_grace, options_.node_grace) : options_.node_grace;
}

void Fleet::left(uint64_t node, uint64_t serial, const Status& status) {
  std::chrono::duration<double> delay{};
  {
    absl::MutexLock lock(&mutex_);
    const auto found = connected_.find(node);
    if (found == connected_.end() || found->second.serial != serial) return;
    const auto now = std::chrono::steady_clock::now();
    tokens_[found->second.token].end = now + options_.token_life_after_session;
    std::erase_if(tokens_,
                  [&](const auto& token) { return token.second.end && *token.second.end < now; });
    away_[node] = {now, now_milliseconds(), found->second.draining};
    delay = grace(found->second.draining);
    connected_.erase(found);
  }
  log_info("fleet: node left number={} reason={}", node,
           status.ok() ? "closed" : umbel::message_of(status));
  timers_.after(delay, [this, node] { check_away(node); });
  if (hooks_.nodes_changed) hooks_.nodes_changed();
}

// What a node owes that has been away for the whole grace has failed.
void Fleet::check_away(uint64_t node) {
  {
    absl::MutexLock lock(&mutex_);
    if (connected_.contains(node)) return;
    const auto away = away_.find(node);
    // It was back meanwhile, and left again: a later check is due.
    if (away != away_.end() && std::chrono::steady_clock::now() - away->second.since <
                                   grace(away->second.drained) * 0.99) {
      return;
    }
  }
  const std::string reason = away_reason();
  for (const auto& collection : collections()) collection->node_gone(node, reason);
}

void Fleet::draining(uint64_t node, uint64_t serial) {
  {
    absl::MutexLock lock(&mutex_);
    const auto found = connected_.find(node);
    if (found == connected_.end() || found->second.serial != serial) return;
    found->second.draining = true;
    found->second.since_ms = now_milliseconds();
  }
  log_info("fleet: node draining number={}", node);
  if (hooks_.nodes_changed) hooks_.nodes_changed();
}

void Fleet::cut(const NodeRecord& node, const std::string& reason) {
  std::shared_ptr<http::Session> session;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = connected_.find(node.number);
    if (found != connected_.end()) {
      session = found->second.session;
      tokens_.erase(found->second.token);
      connected_.erase(found);
    }
    std::erase_if(tokens_, [&](const auto& token) { return token.second.node == node.number; });
  }
  if (session) {
    session->send(wire::format(wire::HubFrame(wire::Refusal{"unregistered", reason})));
    session->close(reason);
  }
  for (const auto& collection : collections()) collection->node_gone(node.number, reason);
  if (hooks_.nodes_changed) hooks_.nodes_changed();
}

std::optional<uint64_t> Fleet::owner(const std::string& token) const {
  absl::MutexLock lock(&mutex_);
  const auto found = tokens_.find(token);
  if (found == tokens_.end()) return std::nullopt;
  if (found->second.end && *found->second.end < std::chrono::steady_clock::now())
    return std::nullopt;
  return found->second.node;
}

std::vector<NodeView> Fleet::view(std::string_view federation) const {
  std::vector<NodeView> views;
  const std::vector<NodeRecord> nodes = roster_.nodes(federation);
  absl::MutexLock lock(&mutex_);
  std::map<uint64_t, uint64_t> working;
  for (const auto& [number, instruction] : instructions_) ++working[instruction.node];
  for (const NodeRecord& node : nodes) {
    NodeView view{.record = node};
    view.working = working[node.number];
    if (const auto found = connected_.find(node.number); found != connected_.end()) {
      view.status = found->second.draining ? "draining" : "online";
      view.since_ms = found->second.since_ms;
      view.platform = found->second.platform;
      view.software = found->second.software;
    } else if (const auto away = away_.find(node.number); away != away_.end()) {
      view.since_ms = away->second.since_ms;
    }
    views.push_back(std::move(view));
  }
  return views;
}

std::vector<uint64_t> Fleet::ready(std::string_view federation) const {
  std::vector<uint64_t> numbers;
  const std::vector<NodeRecord> nodes = roster_.nodes(federation);
  absl::MutexLock lock(&mutex_);
  for (const NodeRecord& node : nodes) {
    const auto found = connected_.find(node.number);
    if (found != connected_.end() && !found->second.draining) numbers.push_back(node.number);
  }
  return numbers;
}

size_t Fleet::connected() const {
  absl::MutexLock lock(&mutex_);
  return connected_.size();
}

void Fleet::add(const std::shared_ptr<Collection>& collection, const std::vector<Ask>& asks) {
  absl::MutexLock lock(&mutex_);
  collections_[collection.get()] = collection;
  for (const Ask& ask : asks) instructions_[ask.instruction] = {ask.node, collection};
}

void Fleet::watch(const std::shared_ptr<Collection>& collection, const std::vector<Ask>& asks) {
  const auto now = std::chrono::steady_clock::now();
  std::map<uint64_t, std::chrono::duration<double>> away;  // and how long they are waited for
  {
    absl::MutexLock lock(&mutex_);
    for (const Ask& ask : asks) {
      if (connected_.contains(ask.node)) continue;
      const auto found = away_.find(ask.node);
      away[ask.node] = grace(found != away_.end() && found->second.drained);
      if (found != away_.end()) away[ask.node] -= now - found->second.since;
    }
  }
  for (const auto& [node, wait] : away) {
    if (!roster_.has_node(node)) {
      collection->node_gone(node, "the node is not registered any more");
    } else if (wait.count() <= 0) {
      collection->node_gone(node, away_reason());
    } else {
      timers_.after(wait, [this, node = node] { check_away(node); });
    }
  }
}

std::string Fleet::away_reason() const {
  return fmt::format("the node has not been connected for {:.0f} s, or was shut down",
                     options_.node_grace.count());
}

void Fleet::remove(const std::shared_ptr<Collection>& collection) {
  absl::MutexLock lock(&mutex_);
  collections_.erase(collection.get());
  // Compared without a reference of our own: the last one must not go while we hold the lock.
  std::erase_if(instructions_, [&](const auto& entry) {
    const std::weak_ptr<Collection>& owner = entry.second.collection;
    return owner.expired() || (!owner.owner_before(collection) && !collection.owner_before(owner));
  });
}

std::shared_ptr<Collection> Fleet::collection_of(uint64_t instruction) const {
  absl::MutexLock lock(&mutex_);
  const auto found = instructions_.find(instruction);
  return found == instructions_.end() ? nullptr : found->second.collection.lock();
}

std::vector<std::shared_ptr<Collection>> Fleet::collections() const {
  std::vector<std::shared_ptr<Collection>> all;
  absl::MutexLock lock(&mutex_);
  for (const auto& [address, weak] : collections_) {
    if (auto collection = weak.lock()) all.push_back(std::move(collection));
  }
  return all;
}

void Fleet::run_ended(RunId run, const std::vector<uint64_t>& nodes) {
  for (const uint64_t node : nodes) send(node, wire::RunEnded{run});
}

bool Fleet::send(uint64_t node, const wire::HubFrame& frame) {
  std::shared_ptr<http::Session> session;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = connected_.find(node);
    if (found == connected_.end()) return false;
    session = found->second.session;
  }
  return session->send(wire::format(frame));
}

void Fleet::forget(uint64_t instruction) {
  absl::MutexLock lock(&mutex_);
  instructions_.erase(instruction);
}

void Fleet::stop() {
  std::vector<std::shared_ptr<http::Session>> sessions;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [number, connected] : connected_) sessions.push_back(connected.session);
    connected_.clear();
  }
  for (const auto& session : sessions) session->close("the hub is going down");
}

}  // namespace umbel::superlink

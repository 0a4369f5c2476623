#include "umbel/superlink/routes.h"

#include <fcntl.h>
#include <algorithm>

#include <charconv>
#include <nlohmann/json.hpp>

#include "umbel/base/text.h"
#include "umbel/superlink/log.h"
#include "umbel/superlink/routes_json.h"

namespace umbel::superlink {

using Json = nlohmann::json;

namespace {

constexpr uint64_t kBodyMax = 1 << 20;
constexpr uint64_t kLoginBodyMax = 4 << 10;
constexpr double kWaitMax = 60;
constexpr char kLoginWords[] = "umbel.v1 user login";

std::optional<uint64_t> number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

// "a/b/c" -> "a" and "b/c"
std::pair<std::string_view, std::string_view> split(std::string_view path) {
  const size_t slash = path.find('/');
  if (slash == std::string_view::npos) return {path, ""};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

std::string bytes_of_hex(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i + 2 <= text.size(); i += 2) {
    uint8_t value = 0;
    const auto [end, error] = std::from_chars(text.data() + i, text.data() + i + 2, value, 16);
    if (error != std::errc() || end != text.data() + i + 2) return "";
    bytes += static_cast<char>(value);
  }
  return bytes;
}

http::Response file_response(Descriptor file, uint64_t size, const http::RequestHead& head) {
  http::Response response;
  response.type = "application/octet-stream";
  uint64_t first = 0, end = size;
  if (head.range) {
    first = head.range->first;
    if (head.range->second && *head.range->second < size) end = *head.range->second + 1;
    if (first > size || (first == size && size != 0) || end < first) {
      return http::error_response(absl::OutOfRangeError(
          fmt::format("bytes from {} are asked for; there are {}", first, size)));
    }
    response.code = 206;
  }
  response.part = http::Response::Part{std::make_shared<const Descriptor>(std::move(file)), first,
                                       end - first, size};
  return response;
}

// A reply's blob on its way in.
class ReplyCall final : public http::Call {
 public:
  ReplyCall(std::unique_ptr<Collection::Upload> upload, uint64_t bytes)
      : upload_(std::move(upload)), bytes_(bytes) {}
  uint64_t body_max() const override { return bytes_; }
  Status take(std::span<const std::byte> piece) override { return upload_->take(piece); }
  void finish(std::shared_ptr<http::Responder> responder) override {
    responder->respond(json_response({{"offset", upload_->offset()}}));
  }

 private:
  std::unique_ptr<Collection::Upload> upload_;
  uint64_t bytes_;
};

// Holds a request for events back until there are some.
class EventsCall final : public http::Call {
 public:
  EventsCall(Timers& timers, std::shared_ptr<EventLog> log, uint64_t after, double wait,
             std::function<Json()> run)
      : timers_(timers), log_(std::move(log)), after_(after), wait_(wait), run_(std::move(run)) {}

  void finish(std::shared_ptr<http::Responder> responder) override {
    struct Held {
      std::atomic<bool> answered{false};
      std::atomic<uint64_t> wait{0}, timer{0};
    };
    auto held = std::make_shared<Held>();
    const auto answer = [log = log_, after = after_, run = run_, responder, held] {
      if (held->answered.exchange(true)) return;
      responder->respond(events(*log, after, run));
    };
    if (wait_ > 0) {
      held->timer = timers_.after(std::chrono::duration<double>(wait_), [log = log_, held, answer] {
        log->cancel(held->wait);
        answer();
      });
    }
    // Not in the call that wakes us: whoever adds an event may hold what the answer needs.
    held->wait = log_->wait(after_, [answer, held, &timers = timers_] {
      timers.cancel(held->timer);
      timers.after(std::chrono::seconds(0), answer);
    });
    if (wait_ <= 0) {
      log_->cancel(held->wait);
      answer();
    }
  }

 private:
  static http::Response events(const EventLog& log, uint64_t after,
                               const std::function<Json()>& run) {
    const bool closed = log.closed();
    Result<std::string> lines = log.read(after);
    if (!lines.ok()) return http::error_response(lines.status());
    http::Response response;
    response.type = "application/x-ndjson";
    response.body = *std::move(lines);
    const auto given = static_cast<uint64_t>(std::ranges::count(response.body, '\n'));
    if (closed && after + given >= log.last()) {
      response.body += Json({{"end", true}, {"run", run()}})
                           .dump(-1, ' ', false, Json::error_handler_t::replace) +
                       "\n";
    }
    return response;
  }

  Timers& timers_;
  std::shared_ptr<EventLog> log_;
  uint64_t after_;
  double wait_;
  std::function<Json()> run_;
};

Status not_allowed() {
  return absl::PermissionDeniedError("this takes the role admin; ask who administrates this hub");
}

}  // namespace

std::unique_ptr<http::Call> Routes::refused(const Status& status) {
  ++refused_;
  return http::answered(http::error_response(status));
}

void Routes::audit(const AccountRecord& account, std::string_view action, std::string_view object,
                   const Status& outcome) {
  const std::string actor = "account " + account.name;
  const Status kept =
      outcome.ok() ? parts_.audit.add(actor, action, object, "ok")
                   : parts_.audit.add_refusal(actor, action, object, umbel::message_of(outcome));
  if (!kept.ok()) log_error("{}", umbel::message_of(kept));
}

Result<std::shared_ptr<http::SessionListener>> Routes::open(
    const http::RequestHead& head, std::shared_ptr<http::Session> session) {
  if (head.path != "/v1/fleet") return not_found("no session is served at {}", escaped(head.path));
  if (!ready_) return unavailable("the hub is starting or going down");
  return parts_.fleet.open(std::move(session));
}

std::unique_ptr<http::Call> Routes::begin(const http::RequestHead& head) {
  std::string_view path = head.path;
  if (path == "/healthz") return http::answered(json_response({{"status", "up"}}));
  if (path == "/readyz") {
    return http::answered(ready_ ? json_response({{"status", "ready"}})
                                 : http::error_response(unavailable("starting or going down")));
  }
  if (path == "/metrics") return begin_control(head, "metrics");
  if (!path.starts_with("/v1/"))
    return refused(not_found("nothing is served at {}", escaped(path)));
  path.remove_prefix(4);
  if (path.starts_with("fleet/")) return begin_fleet(head, path.substr(6));
  return begin_control(head, path);
}

// --- fleet -------------------------------------------------------------------------------------

std::unique_ptr<http::Call> Routes::begin_fleet(const http::RequestHead& head,
                                                std::string_view path) {
  const std::optional<uint64_t> node = parts_.fleet.owner(head.bearer);
  if (!node) return refused(absl::UnauthenticatedError("no session of a node has this token"));
  const auto [kind, rest] = split(path);
  if (kind == "replies") return begin_reply(head, *node, rest);
  if (head.method != "GET") return refused(absl::UnimplementedError("only GET is served here"));
  if (kind == "blobs") {
    const auto id = number(rest);
    const auto held = id ? parts_.blobs.get(*id, *node) : std::nullopt;
    if (!held) return refused(not_found("no content {} for this node", escaped(rest)));
    Result<Descriptor> file = held->file->duplicate();
    if (!file.ok()) return refused(file.status());
    return http::answered(file_response(*std::move(file), held->size, head));
  }
  if (kind == "bundles") {
    const std::string sha256(rest);
    const Result<std::filesystem::path> bundle = parts_.bundles.find(sha256);
    if (!bundle.ok() || !parts_.runs.may_fetch(*node, sha256)) {
      return refused(not_found("no bundle {} for this node", escaped(rest)));
    }
    std::error_code error;
    const uint64_t size = std::filesystem::file_size(*bundle, error);
    Descriptor file(::open(bundle->c_str(), O_RDONLY | O_CLOEXEC));
    if (error || !file) return refused(unavailable("the bundle cannot be read"));
    return http::answered(file_response(std::move(file), size, head));
  }
  return refused(not_found("nothing is served at {}", escaped(head.path)));
}

std::unique_ptr<http::Call> Routes::begin_reply(const http::RequestHead& head, uint64_t node,
                                                std::string_view rest) {
  const auto instruction = number(rest);
  const auto collection = instruction ? parts_.fleet.collection_of(*instruction) : nullptr;
  if (!collection) {
    return refused(not_found("instruction {}: not one of this node's", escaped(rest)));
  }
  if (head.method == "GET") {
    const Result<uint64_t> offset = collection->offset(node, *instruction);
    if (!offset.ok()) return refused(offset.status());
    return http::answered(json_response({{"offset", *offset}}));
  }
  if (head.method != "PUT")
    return refused(absl::UnimplementedError("only GET and PUT are served here"));
  const auto offset = number(head.query_value("offset"));
  if (!offset) return refused(invalid_argument("a reply's upload needs ?offset=N"));
  if (!head.content_length)
    return refused(invalid_argument("a reply's upload needs a Content-Length"));
  auto upload = collection->begin_upload(node, *instruction, *offset);
  if (!upload.ok()) return refused(upload.status());
  return std::make_unique<ReplyCall>(*std::move(upload), *head.content_length);
}

// --- control -----------------------------------------------------------------------------------

std::unique_ptr<http::Call> Routes::begin_control(const http::RequestHead& head,
                                                  std::string_view path) {
  const auto now = Logins::Clock::now();
  if (path == "challenge" && head.method == "GET") {
    return http::answered(json_response({{"nonce", logins_.challenge(now)}}));
  }
  if (path == "login" && head.method == "POST") return login(head);
  const std::optional<PublicKey> key = logins_.owner(head.bearer, now);
  const std::optional<AccountRecord> account = key ? parts_.roster.account(*key) : std::nullopt;
  if (!account) return refused(absl::UnauthenticatedError("not logged in, or the login has ended"));
  const auto [kind, rest] = split(path);
  if (kind == "bundles") return begin_bundle(head, *account, rest);
  if (kind == "runs") return begin_run(head, *account, rest);
  if (kind == "nodes" && rest.empty() && head.method == "GET") {
    const bool admin = account->role == Role::kAdmin;
    Json nodes = Json::array();
    for (const NodeView& node : parts_.fleet.view(admin ? "" : account->federation)) {
      nodes.push_back(json_of(node, admin));
    }
    return http::answered(json_response({{"nodes", nodes}}));
  }
  if (kind == "nodes" || kind == "accounts" || kind == "audit" || kind == "metrics") {
    return begin_admin(head, *account, path);
  }
  return refused(not_found("nothing is served at {}", escaped(head.path)));
}

std::unique_ptr<http::Call> Routes::login(const http::RequestHead& head) {
  const std::string certificate = head.certificate_sha256, peer = head.peer;
  return http::simple_call(kLoginBodyMax, [this, certificate, peer](const std::string& body) {
    const auto now = Logins::Clock::now();
    // One answer for whatever is wrong: nobody learns here which keys there are.
    const http::Response no = http::error_response(absl::UnauthenticatedError(
        "no account with this key, or the signature does not fit (umbel key shows your key; an "
        "administrator adds it by: umbel account add NAME KEY LINK)"));
    const Result<Json> json = parse_object(body);
    if (!json.ok()) return http::error_response(json.status());
    const auto key_text = text_of(*json, "key"), nonce = text_of(*json, "nonce"),
               client_nonce = text_of(*json, "client-nonce"),
               signature = text_of(*json, "signature");
    for (const auto* text : {&key_text, &nonce, &client_nonce, &signature}) {
      if (!text->ok()) return http::error_response(text->status());
    }
    const Result<PublicKey> key = PublicKey::parse(*key_text);
    if (!key.ok() || !logins_.redeem(*nonce, now)) return no;
    const std::optional<AccountRecord> account = parts_.roster.account(*key);
    const std::string text =
        kLoginWords + bytes_of_hex(*nonce) + bytes_of_hex(*client_nonce) + certificate;
    const std::string signed_bytes = bytes_of_hex(*signature);
    if (!account || client_nonce->size() != 64 ||
        !key->verifies(std::as_bytes(std::span(text)), std::as_bytes(std::span(signed_bytes)))) {
      log_warn("control: login refused peer={}", peer);
      ++refused_;
      return no;
    }
    audit(*account, "login", peer, absl::OkStatus());
    return json_response({{"token", logins_.token_for(*key, now)},
                          {"account", account->name},
                          {"role", name_of(account->role)},
                          {"federation", account->federation},
                          {"expires-seconds", Logins::kTokenLife.count()}});
  });
}

std::unique_ptr<http::Call> Routes::begin_bundle(const http::RequestHead& head,
                                                 const AccountRecord& account,
                                                 std::string_view path) {
  const auto [sha256, rest] = split(path);
  const auto answer = [](const bundle::Bundle& bundle, int code) {
    return json_response({{"sha256", bundle.sha256},
                          {"id", bundle.description.id()},
                          {"signer", bundle.signer.text()}},
                         code);
  };
  if (head.method == "PUT" && rest.empty()) {
    return http::simple_call(bundle::kArchiveBytesMax, [this, account, sha256 = std::string(sha256),
                                                        answer](const std::string& body) {
      const Result<bundle::Bundle> bundle = parts_.bundles.put(sha256, body);
      audit(account, "upload bundle", sha256, bundle.status());
      return bundle.ok() ? answer(*bundle, 201) : http::error_response(bundle.status());
    });
  }
  if (head.method != "GET")
    return refused(absl::UnimplementedError("only GET and PUT are served here"));
  if (rest == "info") {
    const Result<bundle::Bundle> bundle = parts_.bundles.info(std::string(sha256));
    if (!bundle.ok()) return refused(bundle.status());
    return http::answered(answer(*bundle, 200));
  }
  return refused(not_found("nothing is served at {}", escaped(head.path)));
}

std::unique_ptr<http::Call> Routes::begin_run(const http::RequestHead& head,
                                              const AccountRecord& account, std::string_view path) {
  if (path.empty() && head.method == "GET") {
    Json runs = Json::array();
    for (const RunRecord& run : parts_.runs.list(account)) {
      runs.push_back(json_of(run));
      runs.back().erase("run-config");  // a single run has it
    }
    return http::answered(json_response({{"runs", runs}}));
  }
  if (path.empty() && head.method == "POST") {
    return http::simple_call(
        kBodyMax, [this, account](const std::string& body) { return create_run(account, body); });
  }
  const auto [id_text, rest] = split(path);
  const auto id = number(id_text);
  if (!id) return refused(not_found("there is no run \"{}\"", escaped(id_text)));
  const auto [what, name] = split(rest);
  if (head.method == "POST" && what == "stop") {
    return http::simple_call(kBodyMax, [this, account, id = *id](const std::string&) {
      const Result<RunRecord> run = parts_.runs.stop(account, id);
      audit(account, "stop run", std::to_string(id), run.status());
      return run.ok() ? json_response(json_of(*run)) : http::error_response(run.status());
    });
  }
  if (head.method != "GET") return refused(absl::UnimplementedError("no such method here"));
  const Result<RunRecord> run = parts_.runs.get(account, *id);
  if (!run.ok()) return refused(run.status());
  if (what.empty()) return http::answered(json_response(json_of(*run)));
  if (what == "events") return events(head, account, *id);
  if (what == "artifacts" && name.empty()) {
    const auto artifacts = parts_.runs.artifacts(account, *id);
    if (!artifacts.ok()) return refused(artifacts.status());
    Json list = Json::array();
    for (const Runs::Artifact& one : *artifacts) {
      list.push_back({{"name", one.name}, {"bytes", one.bytes}, {"sha256", one.sha256}});
    }
    return http::answered(json_response({{"artifacts", list}}));
  }
  if (what == "artifacts") return http::answered(artifact(head, account, *id, std::string(name)));
  return refused(not_found("nothing is served at {}", escaped(head.path)));
}

http::Response Routes::create_run(const AccountRecord& account, const std::string& body) {
  const Result<Json> json = parse_object(body);
  if (!json.ok()) return http::error_response(json.status());
  Result<RunRequest> request = run_request(*json);
  if (!request.ok()) return http::error_response(request.status());
  const std::string bundle = request->bundle;
  const Result<RunRecord> run = parts_.runs.create(account, *std::move(request));
  audit(account, "start run",
        run.ok() ? fmt::format("run {} of bundle {}", run->id.value(), bundle) : "bundle " + bundle,
        run.status());
  return run.ok() ? json_response(json_of(*run), 201) : http::error_response(run.status());
}

std::unique_ptr<http::Call> Routes::events(const http::RequestHead& head,
                                           const AccountRecord& account, uint64_t run) {
  const uint64_t after = number(head.query_value("after")).value_or(0);
  const double wait =
      std::min<double>(static_cast<double>(number(head.query_value("wait")).value_or(0)), kWaitMax);
  auto log = parts_.runs.events(account, run);
  if (!log.ok()) return refused(log.status());
  return std::make_unique<EventsCall>(
      parts_.timers, *std::move(log), after, wait, [this, account, run] {
        const Result<RunRecord> record = parts_.runs.get(account, run);
        return record.ok() ? json_of(*record) : Json();
      });
}

http::Response Routes::artifact(const http::RequestHead& head, const AccountRecord& account,
                                uint64_t run, const std::string& name) {
  uint64_t bytes = 0;
  Result<Descriptor> file = parts_.runs.open_artifact(account, run, name, &bytes);
  if (!file.ok()) return http::error_response(file.status());
  return file_response(*std::move(file), bytes, head);
}

// --- administration ----------------------------------------------------------------------------

std::unique_ptr<http::Call> Routes::begin_admin(const http::RequestHead& head,
                                                const AccountRecord& account,
                                                std::string_view path) {
  const auto [kind, name] = split(path);
  if (account.role != Role::kAdmin) {
    audit(account, head.method + " " + std::string(kind), name, not_allowed());
    return refused(not_allowed());
  }
  const std::string object(name);
  if (head.method == "GET") {
    if (kind == "accounts") {
      Json list = Json::array();
      for (const AccountRecord& one : parts_.roster.accounts()) list.push_back(json_of(one));
      return http::answered(json_response({{"accounts", list}}));
    }
    if (kind == "audit") {
      Result<std::string> lines = parts_.audit.read(number(head.query_value("after")).value_or(0));
      if (!lines.ok()) return refused(lines.status());
      http::Response response;
      response.type = "application/x-ndjson";
      response.body = *std::move(lines);
      return http::answered(std::move(response));
    }
    if (kind == "metrics") return http::answered(metrics());
  }
  if (head.method == "POST" && object.empty() && (kind == "nodes" || kind == "accounts")) {
    return http::simple_call(kBodyMax,
                             [this, account, nodes = kind == "nodes"](const std::string& body) {
                               return nodes ? add_node(account, body) : add_account(account, body);
                             });
  }
  if (head.method == "DELETE" && !object.empty() && (kind == "nodes" || kind == "accounts")) {
    return http::simple_call(
        kBodyMax, [this, account, object, nodes = kind == "nodes"](const std::string&) {
          return nodes ? remove_node(account, object) : remove_account(account, object);
        });
  }
  return refused(absl::UnimplementedError("no such method here"));
}

http::Response Routes::add_node(const AccountRecord& account, const std::string& body) {
  const auto add = [&]() -> Result<NodeRecord> {
    UMBEL_ASSIGN_OR_RETURN(const Json json, parse_object(body));
    UMBEL_ASSIGN_OR_RETURN(const std::string name, text_of(json, "name"));
    UMBEL_ASSIGN_OR_RETURN(const std::string key_text, text_of(json, "key"));
    UMBEL_ASSIGN_OR_RETURN(const std::string federation,
                           text_of(json, "federation", account.federation.c_str()));
    UMBEL_ASSIGN_OR_RETURN(const PublicKey key, PublicKey::parse(key_text));
    return parts_.roster.add_node(name, federation, key);
  };
  const Result<NodeRecord> node = add();
  audit(account, "register node", node.ok() ? node->name + " " + node->key.text() : "",
        node.status());
  if (!node.ok()) return http::error_response(node.status());
  return json_response(json_of(NodeView{.record = *node}, true), 201);
}

http::Response Routes::remove_node(const AccountRecord& account, const std::string& name) {
  const Result<NodeRecord> node = parts_.roster.remove_node(name);
  audit(account, "unregister node", name, node.status());
  if (!node.ok()) return http::error_response(node.status());
  parts_.fleet.cut(*node, "the node was unregistered");
  return json_response(json_of(NodeView{.record = *node}, true));
}

http::Response Routes::add_account(const AccountRecord& account, const std::string& body) {
  AccountRecord added;
  const auto add = [&]() -> Status {
    UMBEL_ASSIGN_OR_RETURN(const Json json, parse_object(body));
    UMBEL_ASSIGN_OR_RETURN(added.name, text_of(json, "name"));
    UMBEL_ASSIGN_OR_RETURN(const std::string key, text_of(json, "key"));
    UMBEL_ASSIGN_OR_RETURN(added.federation,
                           text_of(json, "federation", account.federation.c_str()));
    UMBEL_ASSIGN_OR_RETURN(const std::string role, text_of(json, "role", "user"));
    UMBEL_ASSIGN_OR_RETURN(added.key, PublicKey::parse(key));
    UMBEL_ASSIGN_OR_RETURN(added.role, parse_role(role));
    return parts_.roster.add_account(added);
  };
  const Status status = add();
  audit(account, "add account", added.name, status);
  if (!status.ok()) return http::error_response(status);
  return json_response(json_of(added), 201);
}

http::Response Routes::remove_account(const AccountRecord& account, const std::string& name) {
  const Result<AccountRecord> removed = parts_.roster.remove_account(name);
  audit(account, "remove account", name, removed.status());
  if (!removed.ok()) return http::error_response(removed.status());
  logins_.forget(removed->key);
  parts_.runs.stop_all(*removed);
  return json_response(json_of(*removed));
}

http::Response Routes::metrics() const {
  std::string text;
  const auto gauge = [&](std::string_view name, std::string_view help, uint64_t value) {
    text += fmt::format("# HELP {0} {1}\n# TYPE {0} gauge\n{0} {2}\n", name, help, value);
  };
  gauge("umbel_nodes_connected", "Nodes with a session.", parts_.fleet.connected());
  gauge("umbel_runs_running", "Runs under way.", parts_.runs.running());
  gauge("umbel_replies_held_bytes", "Memory taken by replies that are not whole yet.",
        parts_.memory.used());
  text += "# HELP umbel_runs Runs by status.\n# TYPE umbel_runs gauge\n";
  for (const auto& [status, count] : parts_.runs.by_status()) {
    text += fmt::format("umbel_runs{{status=\"{}\"}} {}\n", status, count);
  }
  text += fmt::format(
      "# HELP umbel_requests_refused_total Requests refused.\n"
      "# TYPE umbel_requests_refused_total counter\numbel_requests_refused_total {}\n",
      refused_.load());
  http::Response response;
  response.type = "text/plain; version=0.0.4";
  response.body = std::move(text);
  return response;
}

}  // namespace umbel::superlink

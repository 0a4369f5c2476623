#include "hub_client.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>

#include "umbel/base/text.h"

namespace umbel::cli {

namespace {

constexpr std::string_view kPurpose = "umbel.v1 user login";
constexpr size_t kNonceBytes = 32;
constexpr size_t kArtifactsMax = 10'000;

std::string hex_of(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) text += fmt::format("{:02x}", std::to_integer<int>(byte));
  return text;
}

// 32 bytes from 64 digits; empty for anything else.
std::string nonce_of(const std::string& hex) {
  if (hex.size() != 2 * kNonceBytes ||
      hex.find_first_not_of("0123456789abcdef") != std::string::npos) {
    return "";
  }
  std::string bytes;
  for (size_t i = 0; i != hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

std::string text_in(const Json& object, const char* key) {
  if (!object.is_object()) return "";
  const auto at = object.find(key);
  return at != object.end() && at->is_string() ? at->get<std::string>() : "";
}

Result<Json> json_in(const http::Client::Reply& reply) {
  UMBEL_RETURN_IF_ERROR(reply.status());
  Json json = Json::parse(reply.body, nullptr, false);
  if (json.is_discarded()) return data_loss("the hub's answer is no JSON");
  return json;
}

}  // namespace

Result<HubClient> HubClient::open(const LinkProfile& link) {
  UMBEL_ASSIGN_OR_RETURN(http::Endpoint endpoint, link.endpoint());
  UMBEL_ASSIGN_OR_RETURN(PrivateKey key, link.key == user_key_path()
                                             ? PrivateKey::read_or_make(link.key)
                                             : PrivateKey::read(link.key));
  return HubClient(link, std::move(key), std::move(endpoint));
}

Result<HubClient> HubClient::open(const std::string& link) {
  UMBEL_ASSIGN_OR_RETURN(const LinkProfile profile, find_link(link));
  return open(profile);
}

Status HubClient::named(const Status& status) const {
  return annotate(status, fmt::format("link \"{}\" ({})", link_.name, link_.address));
}

Status HubClient::login() {
  UMBEL_ASSIGN_OR_RETURN(const std::string certificate, connection_->certificate_sha256());
  connection_->set_bearer("");
  UMBEL_ASSIGN_OR_RETURN(const auto asked, connection_->request("GET", "/v1/challenge"));
  UMBEL_ASSIGN_OR_RETURN(const Json challenge, json_in(asked));
  const std::string nonce = text_in(challenge, "nonce");
  const std::string nonce_bytes = nonce_of(nonce);
  if (nonce_bytes.empty()) return data_loss("the hub's challenge has no nonce of 64 digits");
  const std::string client_nonce = random_hex(kNonceBytes);
  const std::string message =
      std::string(kPurpose) + nonce_bytes + nonce_of(client_nonce) + certificate;
  const Json answer = {{"key", key_.public_key().text()},
                       {"nonce", nonce},
                       {"client-nonce", client_nonce},
                       {"signature", hex_of(key_.sign(std::as_bytes(std::span(message))))}};
  UMBEL_ASSIGN_OR_RETURN(const auto reply,
                         connection_->request("POST", "/v1/login", text_of(answer)));
  const Result<Json> account = json_in(reply);
  if (account.status().code() == absl::StatusCode::kUnauthenticated) {
    return absl::UnauthenticatedError(
        fmt::format("{}; our key is {}; there, an administrator adds it by `umbel account add`",
                    message_of(account.status()), key_.public_key().text()));
  }
  UMBEL_RETURN_IF_ERROR(account.status());
  const std::string token = text_in(*account, "token");
  if (token.empty()) return data_loss("the hub's answer to our login has no token");
  connection_->set_bearer(token);
  logged_in_ = true;
  return absl::OkStatus();
}

Status HubClient::require_login() { return logged_in_ ? absl::OkStatus() : login(); }

// Makes the call; where the hub does not know our token any more, logs in and makes it again.
template <class Call>
Result<http::Client::Reply> HubClient::logged_in(Call&& call) {
  const bool was_logged_in = logged_in_;
  if (const Status status = require_login(); !status.ok()) return named(status);
  Result<http::Client::Reply> reply = call();
  if (reply.ok() && reply->code == 401 && was_logged_in) {
    logged_in_ = false;
    if (const Status status = login(); !status.ok()) return named(status);
    reply = call();
  }
  if (!reply.ok()) return named(reply.status());
  return reply;
}

Result<http::Client::Reply> HubClient::request(std::string_view method, const std::string& target,
                                               const std::string& body,
                                               std::chrono::seconds patience) {
  return logged_in(
      [&] { return connection_->request(method, target, body, "application/json", patience); });
}

Result<Json> HubClient::json_call(std::string_view method, const std::string& target,
                                  const std::string& body) {
  UMBEL_ASSIGN_OR_RETURN(const auto reply, request(method, target, body));
  Result<Json> json = json_in(reply);
  if (!json.ok()) return named(json.status());
  return json;
}

Result<Json> HubClient::get(const std::string& target) { return json_call("GET", target); }
Result<Json> HubClient::post(const std::string& target, const Json& body) {
  return json_call("POST", target, text_of(body));
}
Result<Json> HubClient::remove(const std::string& target) { return json_call("DELETE", target); }

Result<bool> HubClient::has_bundle(const std::string& sha256) {
  UMBEL_ASSIGN_OR_RETURN(const auto reply,
                         request("GET", fmt::format("/v1/bundles/{}/info", sha256)));
  if (reply.code == 404) return false;
  if (!reply.status().ok()) return named(reply.status());
  return true;
}

Status HubClient::put_bundle(const std::string& sha256, const std::string& archive) {
  const auto send = [&] {
    size_t at = 0;
    const auto give = [&](std::span<std::byte> out) {
      std::memcpy(out.data(), archive.data() + at, out.size());
      at += out.size();
      return absl::OkStatus();
    };
    return connection_->upload("PUT", fmt::format("/v1/bundles/{}", sha256), archive.size(), give);
  };
  UMBEL_ASSIGN_OR_RETURN(const auto reply, logged_in(send));
  return reply.status().ok() ? absl::OkStatus() : named(reply.status());
}

Result<Run> HubClient::start(const Json& request) {
  UMBEL_ASSIGN_OR_RETURN(const Json run, post("/v1/runs", request));
  return hub_run_of(run, link_.name);
}

Result<std::vector<Run>> HubClient::runs() {
  UMBEL_ASSIGN_OR_RETURN(const Json answer, get("/v1/runs"));
  const auto list = answer.is_object() ? answer.find("runs") : answer.end();
  if (list == answer.end() || !list->is_array()) {
    return named(data_loss("the hub's answer has no list of runs"));
  }
  std::vector<Run> runs;
  for (const Json& object : *list) {
    UMBEL_ASSIGN_OR_RETURN(runs.emplace_back(), hub_run_of(object, link_.name));
  }
  return runs;
}

Result<Run> HubClient::run(int64_t id) {
  UMBEL_ASSIGN_OR_RETURN(const Json run, get(fmt::format("/v1/runs/{}", id)));
  return hub_run_of(run, link_.name);
}

Result<Run> HubClient::stop(int64_t id) {
  UMBEL_ASSIGN_OR_RETURN(const Json run, post(fmt::format("/v1/runs/{}/stop", id), Json::object()));
  return hub_run_of(run, link_.name);
}

Result<std::vector<HubEvent>> HubClient::events(int64_t run, int64_t after,
                                                std::chrono::seconds wait) {
  const std::string target =
      fmt::format("/v1/runs/{}/events?after={}&wait={}", run, after, wait.count());
  UMBEL_ASSIGN_OR_RETURN(const auto reply, request("GET", target, "", wait));
  if (!reply.status().ok()) return named(reply.status());
  std::vector<HubEvent> events;
  std::string_view text = reply.body;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.empty()) continue;
    auto event = parse_hub_event(line, link_.name);
    if (!event.ok()) return named(data_loss("{}", message_of(event.status())));
    events.push_back(*std::move(event));
  }
  return events;
}

Result<std::vector<ArtifactEvent>> HubClient::artifacts(int64_t run) {
  UMBEL_ASSIGN_OR_RETURN(const Json answer, get(fmt::format("/v1/runs/{}/artifacts", run)));
  const auto list = answer.is_object() ? answer.find("artifacts") : answer.end();
  if (list == answer.end() || !list->is_array() || list->size() > kArtifactsMax) {
    return named(data_loss("the hub's answer has no list of at most {} artifacts", kArtifactsMax));
  }
  std::vector<ArtifactEvent> artifacts;
  for (const Json& object : *list) {  // as an app's event would say it, by the same rules
    if (!object.is_object()) return named(data_loss("an artifact is no JSON object"));
    Json event = object;
    event["event"] = "artifact";
    auto parsed = parse_event(text_of(event));
    if (!parsed.ok()) return named(data_loss("{}", message_of(parsed.status())));
    artifacts.push_back(std::get<ArtifactEvent>(*std::move(parsed)));
  }
  return artifacts;
}

http::Client::Moved HubClient::download(int64_t run, const ArtifactEvent& artifact, uint64_t first,
                                        const http::Client::Take& take) {
  if (const Status status = require_login(); !status.ok()) return {0, named(status)};
  std::string name;  // percent-encoded: anything but what RFC 3986 leaves alone
  for (const char c : artifact.name) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' ||
                       c == '_' || c == '~';
    name += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  const std::string target = fmt::format("/v1/runs/{}/artifacts/{}", run, name);
  auto moved = connection_->download(target, first, static_cast<uint64_t>(artifact.bytes), take);
  if (moved.status.code() == absl::StatusCode::kUnauthenticated) logged_in_ = false;
  moved.status = named(moved.status);
  return moved;
}

}  // namespace umbel::cli

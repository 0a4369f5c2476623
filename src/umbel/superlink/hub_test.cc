#include "umbel/superlink/hub.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "umbel/http/client.h"

namespace umbel::superlink {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) text += fmt::format("{:02x}", std::to_integer<int>(byte));
  return text;
}

// A hub on a free port, and users that talk to it as the command line does.
class HubTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char folder[] = "/tmp/umbel-hub-XXXXXX";
    folder_ = ::mkdtemp(folder);
    start();
  }
  void TearDown() override {
    hub_.reset();
    fs::remove_all(folder_);
  }
  void start() {
    HubOptions options;
    options.address = "127.0.0.1";
    options.port = 0;
    options.state = folder_;
    auto hub = Hub::start(options);
    ASSERT_TRUE(hub.ok()) << hub.status();
    hub_ = *std::move(hub);
  }
  std::unique_ptr<http::Client> connect() const {
    http::Endpoint endpoint{.host = "127.0.0.1", .port = hub_->port()};
    endpoint.trust.authority_sha256 = hub_->authority_sha256();
    return std::make_unique<http::Client>(endpoint);
  }
  static Json get(http::Client& client, std::string_view target, int code = 200) {
    return call(client, "GET", target, "", code);
  }
  static Json call(http::Client& client, std::string_view method, std::string_view target,
                   const std::string& body, int code) {
    const auto reply = client.request(method, target, body);
    EXPECT_TRUE(reply.ok()) << reply.status();
    if (!reply.ok()) return {};
    EXPECT_EQ(reply->code, code) << method << " " << target << ": " << reply->body;
    return Json::parse(reply->body, nullptr, false);
  }
  // The answer of a login that signs `words` for this certificate.
  http::Client::Reply login(http::Client& client, const PrivateKey& key,
                            std::string words = "umbel.v1 user login",
                            std::string nonce = "") const {
    if (nonce.empty()) nonce = get(client, "/v1/challenge")["nonce"].get<std::string>();
    std::string text = std::move(words);
    for (size_t i = 0; i != nonce.size(); i += 2) {
      text += static_cast<char>(std::stoi(nonce.substr(i, 2), nullptr, 16));
    }
    const std::string client_nonce(32, 'n');
    text += client_nonce + *client.certificate_sha256();
    const Signature signature = key.sign(std::as_bytes(std::span(text)));
    const Json body = {{"key", key.public_key().text()},
                       {"nonce", nonce},
                       {"client-nonce", hex(std::as_bytes(std::span(client_nonce)))},
                       {"signature", hex(signature)}};
    return *client.request("POST", "/v1/login", body.dump());
  }
  std::unique_ptr<http::Client> as(const PrivateKey& key) const {
    auto client = connect();
    const http::Client::Reply reply = login(*client, key);
    EXPECT_EQ(reply.code, 200) << reply.body;
    client->set_bearer(Json::parse(reply.body)["token"].get<std::string>());
    return client;
  }
  PrivateKey admin_key() const { return *PrivateKey::read(folder_ / "admin.key"); }
  static std::string account(std::string_view name, const PrivateKey& key, std::string_view role,
                             std::string_view federation = "default") {
    return Json({{"name", name},
                 {"key", key.public_key().text()},
                 {"role", role},
                 {"federation", federation}})
        .dump();
  }

  fs::path folder_;
  std::unique_ptr<Hub> hub_;
};

TEST_F(HubTest, TellsStrangersWhetherItIsUpAndNothingElse) {
  auto client = connect();
  EXPECT_EQ(get(*client, "/healthz"), Json({{"status", "up"}}));
  EXPECT_EQ(get(*client, "/readyz"), Json({{"status", "ready"}}));
  for (const char* target : {"/v1/runs", "/v1/runs/1", "/v1/nodes", "/v1/accounts", "/v1/audit",
                             "/metrics", "/v1/bundles/x", "/v1/runs/1/events"}) {
    get(*client, target, 401);
  }
  get(*client, "/v1/fleet/blobs/1", 401);
  get(*client, "/", 404);
  client->set_bearer(std::string(64, 'a'));
  get(*client, "/v1/runs", 401);
}

TEST_F(HubTest, ALoginNeedsTheKeyItsSignatureAndAFreshChallenge) {
  auto client = connect();
  const PrivateKey admin = admin_key(), stranger = PrivateKey::generate();
  EXPECT_EQ(login(*client, stranger).code, 401);
  EXPECT_EQ(login(*client, admin, "umbel.v1 node session").code, 401);
  EXPECT_EQ(login(*client, admin, "umbel.v1 user login", std::string(64, '0')).code, 401);
  const std::string nonce = get(*client, "/v1/challenge")["nonce"].get<std::string>();
  EXPECT_EQ(login(*client, admin, "umbel.v1 user login", nonce).code, 200);
  EXPECT_EQ(login(*client, admin, "umbel.v1 user login", nonce).code, 401) << "a second time";
  for (const char* body : {"", "[]", "{}", "{\"key\":7}", "{\"key\":\"ed25519:zz\"}"}) {
    const auto reply = client->request("POST", "/v1/login", body);
    EXPECT_TRUE(reply->code == 400 || reply->code == 401) << body << reply->body;
  }
}

// Every route for each role: what the table in docs/superlink.md says.
TEST_F(HubTest, RolesAreHeldTo) {
  const PrivateKey ada = PrivateKey::generate(), bob = PrivateKey::generate();
  auto admin = as(admin_key());
  call(*admin, "POST", "/v1/accounts", account("ada", ada, "user"), 201);
  call(*admin, "POST", "/v1/accounts", account("bob", bob, "user", "other"), 201);
  auto user = as(ada);
  const std::string node =
      Json({{"name", "n1"}, {"key", PrivateKey::generate().public_key().text()}}).dump();
  call(*user, "POST", "/v1/nodes", node, 403);
  call(*user, "DELETE", "/v1/nodes/n1", "", 403);
  call(*user, "POST", "/v1/accounts", account("eve", ada, "admin"), 403);
  call(*user, "DELETE", "/v1/accounts/bob", "", 403);
  for (const char* target : {"/v1/accounts", "/v1/audit", "/metrics"}) get(*user, target, 403);
  call(*admin, "POST", "/v1/nodes", node, 201);
  call(*admin, "POST", "/v1/nodes", node, 409);
  EXPECT_EQ(get(*admin, "/v1/nodes")["nodes"][0]["status"], "offline");
  const Json seen = get(*user, "/v1/nodes")["nodes"];
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_FALSE(seen[0].contains("key"));
  // Another federation's user sees none of it.
  auto other = as(bob);
  EXPECT_EQ(get(*other, "/v1/nodes")["nodes"].size(), 0u);
  EXPECT_EQ(get(*user, "/v1/runs")["runs"].size(), 0u);
  get(*user, "/v1/runs/1", 404);
  call(*user, "POST", "/v1/runs/1/stop", "", 404);
  // A removed account's login ends with it.
  call(*admin, "DELETE", "/v1/accounts/ada", "", 200);
  get(*user, "/v1/runs", 401);
  EXPECT_EQ(login(*connect(), ada).code, 401);
  call(*admin, "DELETE", "/v1/accounts/admin", "", 412);
  // What was tried is in the audit log, refusals included.
  const auto audit = admin->request("GET", "/v1/audit");
  EXPECT_NE(audit->body.find("account ada"), std::string::npos);
  EXPECT_NE(audit->body.find("this takes the role admin"), std::string::npos);
  EXPECT_TRUE(AuditLog::verify(audit->body, nullptr).ok());
}

TEST_F(HubTest, BadRequestsAreRefusedWithReasons) {
  auto admin = as(admin_key());
  const std::string hash(64, '0');
  const auto reason = [&](std::string_view method, std::string_view target, const std::string& body,
                          int code) {
    return call(*admin, method, target, body, code).value("error", "");
  };
  EXPECT_NE(reason("POST", "/v1/runs", "[1]", 400).find("JSON object"), std::string::npos);
  EXPECT_NE(reason("POST", "/v1/runs", "{\"bundle\":\"x\"}", 400).find("SHA-256"),
            std::string::npos);
  reason("POST", "/v1/runs", Json({{"bundle", hash}}).dump(), 404);
  EXPECT_NE(
      reason("POST", "/v1/runs", Json({{"bundle", hash}, {"nodes", -1}}).dump(), 400).find("nodes"),
      std::string::npos);
  EXPECT_NE(reason("PUT", "/v1/bundles/" + hash, "no archive", 400).find("SHA-256"),
            std::string::npos);
  reason("POST", "/v1/nodes", "{\"name\":\"../x\",\"key\":\"ed25519:" + hash + "\"}", 400);
  reason("POST", "/v1/nodes", "{\"name\":\"x\"}", 400);
  reason("GET", "/v1/runs/99999999999999999999", "", 404);
  reason("GET", "/v1/nothing", "", 404);
  reason("POST", "/v1/accounts",
         "{\"name\":\"x\",\"key\":\"ed25519:" + hash + "\",\"role\":\"god\"}", 400);
}

TEST_F(HubTest, WhatWasDecidedIsThereAfterARestart) {
  const PrivateKey admin = admin_key();
  const std::string authority = hub_->authority_sha256();
  EXPECT_FALSE(hub_->new_admin_key().empty());
  call(*as(admin), "POST", "/v1/nodes",
       Json({{"name", "n1"}, {"key", PrivateKey::generate().public_key().text()}}).dump(), 201);
  hub_.reset();
  start();
  EXPECT_EQ(hub_->authority_sha256(), authority);
  EXPECT_TRUE(hub_->new_admin_key().empty());
  EXPECT_EQ(get(*as(admin), "/v1/nodes")["nodes"][0]["name"], "n1");
}

TEST_F(HubTest, ATakenPortAndATakenFolderAreNamed) {
  HubOptions options;
  options.address = "127.0.0.1";
  options.port = hub_->port();
  options.state = folder_;
  EXPECT_EQ(Hub::start(options).status().code(), absl::StatusCode::kFailedPrecondition);
  options.state = folder_ / "second";
  const Status taken = Hub::start(options).status();
  EXPECT_EQ(taken.code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(taken.message().find(std::to_string(hub_->port())), absl::string_view::npos) << taken;
}

}  // namespace
}  // namespace umbel::superlink

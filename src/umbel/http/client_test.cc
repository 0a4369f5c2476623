#include "umbel/http/client.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>

#include "umbel/http/server_fixture_test.h"

namespace umbel::http {
namespace {

class ClientTest : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(TlsAndPlain, ClientTest, ::testing::Bool(),
                         [](const auto& at) { return at.param ? "tls" : "plain"; });

std::unique_ptr<Call> echo(const RequestHead& head) {
  return simple_call(uint64_t{128} << 20, [method = head.method](std::string body) {
    return text(method + ":" + body);
  });
}

TEST_P(ClientTest, EveryMethodMakesTheRoundTripOverOneConnection) {
  TestServer server(GetParam());
  server.handler.on_request = echo;
  Client client(server.endpoint());
  for (const char* method : {"GET", "POST", "PUT", "DELETE", "PATCH"}) {
    for (const std::string& body : {std::string(), std::string("x"), pattern(100'000)}) {
      const Result<Client::Reply> reply = client.request(method, "/echo", body);
      ASSERT_TRUE(reply.ok()) << reply.status();
      EXPECT_EQ(reply->code, 200);
      EXPECT_EQ(reply->body, std::string(method) + ":" + body);
    }
  }
  const Result<Client::Reply> head = client.request("HEAD", "/echo");
  ASSERT_TRUE(head.ok()) << head.status();
  EXPECT_EQ(head->body, "");
  EXPECT_EQ(server.server->connections(), 1u);
}

TEST_P(ClientTest, BodiesOf64MiBArriveWholeBothWays) {
  TestServer server(GetParam());
  server.handler.on_request = echo;
  Client client(server.endpoint());
  const std::string body = pattern(size_t{64} << 20);
  const Result<Client::Reply> reply = client.request(
      "PUT", "/echo", body, "application/octet-stream", std::chrono::seconds(0), size_t{65} << 20);
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->body.size(), body.size() + 4);
  EXPECT_TRUE(reply->body.ends_with(body));
  EXPECT_EQ(client.request("GET", "/echo")->body, "GET:");
}

TEST_P(ClientTest, UploadsAndRangedDownloadsMoveTheRightBytes) {
  const TemporaryFolder folder;
  const std::string content = pattern(3'000'000, 7);
  const auto path = folder.path / "content";
  const auto file =
      std::make_shared<const Descriptor>(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::write(file->get(), content.data(), content.size()),
            static_cast<ssize_t>(content.size()));
  TestServer server(GetParam());
  server.handler.on_request = [&](const RequestHead& head) -> std::unique_ptr<Call> {
    if (head.method == "PUT") return echo(head);
    Response response;
    response.type = "application/octet-stream";
    response.part = Response::Part{file, 0, content.size(), content.size()};
    if (head.range) {
      response.code = 206;
      response.part->first = head.range->first;
      response.part->count =
          head.range->second.value_or(content.size() - 1) + 1 - head.range->first;
    }
    return answered(response);
  };
  Client client(server.endpoint());
  const auto get = [&](uint64_t first, std::optional<uint64_t> end) {
    std::string got;
    const Client::Moved moved =
        client.download("/content", first, end, [&](std::span<const std::byte> piece) {
          got.append(reinterpret_cast<const char*>(piece.data()), piece.size());
          return absl::OkStatus();
        });
    EXPECT_TRUE(moved.status.ok()) << moved.status;
    EXPECT_EQ(moved.bytes, got.size());
    return got;
  };
  EXPECT_EQ(get(0, std::nullopt), content);
  EXPECT_EQ(get(1'234'567, std::nullopt), content.substr(1'234'567));
  EXPECT_EQ(get(10, 20), content.substr(10, 10));
  EXPECT_EQ(get(0, 1), content.substr(0, 1));
  EXPECT_EQ(get(5, 5), "");
  size_t at = 0;
  const Result<Client::Reply> up =
      client.upload("PUT", "/up", content.size(), [&](std::span<std::byte> out) {
        std::copy_n(reinterpret_cast<const std::byte*>(content.data()) + at, out.size(),
                    out.data());
        at += out.size();
        return absl::OkStatus();
      });
  EXPECT_EQ(up.status().code(), absl::StatusCode::kResourceExhausted);  // answers are short
  EXPECT_EQ(at, content.size());
  EXPECT_EQ(get(2'999'999, std::nullopt), content.substr(2'999'999));
}

TEST_P(ClientTest, AnswersHeldBackComeFromAnotherThread) {
  TestServer server(GetParam());
  std::jthread later;
  struct Held final : Call {
    explicit Held(std::jthread& thread) : later(thread) {}
    void finish(std::shared_ptr<Responder> responder) override {
      later = std::jthread([responder] {
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        responder->respond(text("at last"));
      });
    }
    std::jthread& later;
  };
  server.handler.on_request = [&](const RequestHead&) { return std::make_unique<Held>(later); };
  Client client(server.endpoint());
  const Result<Client::Reply> reply = client.request("GET", "/wait");
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->body, "at last");
}

TEST_P(ClientTest, AResponderThatOutlivesItsClientOrServerIsHarmless) {
  std::shared_ptr<Responder> kept;
  std::atomic<bool> has = false;
  struct Keep final : Call {
    explicit Keep(std::function<void(std::shared_ptr<Responder>)> give) : give_(std::move(give)) {}
    void finish(std::shared_ptr<Responder> responder) override { give_(std::move(responder)); }
    std::function<void(std::shared_ptr<Responder>)> give_;
  };
  {
    TestServer server(GetParam());
    server.handler.on_request = [&](const RequestHead&) {
      return std::make_unique<Keep>([&](std::shared_ptr<Responder> responder) {
        kept = std::move(responder);
        has = true;
      });
    };
    Client client(server.endpoint());
    std::jthread asking([&] {
      EXPECT_EQ(client.request("GET", "/never").status().code(), absl::StatusCode::kCancelled);
    });
    while (!has) std::this_thread::yield();
    client.cancel();
    asking.join();
    while (server.server->connections() != 0) std::this_thread::yield();
    kept->respond(text("too late"));
    has = false;
    Client second(server.endpoint());
    std::jthread waiting([&] {
      EXPECT_EQ(second.request("POST", "/never").status().code(), absl::StatusCode::kUnavailable);
    });
    while (!has) std::this_thread::yield();
    server.server->stop();
    waiting.join();
  }
  kept->respond(text("far too late"));
}

TEST_P(ClientTest, AResponderThatIsDroppedAnswers500) {
  TestServer server(GetParam());
  struct Drop final : Call {
    void finish(std::shared_ptr<Responder>) override {}
  };
  server.handler.on_request = [](const RequestHead&) { return std::make_unique<Drop>(); };
  Client client(server.endpoint());
  const Result<Client::Reply> reply = client.request("GET", "/");
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->code, 500);
  EXPECT_EQ(reply->status().code(), absl::StatusCode::kInternal);
}

TEST_P(ClientTest, ErrorsKeepTheirCodeAndWords) {
  TestServer server(GetParam());
  Status status;
  server.handler.on_request = [&](const RequestHead&) { return answered(error_response(status)); };
  Client client(server.endpoint());
  for (int code = 1; code <= 16; ++code) {
    status = Status(static_cast<absl::StatusCode>(code), "run 7: \"quoted\", näme");
    const Result<Client::Reply> reply = client.request("GET", "/");
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->status(), status);
    EXPECT_EQ(reply->code, http_code(status.code()));
  }
}

TEST_P(ClientTest, ARefusedBodyIsAnsweredBeforeItIsSent) {
  TestServer server(GetParam());
  server.handler.on_request = [&](const RequestHead& head) -> std::unique_ptr<Call> {
    if (head.bearer != "token") {
      return answered(error_response(absl::UnauthenticatedError("who are you?")));
    }
    return simple_call(1000, [](std::string) { return text("taken"); });
  };
  Client client(server.endpoint());
  uint64_t given = 0;
  const auto give = [&](std::span<std::byte> out) {
    given += out.size();
    std::fill(out.begin(), out.end(), std::byte{1});
    return absl::OkStatus();
  };
  const uint64_t huge = uint64_t{4} << 30;
  Result<Client::Reply> reply = client.upload("PUT", "/", huge, give);
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->code, 401);
  client.set_bearer("token");
  reply = client.upload("PUT", "/", huge, give);
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->code, 413);
  EXPECT_LT(given, uint64_t{256} << 20);
  reply = client.upload("PUT", "/", 1000, give);
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->body, "taken");
}

TEST_P(ClientTest, GoesOnAfterTheServerClosedAnIdleConnection) {
  ServerOptions options;
  options.idle_timeout = std::chrono::seconds(1);
  TestServer server(GetParam(), options);
  server.handler.on_request = echo;
  Client client(server.endpoint());
  EXPECT_EQ(client.request("POST", "/", "1")->body, "POST:1");
  while (server.server->connections() != 0) std::this_thread::yield();
  const Result<Client::Reply> reply = client.request("POST", "/", "2");
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->body, "POST:2");
}

TEST(ClientTest, NobodyThereIsUnavailableWithAddressAndReason) {
  uint16_t port = 0;
  { port = TestServer(false).server->port(); }
  Trust plain;
  plain.plain = true;
  Client client(Endpoint{"127.0.0.1", port, plain});
  const Status status = client.request("GET", "/").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(message_of(status), ::testing::HasSubstr("127.0.0.1:" + std::to_string(port)));
  EXPECT_THAT(message_of(status), ::testing::HasSubstr("connection refused"));
}

TEST(ClientTest, AServerThatSaysNothingIsGivenUpAfterTheStallTimeout) {
  TestServer server(false);
  struct Never final : Call {
    void finish(std::shared_ptr<Responder> responder) override { kept() = std::move(responder); }
    static std::shared_ptr<Responder>& kept() {
      static std::shared_ptr<Responder> responder;
      return responder;
    }
  };
  server.handler.on_request = [](const RequestHead&) { return std::make_unique<Never>(); };
  Client::Options options;
  options.stall_timeout = std::chrono::seconds(1);
  Client client(server.endpoint(), options);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(client.request("POST", "/").status().code(), absl::StatusCode::kUnavailable);
  const auto took = std::chrono::steady_clock::now() - start;
  EXPECT_GE(took, std::chrono::milliseconds(990));
  EXPECT_LT(took, std::chrono::seconds(5));
  server.server->stop();  // its threads are done with the responder
  Never::kept().reset();
}

TEST(EndpointTest, TextsAreTakenApartAndPutTogether) {
  EXPECT_EQ(parse_endpoint("hub.example.org", {})->text(), "hub.example.org:9092");
  EXPECT_EQ(parse_endpoint("hub:1", {})->text(), "hub:1");
  EXPECT_EQ(parse_endpoint("[::1]:7", {})->text(), "[::1]:7");
  EXPECT_EQ(parse_endpoint("[fe80::1%eth0]", {})->host, "fe80::1%eth0");
  for (const char* wrong : {"", ":", "a:", "a:b", "a:0", "a:65536", "a:1:2", "::1", "[::1", "[a]",
                            "[::1]7", "[]:1", "a b:1", "a/b", "a\r\n", "a:-1"}) {
    EXPECT_FALSE(parse_endpoint(wrong, {}).ok()) << wrong;
  }
}

}  // namespace
}  // namespace umbel::http

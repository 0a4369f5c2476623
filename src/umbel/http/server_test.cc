#include "umbel/http/server.h"

#include <sys/resource.h>

#include "umbel/http/raw_socket_test.h"
#include "umbel/http/server_fixture_test.h"

namespace umbel::http {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<Call> echo(const RequestHead& head) {
  return simple_call(1000,
                     [path = head.path](std::string body) { return text(path + ":" + body); });
}

// What a server with short patience answers to these bytes, up to where it closes.
std::string answer_to(std::string_view bytes, bool* ended = nullptr) {
  ServerOptions options;
  options.handshake_timeout = std::chrono::seconds(1);
  options.idle_timeout = std::chrono::seconds(1);
  TestServer server(false, options);
  server.handler.on_request = echo;
  RawSocket raw(server.server->port());
  raw.send(bytes);
  const std::string answer = raw.read_all();
  if (ended != nullptr) *ended = raw.ended();
  EXPECT_TRUE(raw.ended()) << "the connection was left open";
  return answer;
}

int count_of(std::string_view text, std::string_view what) {
  int count = 0;
  for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++count;
  return count;
}

TEST(ServerTest, PipelinedRequestsAreAnsweredInTheirOrder) {
  const std::string answer = answer_to(
      "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n"
      "POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
      "POST /3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
      "chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n"
      "GET /4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(count_of(answer, "HTTP/1.1 200 OK"), 4) << answer;
  const size_t one = answer.find("/1:"), two = answer.find("/2:abc"), three = answer.find("/3:def"),
               four = answer.find("/4:");
  ASSERT_NE(four, std::string::npos) << answer;
  EXPECT_LT(one, two);
  EXPECT_LT(two, three);
  EXPECT_LT(three, four);
}

TEST(ServerTest, AmbiguousRequestsAre400AndNothingBehindThemIsServed) {
  for (const char* head :
       {"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", "GET /a HTTP/1.1\nHost: x\n\n",
        "GET /a HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", "GET /../a HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /%0d HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\na\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n8000000000000000\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n",
        "\x16\x03\x01\x02\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}) {
    const std::string answer =
        answer_to(std::string(head) + "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << head << answer;
    EXPECT_EQ(count_of(answer, "HTTP/1.1 "), 1) << head << answer;
  }
}

TEST(ServerTest, UpgradesToAnythingButOurWebSocketAre400) {
  for (const auto& [from, to] :
       std::vector<std::pair<std::string, std::string>>{{"umbel.v1", "chat"},
                                                        {"Version: 13", "Version: 8"},
                                                        {"websocket", "websockets"},
                                                        {"GET", "POST"},
                                                        {"Key: dG", "Key: d"},
                                                        {", Upgrade", ""}}) {
    std::string head(kUpgrade);
    head.replace(head.find(from), from.size(), to);
    EXPECT_TRUE(answer_to(head).starts_with("HTTP/1.1 400 ")) << head;
  }
}

TEST(ServerTest, LimitsHaveTheirCodes) {
  EXPECT_THAT(answer_to("GET /" + std::string(20'000, 'a') + " HTTP/1.1\r\n"),
              ::testing::StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(answer_to("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n"),
              ::testing::StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(answer_to("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999999999\r\n\r\n"),
              ::testing::StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(answer_to("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" +
                        std::string(1001, 'a') + "\r\n0\r\n\r\n"),
              ::testing::StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(answer_to("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: more\r\n\r\na"),
              ::testing::StartsWith("HTTP/1.1 417 "));
}

TEST(ServerTest, SlowHeadsAndStalledBodiesAre408AndSilenceIsClosed) {
  EXPECT_THAT(answer_to("GET / HTTP/1.1\r\nHost:"), ::testing::StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(answer_to("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"),
              ::testing::StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(answer_to("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
              ::testing::StartsWith("HTTP/1.1 408 "));
  EXPECT_EQ(answer_to(""), "");
}

TEST(ServerTest, Http10IsAnsweredAndClosed) {
  EXPECT_THAT(answer_to("GET /old HTTP/1.0\r\n\r\n"), HasSubstr("Connection: close"));
}

TEST(ServerTest, ABodyIsAskedForWith100OnlyWhenItIsWanted) {
  TestServer server(false);
  server.handler.on_request = [](const RequestHead& head) {
    return head.bearer.empty() ? answered(error_response(absl::UnauthenticatedError("who?")))
                               : echo(head);
  };
  RawSocket raw(server.server->port());
  raw.send(
      "PUT / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t\r\nContent-Length: 2\r\n"
      "Expect: 100-continue\r\n\r\n");
  EXPECT_EQ(raw.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  raw.send("ok");
  EXPECT_TRUE(raw.read_until(":ok").starts_with("HTTP/1.1 200 "));
  raw.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_TRUE(raw.read_all().starts_with("HTTP/1.1 401 "));
}

TEST(ServerTest, ACallHearsPiecesAndItsEndIfTheBodyBreaksOff) {
  struct Watched final : Call {
    Watched(std::atomic<size_t>& got, std::atomic<bool>& gone) : bytes(got), ended(gone) {}
    ~Watched() override { ended = true; }
    uint64_t body_max() const override { return 10'000'000; }
    Status take(std::span<const std::byte> piece) override {
      bytes += piece.size();
      return piece[0] == std::byte{'!'} ? invalid_argument("not that") : absl::OkStatus();
    }
    void finish(std::shared_ptr<Responder>) override { ADD_FAILURE() << "the body was not whole"; }
    std::atomic<size_t>& bytes;
    std::atomic<bool>& ended;
  };
  std::atomic<size_t> bytes = 0;
  std::atomic<bool> ended = false;
  TestServer server(false);
  server.handler.on_request = [&](const RequestHead&) {
    return std::make_unique<Watched>(bytes, ended);
  };
  {
    RawSocket raw(server.server->port());
    raw.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n" +
             std::string(1'000'000, 'a'));
  }
  while (!ended) std::this_thread::yield();
  EXPECT_EQ(bytes, 1'000'000u);
  RawSocket raw(server.server->port());
  raw.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n" +
           std::string(3'000'000, '!'));
  const std::string answer = raw.read_all();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << answer;
  EXPECT_THAT(answer, HasSubstr("not that"));
}

TEST(ServerTest, PlainBytesOnTheTlsPortAreClosedNotHeld) {
  ServerOptions options;
  options.handshake_timeout = std::chrono::seconds(1);
  TestServer server(true, options);
  RawSocket http(server.server->port());
  http.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  http.read_all();
  EXPECT_TRUE(http.ended());
  RawSocket silent(server.server->port());
  silent.read_all();
  EXPECT_TRUE(silent.ended());
}

TEST(ServerTest, APortThatIsTakenIsNamedWithItsOwner) {
  TestServer first(false);
  TestHandler handler;
  ServerOptions options;
  options.address = "127.0.0.1";
  options.port = first.server->port();
  const Status status = Server::start(options, handler).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(message_of(status), HasSubstr("127.0.0.1:" + std::to_string(options.port)));
  EXPECT_THAT(message_of(status), HasSubstr("in use by process " + std::to_string(::getpid())));
  options.address = "nowhere";
  EXPECT_EQ(Server::start(options, handler).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ServerTest, TooManyFromOneAddressAreClosedAndTheFirstOnesStay) {
  ServerOptions options;
  options.connections_per_address_max = 2;
  TestServer server(false, options);
  server.handler.on_request = echo;
  Client one(server.endpoint()), two(server.endpoint()), three(server.endpoint());
  EXPECT_TRUE(one.request("GET", "/").ok());
  EXPECT_TRUE(two.request("GET", "/").ok());
  EXPECT_EQ(three.request("GET", "/").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(one.request("GET", "/").ok());
}

TEST(ServerTest, WhenFullNewConnectionsWaitForAPlace) {
  ServerOptions options;
  options.connections_max = 2;
  TestServer server(true, options);
  server.handler.on_request = echo;
  auto one = std::make_unique<Client>(server.endpoint());
  Client two(server.endpoint()), three(server.endpoint());
  EXPECT_TRUE(one->request("GET", "/").ok());
  EXPECT_TRUE(two.request("GET", "/").ok());
  std::jthread waiting([&] { EXPECT_TRUE(three.request("GET", "/").ok()); });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_EQ(server.server->connections(), 2u);
  one.reset();
}

TEST(ServerTest, ASlowReaderOfALongAnswerIsClosed) {
  ServerOptions options;
  options.idle_timeout = std::chrono::seconds(1);
  TestServer server(false, options);
  server.handler.on_request = [](const RequestHead&) {
    return answered(text(std::string(size_t{32} << 20, 'a')));
  };
  RawSocket raw(server.server->port());
  raw.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  while (server.server->connections() == 0) std::this_thread::yield();
  while (server.server->connections() != 0) std::this_thread::yield();
  EXPECT_LT(raw.read_all().size(), size_t{32} << 20);
}

TEST(ServerTest, HeadersOfAnswersNameLengthsAndRanges) {
  const std::string answer = answer_to("HEAD /h HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
  EXPECT_THAT(answer, HasSubstr("Content-Length: 3\r\n"));
}

TEST(ErrorResponseTest, CodesGoBothWays) {
  for (int code = 1; code <= 16; ++code) {
    const auto status = static_cast<absl::StatusCode>(code);
    const int http = http_code(status);
    if (http != 500) {
      EXPECT_EQ(status_code(http), status) << http;
    }
  }
  EXPECT_EQ(http_code(absl::StatusCode::kOk), 200);
  EXPECT_EQ(status_code(204), absl::StatusCode::kOk);
  EXPECT_EQ(error_response(not_found("a \"b\"")).body,
            "{\"code\":\"not-found\",\"error\":\"a \\\"b\\\"\"}\n");
  EXPECT_THAT(error_response(not_found("\xff")).body, HasSubstr("\xef\xbf\xbd"));
}

}  // namespace
}  // namespace umbel::http

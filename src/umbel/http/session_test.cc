#include "umbel/http/session.h"

#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <deque>
#include <optional>

#include "umbel/http/raw_socket_test.h"
#include "umbel/http/server_fixture_test.h"

namespace umbel::http {
namespace {

// Keeps what it hears, for tests that wait for it.
class Heard : public SessionClient::Listener {
 public:
  void opened(std::shared_ptr<Session> session) override {
    const absl::MutexLock lock(&mutex_);
    session_ = std::move(session);
  }
  void received(std::span<const std::byte> message) override {
    const absl::MutexLock lock(&mutex_);
    messages_.emplace_back(reinterpret_cast<const char*>(message.data()), message.size());
  }
  void closed(const Status& status) override {
    const absl::MutexLock lock(&mutex_);
    EXPECT_FALSE(closed_.has_value()) << "closed twice";
    closed_ = status;
  }
  void set_session(std::shared_ptr<Session> session) { opened(std::move(session)); }

  std::shared_ptr<Session> session() {
    const auto there = [this] { return session_ != nullptr || closed_.has_value(); };
    const absl::MutexLock lock(&mutex_);
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&there), absl::Seconds(20)));
    EXPECT_NE(session_, nullptr) << closed_.value_or(absl::OkStatus());
    return session_;
  }
  std::string next() {
    const auto there = [this] { return !messages_.empty() || closed_.has_value(); };
    const absl::MutexLock lock(&mutex_);
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&there), absl::Seconds(20)));
    if (messages_.empty()) {
      ADD_FAILURE() << "closed: " << closed_.value_or(absl::OkStatus());
      return "";
    }
    std::string message = std::move(messages_.front());
    messages_.pop_front();
    return message;
  }
  Status end() {
    const auto there = [this] { return closed_.has_value(); };
    const absl::MutexLock lock(&mutex_);
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&there), absl::Seconds(20)));
    return closed_.value_or(absl::UnknownError("not closed"));
  }

 private:
  absl::Mutex mutex_;
  std::shared_ptr<Session> session_;
  std::deque<std::string> messages_;
  std::optional<Status> closed_;
};

// Sends back what it gets.
class Echo final : public Heard {
 public:
  explicit Echo(std::shared_ptr<Session> session) { set_session(std::move(session)); }
  void received(std::span<const std::byte> message) override {
    session()->send(std::string(reinterpret_cast<const char*>(message.data()), message.size()));
  }
};

class SessionTest : public ::testing::TestWithParam<bool> {
 protected:
  void serve(std::function<std::shared_ptr<Heard>(std::shared_ptr<Session>)> make) {
    server_.handler.on_session =
        [make](const RequestHead& head,
               std::shared_ptr<Session> session) -> Result<std::shared_ptr<SessionListener>> {
      if (head.path != "/fleet") return not_found("{}: no such session", head.path);
      return make(std::move(session));
    };
  }
  std::shared_ptr<Heard> open(std::string target = "/fleet") {
    auto heard = std::make_shared<Heard>();
    client_.open(server_.endpoint(), std::move(target), heard);
    return heard;
  }

  TestServer server_{GetParam()};
  SessionClient client_;
};
INSTANTIATE_TEST_SUITE_P(TlsAndPlain, SessionTest, ::testing::Bool(),
                         [](const auto& at) { return at.param ? "tls" : "plain"; });

TEST_P(SessionTest, MessagesOf1ByteTo16MiBComeBackAsTheyWere) {
  serve([](std::shared_ptr<Session> session) {
    session->set_message_max(size_t{16} << 20);
    return std::make_shared<Echo>(std::move(session));
  });
  const auto heard = open();
  const auto session = heard->session();
  session->set_message_max(size_t{16} << 20);
  for (const size_t size : {0, 1, 125, 126, 4096, 65535, 65536, 1 << 20, 16 << 20}) {
    const std::string message = pattern(size, static_cast<uint32_t>(size));
    ASSERT_TRUE(session->send(message));
    EXPECT_TRUE(heard->next() == message) << size;
  }
  session->close("done");
  EXPECT_TRUE(heard->end().ok()) << heard->end();
  EXPECT_FALSE(session->send("after"));
}

TEST_P(SessionTest, ManyMessagesKeepTheirOrderFromManyThreads) {
  serve([](std::shared_ptr<Session> session) { return std::make_shared<Echo>(session); });
  const auto heard = open();
  const auto session = heard->session();
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t != 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i != 500; ++i) {
          EXPECT_TRUE(session->send(std::to_string(t) + " " + std::to_string(i)));
        }
      });
    }
  }
  std::array<int, 4> next{};
  for (int i = 0; i != 2000; ++i) {
    const std::string message = heard->next();
    ASSERT_GE(message.size(), 3u);
    EXPECT_EQ(std::stoi(message.substr(2)), next.at(static_cast<size_t>(message[0] - '0'))++);
  }
}

TEST_P(SessionTest, WhatIsQueuedBeforeClosingArrivesBeforeTheEnd) {
  serve([](std::shared_ptr<Session> session) {
    auto heard = std::make_shared<Heard>();
    for (int i = 0; i != 100; ++i) session->send(pattern(10'000, static_cast<uint32_t>(i)));
    session->close("that was all");
    EXPECT_FALSE(session->send("more"));
    return heard;
  });
  const auto heard = open();
  for (int i = 0; i != 100; ++i) {
    EXPECT_TRUE(heard->next() == pattern(10'000, static_cast<uint32_t>(i))) << i;
  }
  EXPECT_TRUE(heard->end().ok()) << heard->end();
}

TEST_P(SessionTest, BothEndsKnowTheSameCertificate) {
  std::string seen;
  std::shared_ptr<Session> kept;
  serve([&](std::shared_ptr<Session> session) {
    kept = session;
    return std::make_shared<Echo>(session);
  });
  const auto heard = open();
  const auto session = heard->session();
  EXPECT_EQ(session->certificate_sha256().size(), 32u);
  session->send("wait");
  EXPECT_EQ(heard->next(), "wait");
  EXPECT_EQ(session->certificate_sha256(), kept->certificate_sha256());
  EXPECT_EQ(session->certificate_sha256() == std::string(32, '\0'), !GetParam());
  Client client(server_.endpoint());
  EXPECT_EQ(*client.certificate_sha256(), session->certificate_sha256());
  EXPECT_TRUE(kept->peer().starts_with("127.0.0.1:")) << kept->peer();
}

TEST_P(SessionTest, ARefusalIsHeardWithItsCodeAndWords) {
  serve([](std::shared_ptr<Session> session) { return std::make_shared<Echo>(session); });
  const Status status = open("/elsewhere")->end();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << status;
  EXPECT_THAT(message_of(status), ::testing::HasSubstr("/elsewhere: no such session"));
}

TEST_P(SessionTest, ALongerMessageThanAllowedEndsTheSession) {
  std::shared_ptr<Echo> echo;
  serve([&](std::shared_ptr<Session> session) { return echo = std::make_shared<Echo>(session); });
  const auto heard = open();
  const auto session = heard->session();
  session->set_message_max(1 << 20);
  session->send(pattern(kFirstMessageBytesMax));
  EXPECT_EQ(heard->next().size(), kFirstMessageBytesMax);
  session->send(pattern(kFirstMessageBytesMax + 1));
  EXPECT_EQ(heard->end().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(echo->end().code(), absl::StatusCode::kResourceExhausted);
}

TEST_P(SessionTest, APeerThatDoesNotReadIsGoneWhenTheQueueIsFull) {
  std::shared_ptr<Heard> here;
  std::atomic<bool> go = false;
  serve([&](std::shared_ptr<Session> session) {
    here = std::make_shared<Heard>();
    here->set_session(std::move(session));
    return here;
  });
  // A listener that never returns from its first message reads no further.
  struct Stuck final : Heard {
    explicit Stuck(std::atomic<bool>& flag) : go(flag) {}
    void received(std::span<const std::byte>) override { go.wait(false); }
    std::atomic<bool>& go;
  };
  const auto stuck = std::make_shared<Stuck>(go);
  client_.open(server_.endpoint(), "/fleet", stuck);
  stuck->session();
  const auto session = here->session();
  const std::string message = pattern(60'000);
  size_t sent = 0;
  while (sent < size_t{1} << 30 && session->send(message)) sent += message.size();
  EXPECT_GE(sent, kSessionQueueBytesMax - message.size());
  EXPECT_LT(sent, 2 * kSessionQueueBytesMax);
  EXPECT_EQ(here->end().code(), absl::StatusCode::kUnavailable);
  go = true;
  go.notify_all();
  EXPECT_FALSE(stuck->end().ok());
}

TEST_P(SessionTest, StoppingTheServerEndsSessionsInOrderAndHandlesStayUsable) {
  std::shared_ptr<Echo> echo;
  serve([&](std::shared_ptr<Session> session) { return echo = std::make_shared<Echo>(session); });
  const auto heard = open();
  const auto session = heard->session();
  session->send("x");
  EXPECT_EQ(heard->next(), "x");
  const auto other = echo->session();
  server_.server.reset();
  EXPECT_TRUE(heard->end().ok()) << heard->end();
  EXPECT_TRUE(echo->end().ok()) << echo->end();
  EXPECT_FALSE(other->send("x"));
  other->close("twice");
  other->set_message_max(1);
}

TEST_P(SessionTest, FiftyIdleSessionsAreHeldAndAllHearTheEnd) {
  serve([](std::shared_ptr<Session> session) { return std::make_shared<Echo>(session); });
  std::vector<std::shared_ptr<Heard>> all;
  for (int i = 0; i != 50; ++i) all.push_back(open());
  for (const auto& heard : all) ASSERT_NE(heard->session(), nullptr);
  EXPECT_EQ(server_.server->connections(), 50u);
  for (const auto& heard : all) heard->session()->send("still here");
  for (const auto& heard : all) EXPECT_EQ(heard->next(), "still here");
  server_.server->stop();
  EXPECT_EQ(server_.server->connections(), 0u);
  for (const auto& heard : all) EXPECT_TRUE(heard->end().ok()) << heard->end();
}

TEST(SessionClientTest, CallsComeAfterTheirDelayAndNotAfterTheEnd) {
  std::atomic<int> calls = 0;
  {
    SessionClient client;
    const auto start = std::chrono::steady_clock::now();
    client.after(std::chrono::milliseconds(50), [&] {
      calls += 1;
      calls.notify_all();
    });
    client.after(std::chrono::hours(1), [&] { calls += 100; });
    calls.wait(0);
    EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(50));
  }
  EXPECT_EQ(calls, 1);
}

TEST(SessionClientTest, NobodyThereIsHeardAndSoIsTheEndOfTheClient) {
  uint16_t port = 0;
  { port = TestServer(false).server->port(); }
  Trust plain;
  plain.plain = true;
  const auto heard = std::make_shared<Heard>(), late = std::make_shared<Heard>();
  {
    SessionClient client;
    client.open(Endpoint{"127.0.0.1", port, plain}, "/", heard);
    const Status status = heard->end();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(message_of(status), ::testing::HasSubstr("connection refused"));
    client.open(Endpoint{"192.0.2.1", 9, plain}, "/", late);  // nobody answers there
  }
  EXPECT_FALSE(late->end().ok());
}

TEST(SessionPingTest, APeerThatAnswersNoPingIsGone) {
  ServerOptions options;
  options.ping_interval = std::chrono::seconds(1);
  TestServer server(false, options);
  auto heard = std::make_shared<Heard>();
  server.handler.on_session =
      [&](const RequestHead&,
          std::shared_ptr<Session>) -> Result<std::shared_ptr<SessionListener>> { return heard; };
  RawSocket raw(server.server->port());
  raw.send(kUpgrade);
  EXPECT_TRUE(raw.read_until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
  const Status status = heard->end();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(message_of(status), ::testing::HasSubstr("no sign of life"));
}

TEST(SessionPingTest, AQuietPeerThatAnswersPingsStays) {
  ServerOptions options;
  options.ping_interval = std::chrono::seconds(1);
  TestServer server(true, options);
  server.handler.on_session = [&](const RequestHead&, std::shared_ptr<Session> session)
      -> Result<std::shared_ptr<SessionListener>> { return std::make_shared<Echo>(session); };
  SessionClient client;
  const auto heard = std::make_shared<Heard>();
  client.open(server.endpoint(), "/", heard);
  heard->session();
  std::this_thread::sleep_for(std::chrono::milliseconds(3500));
  heard->session()->send("alive");
  EXPECT_EQ(heard->next(), "alive");
}

TEST(SessionFrameTest, HostileFramesEndTheSessionAsMalformed) {
  struct Case {
    const char* name;
    std::string frame;
  };
  const std::string mask(4, '\0');
  for (const Case& at : std::vector<Case>{
           {"not masked", std::string("\x82\x01x", 3)},
           {"reserved bit", std::string("\xc2\x81", 2) + mask + "x"},
           {"reserved opcode", std::string("\x83\x81", 2) + mask + "x"},
           {"control frame too long", std::string("\x89\xfe\x01\x00", 4) + mask},
           {"continuation of nothing", std::string("\x80\x81", 2) + mask + "x"},
           {"text", std::string("\x81\x81", 2) + mask + "x"},
           {"length of 2^63", std::string("\x82\xff\xff\0\0\0\0\0\0\0", 10) + mask},
           {"length of 4 GiB", std::string("\x82\xff\0\0\0\x01\0\0\0\0", 10) + mask}}) {
    TestServer server(false);
    auto heard = std::make_shared<Heard>();
    server.handler.on_session =
        [&](const RequestHead&,
            std::shared_ptr<Session>) -> Result<std::shared_ptr<SessionListener>> { return heard; };
    RawSocket raw(server.server->port());
    raw.send(kUpgrade);
    raw.read_until("\r\n\r\n");
    raw.send(at.frame);
    const Status status = heard->end();
    EXPECT_TRUE(absl::IsInvalidArgument(status) || absl::IsResourceExhausted(status))
        << at.name << ": " << status;
  }
}

}  // namespace
}  // namespace umbel::http

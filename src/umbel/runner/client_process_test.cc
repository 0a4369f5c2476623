#include "umbel/runner/client_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "umbel/app/client_app.h"
#include "umbel/runner/attach.h"
#include "umbel/wire/runtime.h"

namespace umbel::runner {
namespace {

using ::testing::HasSubstr;

// The node's end.
class Node {
 public:
  explicit Node(Channel channel) : channel_(std::move(channel)) {}

  template <class T>
  T expect() {
    Channel::Frame frame = or_throw(channel_.receive(wire::kFrameBytesMax));
    wire::AppFrame parsed = or_throw(wire::parse_app_frame(std::as_bytes(std::span(frame.bytes))));
    memory_ = std::move(frame.blob);
    return std::get<T>(std::move(parsed));
  }
  void send(const wire::DaemonFrame& frame, const SharedBlob* blob = nullptr) {
    or_throw(channel_.send(wire::format(frame), blob));
  }
  void send_raw(std::string_view bytes) { or_throw(channel_.send(bytes)); }
  void start(ConfigRecord node_config = {}) {
    wire::ClientStart start{{.id = RunId(7), .seed = 42, .nodes = 10}, std::move(node_config)};
    start.run.config = {{"rounds", 3}};
    start.run.origins = {"umbel.toml:9"};
    send(std::move(start));
  }
  static Metadata metadata(uint64_t client, std::string type = "train") {
    return {.run = RunId(7),
            .id = MessageId(100),
            .source = kServerNode,
            .destination = NodeId(client),
            .type = std::move(type),
            .round = 2};
  }
  void handle(uint64_t instruction, const Message& message, RecordDict state = {}) {
    wire::Handle handle{instruction, wire::envelope_of(message), std::move(state)};
    std::optional<SharedBlob> blob;
    if (!message.has_error()) {
      blob = or_throw(shared_blob_of(message.content(), handle.message.blob));
    }
    send(std::move(handle), blob ? &*blob : nullptr);
  }
  Message reply_of(const wire::Handled& handled) {
    return or_throw(wire::to_message(handled.reply,
                                     or_throw(attached(handled.reply.blob, std::move(memory_)))));
  }
  Message expect_reply() { return reply_of(expect<wire::Handled>()); }
  void close() { channel_.shut_down(); }

 private:
  Channel channel_;
  Descriptor memory_;
};

class ClientProcessTest : public ::testing::Test {
 protected:
  ClientProcessTest() : ClientProcessTest(or_throw(Channel::make_pair())) {}
  explicit ClientProcessTest(std::pair<Channel, Descriptor> ends)
      : node(std::move(ends.first)), channel(std::move(ends.second)) {}
  ~ClientProcessTest() override {
    if (!process.joinable()) return;
    node.close();
    process.join();
    EXPECT_EQ(code, expected_code);
  }
  void start_process() {
    process = std::thread([this] { code = run_client_process(std::move(channel), client); });
    EXPECT_EQ(node.expect<wire::AppReady>().software, "umbel 0.1.0");
  }
  static RecordDict arrays(size_t n, float x) {
    RecordDict content;
    content.set("arrays", ArrayRecord{{"w", Array::copy_of<float>(std::vector<float>(n, x),
                                                                  {static_cast<int64_t>(n)})}});
    return content;
  }

  Node node;
  Channel channel;
  ClientApp client;
  std::thread process;
  int code = -1;
  int expected_code = 0;
};

TEST_F(ClientProcessTest, ActionsSeeTheRunTheNodeAndTheirState) {
  client.train([](const Message& message, Context& context) {
    EXPECT_EQ(context.run_id(), RunId(7));
    EXPECT_EQ(context.run_seed(), 42u);
    EXPECT_EQ(context.seed(), client_seed(42, message.metadata()));
    EXPECT_EQ(context.node_id(), NodeId(3));
    EXPECT_EQ(context.partition_id(), 3u);
    EXPECT_EQ(context.num_partitions(), 10u);
    EXPECT_EQ(context.node_config().text("data"), "/data");
    EXPECT_EQ(context.run_config().integer("rounds"), 3);
    EXPECT_EQ(context.run_config().origin("rounds"), "umbel.toml:9");
    EXPECT_FALSE(context.wrap_up());
    EXPECT_FALSE(context.time_left());
    int64_t calls = 0;
    if (const auto* kept = context.state().find("kept")) {
      calls = std::get<MetricRecord>(*kept).integer("calls");
    }
    context.state().set("kept", MetricRecord{{"calls", calls + 1}});
    return message.reply(message.arrays(), {{"calls", calls}});
  });
  start_process();
  node.start({{"data", "/data"}});
  node.handle(1, Message(Node::metadata(3), arrays(2, 1)));
  wire::Handled first = node.expect<wire::Handled>();
  EXPECT_EQ(first.instruction, 1u);
  EXPECT_EQ(node.reply_of(first).metrics().integer("calls"), 0);
  node.handle(2, Message(Node::metadata(3), arrays(2, 1)), first.state);
  const wire::Handled second = node.expect<wire::Handled>();
  const Message reply = node.reply_of(second);
  EXPECT_EQ(reply.metrics().integer("calls"), 1);
  EXPECT_EQ(reply.metadata().reply_to, MessageId(100));
  EXPECT_EQ(reply.metadata().source, NodeId(3));
  EXPECT_EQ(std::get<MetricRecord>(second.state["kept"]).integer("calls"), 2);
}

TEST_F(ClientProcessTest, TheOwnersPartitionGoesBeforeTheClientsNumber) {
  client.train([](const Message& message, Context& context) {
    return message.reply({{"id", context.partition_id()}, {"of", context.num_partitions()}});
  });
  start_process();
  node.start({{"partition-id", 8}, {"num-partitions", 20}});
  node.handle(1, Message(Node::metadata(3), arrays(2, 1)));
  const Message reply = node.expect_reply();
  EXPECT_EQ(reply.metrics().integer("id"), 8);
  EXPECT_EQ(reply.metrics().integer("of"), 20);
}

TEST_F(ClientProcessTest, LargeModelsGoBothWaysInSharedMemory) {
  client.train([](const Message& message, Context&) {
    ArrayRecord next = message.arrays();
    for (float& x : next["w"].mutable_view<float>()) x += 1;
    return message.reply(std::move(next), {});
  });
  start_process();
  node.start();
  node.handle(1, Message(Node::metadata(0), arrays(500'000, 1)));
  const wire::Handled handled = node.expect<wire::Handled>();
  EXPECT_FALSE(handled.reply.blob.is_here());
  EXPECT_EQ(node.reply_of(handled).arrays(), std::get<ArrayRecord>(arrays(500'000, 2)["arrays"]));
}

TEST_F(ClientProcessTest, LinesOfTheAppGoToTheNode) {
  client.train([](const Message& message, Context& context) {
    context.log(LogLevel::kWarn, "few examples \xff");
    return message.reply(MetricRecord());
  });
  start_process();
  node.start();
  node.handle(1, Message(Node::metadata(4), arrays(1, 1)));
  const auto log = node.expect<wire::AppLog>();
  EXPECT_EQ(log.level, "warn");
  EXPECT_EQ(log.message, "few examples ?");
  EXPECT_EQ(log.node, NodeId(4));
  EXPECT_FALSE(node.expect_reply().has_error());
}

TEST_F(ClientProcessTest, WhatAnActionThrowsBecomesAnErrorReply) {
  client.train([](const Message&, Context&) -> Message { throw std::runtime_error("no data"); });
  start_process();
  node.start();
  node.handle(1, Message(Node::metadata(4), arrays(1, 1)));
  const Message reply = node.expect_reply();
  ASSERT_TRUE(reply.has_error());
  EXPECT_EQ(reply.error().code, MessageError::Code::kClientFailed);
  EXPECT_EQ(reply.error().reason, "client 4: no data");
  node.handle(2, Message(Node::metadata(4, "evaluate"), arrays(1, 1)));
  EXPECT_EQ(node.expect_reply().error().code, MessageError::Code::kUnknownAction);
}

TEST_F(ClientProcessTest, AReplyOrStateThatCannotTravelIsRefusedAndTheStateStays) {
  client.train([](const Message& message, Context& context) {
    context.state().set("new", MetricRecord{{"x", 1}});
    return message.reply({{"\xff", Array::of<float>({1})}}, {});
  });
  client.train("hoard", [](const Message& message, Context& context) {
    context.state().set("all", ArrayRecord{{"x", Array::zeros(DType::kFloat32, {5'000'000})}});
    return message.reply(MetricRecord());
  });
  client.train("chatty", [](const Message& message, Context&) {
    RecordDict content;
    content.set("c", ConfigRecord{{"text", std::string(wire::kFrameBytesMax, 'x')}});
    return message.reply(content);
  });
  start_process();
  node.start();
  RecordDict before;
  before.set("old", MetricRecord{{"x", 2}});
  const auto refusal = [&](const std::string& type) {
    node.handle(1, Message(Node::metadata(4, type), arrays(1, 1)), before);
    const auto handled = node.expect<wire::Handled>();
    EXPECT_EQ(handled.state, before);
    const Message reply = node.reply_of(handled);
    EXPECT_TRUE(reply.has_error());
    EXPECT_EQ(reply.error().code, MessageError::Code::kBadReply);
    return reply.error().reason;
  };
  EXPECT_THAT(refusal("train"), HasSubstr("client 4: the reply: record \"arrays\": the name"));
  EXPECT_THAT(refusal("train.hoard"), HasSubstr("the state: 20000"));
  EXPECT_THAT(refusal("train.chatty"), HasSubstr("the limit is 16777216"));
}

TEST_F(ClientProcessTest, AWrapUpReachesARunningAction) {
  client.train([](const Message& message, Context& context) {
    context.log("running");
    while (!context.wrap_up()) std::this_thread::yield();
    const auto left = context.time_left();
    EXPECT_TRUE(left && left->count() > 1 && left->count() <= 1000);
    return message.reply(MetricRecord{{"work-done", 0.5}});
  });
  start_process();
  node.start();
  node.handle(1, Message(Node::metadata(4), arrays(1, 1)));
  (void)node.expect<wire::AppLog>();
  node.send(wire::AppWrapUp{2, 1});  // another's
  node.send(wire::AppWrapUp{1, 1000});
  EXPECT_EQ(node.expect_reply().metrics().real("work-done"), 0.5);
  node.send(wire::AppWrapUp{1, 1000});  // too late: nobody minds
  client.train("second",
               [](const Message& message, Context&) { return message.reply(MetricRecord()); });
}

TEST_F(ClientProcessTest, FramesOfANewerNodeAreIgnored) {
  client.train([](const Message& message, Context&) { return message.reply(MetricRecord()); });
  start_process();
  node.send_raw("\x9a\x06\x01x");
  node.start();
  node.handle(1, Message(Node::metadata(4), arrays(1, 1)));
  EXPECT_FALSE(node.expect_reply().has_error());
}

TEST_F(ClientProcessTest, FramesOutOfTurnEndTheProcess) {
  start_process();
  expected_code = 1;
  node.handle(1, Message(Node::metadata(4), arrays(1, 1)));
}

TEST_F(ClientProcessTest, AServerAppsFrameEndsTheProcess) {
  start_process();
  expected_code = 1;
  node.send(wire::Stop{});
}

using ClientProcessDeathTest = ClientProcessTest;

TEST_F(ClientProcessDeathTest, ARunningActionDoesNotOutliveTheChannel) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        client.train([](const Message& message, Context& context) {
          context.log("running");
          for (;;) std::this_thread::yield();
          return message.reply(MetricRecord());
        });
        start_process();
        node.start();
        node.handle(1, Message(Node::metadata(4), arrays(1, 1)));
        (void)node.expect<wire::AppLog>();
        node.close();
        process.join();
      },
      ::testing::ExitedWithCode(1), "");
}

}  // namespace
}  // namespace umbel::runner

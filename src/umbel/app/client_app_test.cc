#include "umbel/app/client_app.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "umbel/app/fake_runtime_test.h"

namespace umbel {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Code = MessageError::Code;

class ClientAppTest : public ::testing::Test {
 protected:
  Message message(std::string type) {
    return Message(Metadata{.id = MessageId(9),
                            .source = kServerNode,
                            .destination = NodeId(5),
                            .type = std::move(type)},
                   RecordDict());
  }
  Message handle(const std::string& type) {
    Context context(run, NodeId(5), 1);
    return app.handle(message(type), context);
  }

  FakeRuntime runtime;
  umbel::Run run{.id = RunId(1), .nodes = 10, .runtime = &runtime};
  ClientApp app;
};

Message number(const Message& message, int64_t n) { return message.reply(MetricRecord{{"n", n}}); }

TEST_F(ClientAppTest, FindsActionsByTypeAndName) {
  app.train([](const Message& m, Context&) { return number(m, 1); })
      .train("lora", [](const Message& m, Context&) { return number(m, 2); })
      .evaluate([](const Message& m, Context&) { return number(m, 3); })
      .evaluate("fast", [](const Message& m, Context&) { return number(m, 4); })
      .query([](const Message& m, Context&) { return number(m, 5); })
      .query("size", [](const Message& m, Context&) { return number(m, 6); });
  int64_t expected = 1;
  for (const char* type :
       {"train", "train.lora", "evaluate", "evaluate.fast", "query", "query.size"}) {
    const Message reply = handle(type);
    EXPECT_EQ(reply.metrics().integer("n"), expected++);
    EXPECT_EQ(reply.metadata().reply_to, MessageId(9));
    EXPECT_EQ(reply.source(), NodeId(5));
  }
}

TEST_F(ClientAppTest, AnUnknownActionNamesThoseThereAre) {
  EXPECT_THAT(handle("train").error().reason, HasSubstr("no action for \"train\"; it has: none"));
  app.train([](const Message& m, Context&) { return number(m, 1); });
  app.query("x", [](const Message& m, Context&) { return number(m, 1); });
  const Message reply = handle("train.lora");
  EXPECT_EQ(reply.error().code, Code::kUnknownAction);
  EXPECT_THAT(reply.error().reason, HasSubstr("\"train.lora\"; it has: train, query.x"));
}

TEST_F(ClientAppTest, RegisteringTwiceOrWithoutNameThrows) {
  const auto action = [](const Message& m, Context&) { return number(m, 1); };
  app.train(action);
  EXPECT_THROW(app.train(action), Error);
  EXPECT_THROW(app.train("", action), Error);
  EXPECT_EQ(app.actions(), "train");
}

TEST_F(ClientAppTest, TheFirstModIsTheOutermostWheneverRegistered) {
  std::vector<std::string> order;
  const auto mod = [&order](const char* name) {
    return [&order, name](const Message& m, Context& c, const ClientApp::Action& next) {
      order.push_back(std::string(name) + " in");
      Message reply = next(m, c);
      order.push_back(std::string(name) + " out");
      return reply;
    };
  };
  app.mod(mod("a"));
  app.train([&](const Message& m, Context&) {
    order.push_back("action");
    return number(m, 1);
  });
  app.mod(mod("b"));
  EXPECT_FALSE(handle("train").has_error());
  EXPECT_THAT(order, ElementsAre("a in", "b in", "action", "b out", "a out"));
}

TEST_F(ClientAppTest, AModMayAnswerByItself) {
  app.train([](const Message& m, Context&) { return number(m, 1); });
  app.mod([](const Message& m, Context&, const ClientApp::Action&) { return number(m, 7); });
  EXPECT_EQ(handle("train").metrics().integer("n"), 7);
}

TEST_F(ClientAppTest, WhatAnActionThrowsBecomesAnErrorThatNamesClientAndCause) {
  app.train([](const Message&, Context&) -> Message { throw std::runtime_error("disk gone"); });
  app.evaluate([](const Message& m, Context&) { return m.reply(m.arrays(), {}); });
  app.query([](const Message&, Context&) -> Message { throw 7; });
  EXPECT_EQ(handle("train").error(), (MessageError{Code::kClientFailed, "client 5: disk gone"}));
  EXPECT_THAT(handle("evaluate").error().reason,
              HasSubstr("client 5: message of type \"evaluate\" has no array"));
  EXPECT_THAT(handle("query").error().reason, HasSubstr("client 5: threw something"));
  EXPECT_EQ(handle("query").metadata().reply_to, MessageId(9));
}

TEST_F(ClientAppTest, WhatIsNoReplyToTheMessageIsABadReply) {
  app.train([](const Message& m, Context&) { return m; });
  app.evaluate([this](const Message&, Context&) {
    Message other = message("evaluate");
    other.metadata().id = MessageId(10);
    return number(other, 1);
  });
  for (const char* type : {"train", "evaluate"}) {
    EXPECT_EQ(handle(type).error().code, Code::kBadReply);
    EXPECT_THAT(handle(type).error().reason, HasSubstr("did not return a reply to its message"));
  }
}

TEST_F(ClientAppTest, TheContextTellsClientAndServerApart) {
  app.train([](const Message& m, Context& c) {
    c.log("working");
    EXPECT_FALSE(c.is_server());
    EXPECT_EQ(c.node_config().integer("partition-id"), 5);
    EXPECT_EQ(c.node_config().integer("num-partitions"), 10);
    EXPECT_EQ(c.parallel().threads(), 1u);
    return number(m, 1);
  });
  EXPECT_FALSE(handle("train").has_error());
  Context server(run);
  EXPECT_TRUE(server.is_server());
  EXPECT_TRUE(server.node_config().empty());
  EXPECT_EQ(&server.parallel(), &runtime.serial);
  server.log("begun");
  server.publish("skew", {{"n", 1}});
  server.save("a.safetensors", {});
  EXPECT_THROW(server.save("", {}), Error);
  EXPECT_THAT(runtime.lines, ElementsAre("5: working", "begun"));
  EXPECT_TRUE(runtime.published.contains("skew"));
}

}  // namespace
}  // namespace umbel

#include "umbel/app/load_mod.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "umbel/app/fake_runtime_test.h"

// CLIP_MOD is examples/clip_mod/clip.c as C 11 builds it: a mod that knows nothing but the C
// header.
namespace umbel {
namespace {

using ::testing::HasSubstr;

ArrayRecord model(std::vector<float> values) {
  const auto size = static_cast<int64_t>(values.size());
  return {{"count", Array::copy_of<int64_t>(std::vector<int64_t>{7}, {1})},
          {"w", Array::copy_of<float>(values, {size})}};
}

class LoadModTest : public ::testing::Test {
 protected:
  Message handle(const std::string& type, const ArrayRecord& received) {
    Context context(run, NodeId(5), 1);
    const Metadata metadata{.id = MessageId(9),
                            .source = kServerNode,
                            .destination = NodeId(5),
                            .type = type,
                            .round = 3};
    return app.handle(Message(metadata, make_content(received, {{"round", 3}})), context);
  }
  void answer(std::vector<float> values) {
    const auto reply = [values](const Message& m, Context&) {
      return m.reply(model(values), {{"num-examples", 1}});
    };
    app.train(reply).evaluate(reply);
  }

  FakeRuntime runtime;
  umbel::Run run{.id = RunId(1), .nodes = 10, .runtime = &runtime};
  ClientApp app;
};

std::string error_of(const std::string& library, const std::string& settings) {
  try {
    (void)load_mod(library, settings);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST_F(LoadModTest, AModInCClipsAnUpdateToItsNorm) {
  answer({1 + 3, 2 + 4});  // an update of norm 5
  app.mod(load_mod(CLIP_MOD, "max-norm=2.5"));
  const ArrayRecord received = model({1, 2});
  const Message reply = handle("train", received);
  ASSERT_FALSE(reply.has_error()) << reply.error().reason;
  const auto w = reply.arrays()["w"].view<float>();
  EXPECT_FLOAT_EQ(w[0], 1 + 1.5);
  EXPECT_FLOAT_EQ(w[1], 2 + 2);
  EXPECT_EQ(reply.metrics().real("update-norm"), 5);
  EXPECT_EQ(reply.metrics().integer("num-examples"), 1);
  EXPECT_EQ(received, model({1, 2}));  // shared by all clients: nobody writes to it
  EXPECT_EQ(reply.arrays()["count"], model({})["count"]);
}

TEST_F(LoadModTest, WhatIsWithinTheNormKeepsItsBits) {
  answer({0.1f, -0.2f});
  app.mod(load_mod(CLIP_MOD, "max-norm=1"));
  EXPECT_EQ(handle("train", model({0, 0})).arrays(), model({0.1f, -0.2f}));
}

TEST_F(LoadModTest, OtherMessagesPassThrough) {
  answer({30, 40});
  app.mod(load_mod(CLIP_MOD, "max-norm=1"));
  EXPECT_EQ(handle("evaluate", model({0, 0})).arrays(), model({30, 40}));
}

TEST_F(LoadModTest, ModsAreAChainWhereverTheyAreFrom) {
  answer({8, 0});
  app.mod(load_mod(CLIP_MOD, "max-norm=1"))  // the outermost: it sees what the others left
      .mod([](const Message& m, Context& context, const ClientApp::Action& next) {
        const Message reply = next(m, context);
        return m.reply(model({0, 6}), reply.metrics());
      })
      .mod(load_mod(CLIP_MOD, "max-norm=4"));
  const Message reply = handle("train", model({0, 0}));
  EXPECT_EQ(reply.arrays(), model({0, 1}));
  EXPECT_EQ(reply.metrics().real("update-norm"), 6);
}

TEST_F(LoadModTest, TheActionsErrorComesThroughTheMod) {
  app.train([](const Message&, Context&) -> Message { throw std::runtime_error("no such file"); });
  app.mod(load_mod(CLIP_MOD, "max-norm=1"));
  const Message reply = handle("train", model({0}));
  ASSERT_TRUE(reply.has_error());
  EXPECT_THAT(reply.error().reason, HasSubstr("no such file"));
}

TEST_F(LoadModTest, WhatIsNoModIsRefusedByName) {
  EXPECT_THAT(error_of("/nowhere/clip.so", ""), HasSubstr("/nowhere/clip.so"));
  EXPECT_THAT(error_of("libm.so.6", ""), HasSubstr("no function umbel_mod_v1()"));
  EXPECT_THAT(error_of(CLIP_MOD, "norm=1"),
              HasSubstr("settings \"norm=1\": expected max-norm=NUMBER, above 0"));
  EXPECT_THAT(error_of(CLIP_MOD, "max-norm=-1"), HasSubstr("above 0"));
}

}  // namespace
}  // namespace umbel

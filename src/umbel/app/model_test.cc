#include "umbel/app/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "umbel/app/client_app.h"
#include "umbel/app/fake_runtime_test.h"
#include "umbel/record/npy_arbitrary_test.h"
#include "umbel/strategy/payload.h"

namespace umbel {
namespace {

using ::testing::HasSubstr;

ArrayRecord whole() {
  return {{"head", Array::of<float>({7, 8})},  // first: the server never sees it
          {"conv", Array::of<float>({1, 2})},
          {"base", Array::of<float>({5})},
          {"seen", Array::of<int64_t>({0})}};
}
const Roles kRoles{{"head", Role::kPrivate}, {"base", Role::kFrozen}, {"seen", Role::kCounter}};

ArrayRecord shared(float x) {
  return {{"conv", Array::of<float>({x, x})}, {"seen", Array::of<int64_t>({4})}};
}

class ModelTest : public ::testing::Test {
 protected:
  // A client that adds 1 to all that is not frozen, and remembers what it got.
  ModelTest() {
    app.train([this](const Message& message, Context&) {
      got = message.arrays();
      ArrayRecord arrays = got;
      for (const auto& [name, array] : got) {
        if (name == "base") continue;
        if (array.dtype() == DType::kFloat32) {
          for (float& x : arrays[name].mutable_view<float>()) x += 1;
        } else {
          for (int64_t& x : arrays[name].mutable_view<int64_t>()) x += 1;
        }
      }
      return message.reply(std::move(arrays), {{"num-examples", 1}});
    });
    app.evaluate([this](const Message& message, Context&) {
      got = message.arrays();
      return message.reply({{"num-examples", 1}});
    });
    app.query("leak", [](const Message& message, Context&) {
      return message.reply(whole(), {{"num-examples", 1}});
    });
  }
  ClientApp& with_model() {
    return app.model({.initial =
                          [this](const Context&) {
                            ++made;
                            return whole();
                          },
                      .roles = kRoles});
  }
  Message send(const std::string& type, ArrayRecord arrays, ConfigRecord config) {
    const ArrayRecord base{{"base", Array::of<float>({5})}};
    if (!config.contains(kFrozenSha256Key)) config.set(kFrozenSha256Key, arrays_sha256(base));
    return send_as_is(type, std::move(arrays), std::move(config));
  }
  Message send_as_is(const std::string& type, ArrayRecord arrays, ConfigRecord config) {
    Context context(run, NodeId(3), 1);
    context.state() = state;
    const Metadata metadata{.run = run.id,
                            .id = MessageId(++id),
                            .source = kServerNode,
                            .destination = NodeId(3),
                            .type = type,
                            .round = 1};
    Message reply =
        app.handle(Message(metadata, make_content(std::move(arrays), std::move(config))), context);
    state = context.state();
    return reply;
  }
  std::string refused(ArrayRecord arrays, ConfigRecord config = {}, std::string type = "train") {
    const RecordDict before = state;
    const Message reply = send(type, std::move(arrays), std::move(config));
    EXPECT_TRUE(reply.has_error());
    EXPECT_EQ(state, before) << "a message that fails leaves the client's state as it was";
    return reply.has_error() ? reply.error().reason : "";
  }
  const ArrayRecord& own() { return std::get<ArrayRecord>(state.at(kPrivateStateKey)); }

  FakeRuntime runtime;
  umbel::Run run{.id = RunId(1), .nodes = 4, .runtime = &runtime};
  ClientApp app;
  RecordDict state;
  ArrayRecord got;
  uint64_t id = 0;
  int made = 0;
};

TEST_F(ModelTest, TheActionGetsTheWholeModelAndOnlySharedTensorsLeave) {
  with_model();
  const Message reply = send("train", shared(3), {});
  ASSERT_FALSE(reply.has_error()) << reply.error().reason;
  EXPECT_EQ(got.names(), "head, conv, base, seen") << "in the model's own order";
  EXPECT_EQ(got["head"], Array::of<float>({7, 8}));
  EXPECT_EQ(got["conv"], Array::of<float>({3, 3}));
  EXPECT_EQ(got["base"], Array::of<float>({5}));
  EXPECT_EQ(reply.arrays().names(), "conv, seen");
  EXPECT_EQ(reply.arrays()["conv"], Array::of<float>({4, 4}));
  EXPECT_EQ(reply.arrays()["seen"], Array::of<int64_t>({5}));
  EXPECT_EQ(reply.metrics().integer("num-examples"), 1);
}

TEST_F(ModelTest, PrivateTensorsStayAndGoOnFromMessageToMessage) {
  with_model();
  for (float round = 1; round <= 3; ++round) {
    ASSERT_FALSE(send("train", shared(0), {}).has_error());
    EXPECT_EQ(own(), (ArrayRecord{{"head", Array::of<float>({7 + round, 8 + round})}}));
  }
  ASSERT_FALSE(send("evaluate", shared(0), {}).has_error());
  EXPECT_EQ(got["head"], Array::of<float>({10, 11}));
  EXPECT_EQ(own(), (ArrayRecord{{"head", Array::of<float>({10, 11})}}));
  EXPECT_EQ(made, 2) << "the model's form once a run, the private tensors once a client";
}

TEST_F(ModelTest, APrivateTensorIsNeitherTakenNorGiven) {
  with_model();
  EXPECT_THAT(refused(whole()), HasSubstr("sends \"head\", which is private here"));
  EXPECT_THAT(refused(whole(), {}, "evaluate"), HasSubstr("sends \"head\""));
  const ConfigRecord asks{{kPayloadArraysKey, std::vector<std::string>{"conv", "head"}}};
  EXPECT_THAT(refused(shared(1), asks), HasSubstr("asks for \"head\", which is private here"));
  EXPECT_THAT(refused({}, {}, "query.leak"), HasSubstr("reply has \"head\", which is private"));
}

TEST_F(ModelTest, OtherModsSeeOnlyWhatTravels) {
  with_model();
  app.mod([](const Message& message, Context& context, const ClientApp::Action& next) {
    EXPECT_FALSE(message.arrays().contains("head"));
    Message reply = next(message, context);
    EXPECT_EQ(reply.arrays().names(), "conv, seen");
    return reply;
  });
  EXPECT_FALSE(send("train", shared(1), {}).has_error());
}

TEST_F(ModelTest, AModThatAddsAPrivateTensorIsRefused) {
  with_model();
  app.mod([](const Message& message, Context& context, const ClientApp::Action& next) {
    (void)next(message, context);
    return message.reply(whole(), {{"num-examples", 1}});
  });
  const Message reply = send("train", shared(1), {});
  ASSERT_TRUE(reply.has_error());
  EXPECT_THAT(reply.error().reason, HasSubstr("\"head\", which is private"));
}

TEST_F(ModelTest, APrivateTensorUnderAnotherNameIsRefused) {
  with_model().query("moments", [](const Message& message, Context& context) {
    return message.reply(
        {{"m/head", std::get<ArrayRecord>(context.state().at(kPrivateStateKey))["head"]}}, {});
  });
  app.mod([](const Message& message, Context& context, const ClientApp::Action& next) {
    const Message reply = next(message, context);
    if (message.metadata().type != "train") return reply;
    RecordDict content = reply.content();
    content.set("optimizer", ArrayRecord{{"velocity", Array::of<float>({1})}});
    return message.reply(std::move(content));
  });
  EXPECT_THAT(send("train", shared(0), {}).error().reason,
              HasSubstr("\"velocity\", which is no tensor of the model"));
  state.set(kPrivateStateKey, ArrayRecord{{"head", Array::of<float>({7, 8})}});
  EXPECT_THAT(send("query.moments", {}, {}).error().reason,
              HasSubstr("the private tensor \"head\" under the name \"m/head\""));
}

TEST_F(ModelTest, FrozenTensorsThatDifferFromTheServersAreRefused) {
  with_model();
  const ArrayRecord other{{"base", Array::of<float>({6})}};
  EXPECT_THAT(refused(shared(1), {{kFrozenSha256Key, arrays_sha256(other)}}),
              HasSubstr("frozen tensors (base) have SHA-256"));
  const Message silent = send_as_is("train", shared(1), {});
  ASSERT_TRUE(silent.has_error()) << "a server that knows of no frozen tensors";
  // Sent along, they are the server's.
  ArrayRecord with_base = shared(1);
  with_base.set("base", Array::of<float>({6}));
  ASSERT_FALSE(send_as_is("train", with_base, {}).has_error());
  EXPECT_EQ(got["base"], Array::of<float>({6}));
}

TEST_F(ModelTest, AnActionThatChangesAFrozenTensorOrAnotherFormIsRefused) {
  with_model();
  app.train("thaw", [](const Message& message, Context&) {
    ArrayRecord arrays = message.arrays();
    arrays["base"].mutable_view<float>()[0] = 0;
    return message.reply(std::move(arrays), {{"num-examples", 1}});
  });
  app.train("other", [](const Message& message, Context&) {
    return message.reply({{"convolution", Array::of<float>({1})}}, {{"num-examples", 1}});
  });
  app.train("shape", [](const Message& message, Context&) {
    return message.reply({{"conv", Array::of<float>({1})}}, {{"num-examples", 1}});
  });
  app.train("less", [](const Message& message, Context&) {
    return message.reply({{"conv", Array::of<float>({1, 1})}}, {{"num-examples", 1}});
  });
  EXPECT_THAT(refused(shared(1), {}, "train.thaw"), HasSubstr("changed \"base\", which is frozen"));
  EXPECT_THAT(refused(shared(1), {}, "train.other"), HasSubstr("returned \"convolution\""));
  EXPECT_THAT(refused(shared(1), {}, "train.shape"),
              HasSubstr("\"conv\" as float32[1], the model has float32[2]"));
  EXPECT_THAT(refused(shared(1), {}, "train.less"), HasSubstr("returned no \"seen\""));
}

TEST_F(ModelTest, AMessageThatDoesNotFitTheModelIsRefusedByName) {
  with_model();
  EXPECT_THAT(refused({{"tail", Array::of<float>({1})}}), HasSubstr("sends \"tail\""));
  EXPECT_THAT(refused({{"conv", Array::of<float>({1})}}),
              HasSubstr("\"conv\" as float32[1], this client's model has float32[2]"));
  const ConfigRecord asks{{kPayloadArraysKey, std::vector<std::string>{"tail"}}};
  EXPECT_THAT(refused(shared(1), asks), HasSubstr("asks for \"tail\""));
  EXPECT_THAT(refused(shared(1), {{kPayloadKey, "everything"}}), HasSubstr("\"everything\""));
  EXPECT_THAT(refused(shared(1), {{kPayloadRateKey, -1.0}}), HasSubstr(kPayloadRateKey));
}

TEST_F(ModelTest, DeltasAndGradientsLeaveInPlaceOfWeights) {
  with_model();
  const Message delta = send("train", shared(3), {{kPayloadKey, "delta"}});
  ASSERT_FALSE(delta.has_error()) << delta.error().reason;
  EXPECT_EQ(delta.arrays()["conv"], Array::of<float>({1, 1}));
  EXPECT_EQ(delta.arrays()["seen"], Array::of<int64_t>({5})) << "integers travel as they are";
  const Message gradient =
      send("train", shared(3), {{kPayloadKey, "gradient"}, {kPayloadRateKey, 0.5}});
  EXPECT_EQ(gradient.arrays()["conv"], Array::of<float>({-2, -2}));
}

TEST_F(ModelTest, AnActionMayReturnGradientsItself) {
  app.model({.initial = [](const Context&) { return whole(); },
             .roles = kRoles,
             .returns_gradients = true});
  app.train("gradient", [](const Message& message, Context&) {
    return message.reply({{"conv", Array::of<float>({-2, 2})},
                          {"seen", Array::of<int64_t>({9})},
                          {"head", Array::of<float>({0, 0})}},
                         {{"num-examples", 1}});
  });
  const ConfigRecord asks{{kPayloadKey, "gradient"}, {kPayloadRateKey, 0.5}};
  const Message reply = send("train.gradient", shared(3), asks);
  ASSERT_FALSE(reply.has_error()) << reply.error().reason;
  EXPECT_EQ(reply.arrays()["conv"], Array::of<float>({-2, 2}));
  EXPECT_EQ(own()["head"], Array::of<float>({0, 0}));
  EXPECT_THAT(refused(shared(3), {}, "train.gradient"), HasSubstr("server asks for weights"));
}

TEST_F(ModelTest, OfASubsetTheOtherTensorsAreAsTheyCameLast) {
  with_model();
  const auto only = [](std::string name) {
    return ConfigRecord{{kPayloadArraysKey, std::vector<std::string>{std::move(name)}}};
  };
  Message reply = send("train", {{"conv", Array::of<float>({3, 3})}}, only("conv"));
  ASSERT_FALSE(reply.has_error()) << reply.error().reason;
  EXPECT_EQ(reply.arrays().names(), "conv");
  EXPECT_EQ(got["seen"], Array::of<int64_t>({0})) << "it never came: as in the initial model";
  reply = send("train", {{"seen", Array::of<int64_t>({6})}}, only("seen"));
  ASSERT_FALSE(reply.has_error()) << reply.error().reason;
  EXPECT_EQ(reply.arrays(), (ArrayRecord{{"seen", Array::of<int64_t>({7})}}));
  EXPECT_EQ(got["conv"], Array::of<float>({3, 3})) << "as it came in the message before";
}

TEST_F(ModelTest, RolesMayDependOnTheRunsSettings) {
  run.config = RunConfig({{"roles", "head=private"}}, {});
  app.model([](const Context& context) {
    return ModelOptions{
        .initial = [](const Context&) { return whole(); },
        .roles = or_throw(Roles::from_config(context.run_config().record()["roles"]))};
  });
  ArrayRecord rest = shared(1);
  rest.set("base", Array::of<float>({5}));
  EXPECT_EQ(send_as_is("train", rest, {}).arrays().names(), "conv, seen, base");
  run.config = RunConfig({{"roles", "haed=private"}}, {});
  EXPECT_THAT(refused(rest), HasSubstr("\"haed\" matches no tensor"));
}

TEST_F(ModelTest, WhatIsMissingIsSaidWhenTheAppIsMade) {
  EXPECT_THROW(app.model({.roles = kRoles}), Error);
  app.model({.roles = Roles{{"seen", Role::kCounter}}});  // needs nothing made
  EXPECT_THROW(app.model(ModelOptions{}), Error) << "a second one";
  const Message reply = send_as_is("train", shared(1), {});
  EXPECT_EQ(reply.arrays().names(), "conv, seen");
}

// Whatever the model and the roles: an action that changes nothing sends back what it was sent, and
// keeps what is its own.
RC_GTEST_PROP(ModelLaw, TakingApartAndPuttingTogetherIsIdentity, ()) {
  ArrayRecord model;
  for (int i = *rc::gen::inRange(1, 6); i != 0; --i) {
    model.append(fmt::format("layer {}/\"w\"", i), arbitrary_array([](DType) { return true; }));
  }
  std::vector<Roles::Rule> rules;
  for (const auto& [name, array] : model) {
    const Role role = *rc::gen::element(Role::kShared, Role::kPrivate, Role::kFrozen);
    rules.push_back({name, role});
  }
  const Roles roles(std::move(rules));
  ArrayRecord down;
  for (const auto& [name, array] : model) {
    if (comes_back(roles.of(name))) down.append(name, array);
  }
  RC_PRE(!down.empty());
  ClientApp app;
  app.model({.initial = [&](const Context&) { return model; }, .roles = roles});
  ArrayRecord got;
  app.train([&](const Message& message, Context&) {
    got = message.arrays();
    return message.reply(got, {{"num-examples", 1}});
  });
  FakeRuntime runtime;
  const umbel::Run run{.id = RunId(1), .nodes = 1, .runtime = &runtime};
  Context context(run, NodeId(0), 1);
  const std::string sha = arrays_sha256(arrays_of(model, roles, Role::kFrozen));
  for (int round = 0; round != 2; ++round) {
    const Metadata metadata{.id = MessageId(1), .destination = NodeId(0), .type = "train"};
    const Message reply =
        app.handle(Message(metadata, make_content(down, {{kFrozenSha256Key, sha}})), context);
    RC_ASSERT(!reply.has_error());
    RC_ASSERT(got == model);
    RC_ASSERT(reply.arrays() == down);
  }
}

}  // namespace
}  // namespace umbel

// What federations make of tensors' roles and payloads: whole rounds in one process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "tests/sim/roles_net.h"
#include "umbel/app/initial.h"
#include "umbel/app/run_rounds.h"
#include "umbel/app/silent_runtime.h"
#include "umbel/record/half.h"
#include "umbel/record/npz.h"
#include "umbel/record/safetensors.h"
#include "umbel/simulation/simulation.h"
#include "umbel/strategy/fed_adam.h"
#include "umbel/strategy/fed_avg.h"
#include "umbel/strategy/fed_avg_m.h"

namespace umbel {
namespace {

using ::testing::HasSubstr;

class RolesSim : public ::testing::Test {
 protected:
  RoundsResult go(const ArrayRecord& initial, const RoundsOptions& options,
                  const Strategy& strategy = fed_avg(), size_t threads = 2) {
    run.runtime = &silent;
    silent = SilentRuntime();
    Simulation simulation(app, run, {.threads = threads});
    return run_rounds(simulation, Context(run), strategy, initial, options);
  }

  SilentRuntime silent;
  umbel::Run run{.id = RunId(1), .seed = 11, .nodes = 20};
  ClientApp app;
};

// Clients whose sites name, or measure, the same things differently.
class Personal : public RolesSim {
 protected:
  double federate(const Roles& roles, bool permuted, bool shifted) {
    app = ClientApp();
    app.model({.initial = [](const Context& context) { return Net::initial(context.run_seed()); },
               .roles = roles});
    app.train([=](const Message& message, Context& context) {
      Net net(message.arrays());
      const Examples mine(context.partition_id(), 0, permuted, shifted);
      Rng rng = context.rng();
      for (int epoch = 0; epoch != 2; ++epoch) net.train(mine, rng);
      return message.reply(net.arrays(), {{"num-examples", mine.size()}});
    });
    app.evaluate([=](const Message& message, Context& context) {
      const Examples unseen(context.partition_id(), 1, permuted, shifted);
      return message.reply(
          {{"num-examples", unseen.size()}, {"accuracy", Net(message.arrays()).accuracy(unseen)}});
    });
    const RoundsResult result =
        go(Net::initial(run.seed), {.rounds = 12, .roles = roles},
           fed_avg({.clients_train = 10, .fraction_evaluate = 1, .evaluate_every = 12}));
    return result.metrics.real("federated-accuracy");
  }
};

TEST_F(Personal, PrivateHeadsBeatOneHeadForAllWhereLabelsArePermuted) {  // FedPer
  const double together = federate({}, /*permuted=*/true, /*shifted=*/false);
  const double own_heads = federate({{"head.*", Role::kPrivate}}, true, false);
  RecordProperty("together", std::to_string(together));
  RecordProperty("own_heads", std::to_string(own_heads));
  EXPECT_LT(together, 0.5);
  EXPECT_GT(own_heads, together + 0.2);
}

TEST_F(Personal, PrivateNormalisationBeatsTheMeanOfAllWhereFeaturesAreShifted) {  // FedBN
  const double together = federate({}, false, /*shifted=*/true);
  const double own_norms = federate({{"norm.*", Role::kPrivate}}, false, true);
  RecordProperty("together", std::to_string(together));
  RecordProperty("own_norms", std::to_string(own_norms));
  EXPECT_GT(own_norms, together + 0.1);
  EXPECT_GT(own_norms, 0.8);
}

TEST_F(Personal, PrivateTensorsDoNotDependOnThreads) {
  const Roles roles{{"head.*", Role::kPrivate}};
  (void)federate(roles, true, false);
  const auto once = [&](size_t threads) {
    return go(Net::initial(run.seed), {.rounds = 3, .roles = roles}, fed_avg(), threads).arrays;
  };
  EXPECT_EQ(once(1), once(8));
}

// One step of gradient descent on client k's (x - k)^2 / 2: the gradient is x - k.
template <class T>
class OneStep : public RolesSim {
 protected:
  OneStep() { run.nodes = 5; }
  ClientApp steps() const {
    ClientApp made;
    made.train([](const Message& message, Context& context) {
      return reply(message, context, [](double x, double g) { return x - 0.125 * g; });
    });
    return made;
  }
  ClientApp gradients() const {
    ClientApp made;
    made.model(ModelOptions{.returns_gradients = true});
    made.train([](const Message& message, Context& context) {
      return reply(message, context, [](double, double g) { return g; });
    });
    return made;
  }
  static Message reply(const Message& message, Context& context,
                       const std::function<double(double x, double g)>& made) {
    ArrayRecord arrays = message.arrays();
    for (T& x : arrays["x"].mutable_view<T>()) {
      x = number(made(value(x), value(x) - static_cast<double>(context.partition_id())));
    }
    return message.reply(std::move(arrays), {{"num-examples", 1 + context.partition_id()}});
  }
  static double value(T x) {
    if constexpr (std::is_enum_v<T>) {
      return to_float(x);
    } else {
      return static_cast<double>(x);
    }
  }
  static T number(double x) {
    if constexpr (std::is_same_v<T, Float16>) {
      return to_float16(x);
    } else if constexpr (std::is_same_v<T, Bfloat16>) {
      return to_bfloat16(x);
    } else {
      return static_cast<T>(x);
    }
  }
  double after(const RoundsOptions& options, const Strategy& strategy) {
    const ArrayRecord initial{{"x", Array::of<T>({number(3.5)})}};
    return value(go(initial, options, strategy).arrays["x"].template view<T>()[0]);
  }
};
using Numbers = ::testing::Types<float, double, Float16, Bfloat16>;
TYPED_TEST_SUITE(OneStep, Numbers);

TYPED_TEST(OneStep, WeightsDeltasAndGradientsGiveOneModel) {
  // Of the 16-bit floats two units in the last place of numbers from 2 to 4.
  const double within = std::is_same_v<TypeParam, Float16>    ? 0x1p-8
                        : std::is_same_v<TypeParam, Bfloat16> ? 0x1p-5
                                                              : 1e-6;
  for (const Strategy& strategy : {fed_avg(), fed_avg_m({.beta = 0.5}), fed_adam()}) {
    this->app = this->steps();
    const double weights = this->after({.rounds = 1}, strategy);
    // The weighted mean of the gradients is 3.5 - (0 + 2 + 6 + 12 + 20) / 15.
    if (strategy.name == fed_avg().name) {
      EXPECT_NEAR(weights, 3.5 - 0.125 * (3.5 - 40.0 / 15), within);
    }
    this->app.model(ModelOptions{});
    const Payload delta{.mode = PayloadMode::kDelta};
    const Payload gradient{.mode = PayloadMode::kGradient, .rate = 0.125};
    EXPECT_NEAR(this->after({.rounds = 1, .payload = delta}, strategy), weights, within);
    EXPECT_NEAR(this->after({.rounds = 1, .payload = gradient}, strategy), weights, within);
    this->app = this->gradients();
    EXPECT_NEAR(this->after({.rounds = 1, .payload = gradient}, strategy), weights, within)
        << strategy.name;
  }
}

// Clients that remember nothing and add 1: the first aggregate is the initial model and 1.
class FirstWeights : public RolesSim {
 protected:
  FirstWeights() {
    app.train([](const Message& message, Context&) {
      ArrayRecord arrays = message.arrays();
      for (float& x : arrays["w"].mutable_view<float>()) x += 1;
      return message.reply(std::move(arrays), {{"num-examples", 1}});
    });
    app.query("init", [](const Message& message, Context& context) {
      return message.reply(of(static_cast<float>(100 * context.partition_id())), {});
    });
    folder =
        std::filesystem::temp_directory_path() / ("umbel-roles-test-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
  }
  ~FirstWeights() override { std::filesystem::remove_all(folder); }

  static ArrayRecord of(float x) { return {{"w", Array::of<float>({x, x + 1})}}; }
  // Weights that a function draws.
  static ArrayRecord drawn(uint64_t seed) { return of(static_cast<float>(Rng(seed).below(1'000))); }
  void expect_first(const ArrayRecord& initial) {
    ArrayRecord expected = initial;
    for (float& x : expected["w"].mutable_view<float>()) x += 1;
    EXPECT_EQ(go(initial, {.rounds = 1}).arrays, expected);
  }
  static std::string why(const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was thrown";
  }

  std::filesystem::path folder;
};

TEST_F(FirstWeights, OfASeed) {
  expect_first(drawn(1));
  expect_first(drawn(2));
  EXPECT_NE(drawn(1), drawn(2));
}

TEST_F(FirstWeights, OfAFile) {
  ArrayRecord saved = of(42);
  saved.set("other", Array::of<float>({0}));
  or_throw(write_safetensors(folder / "w.safetensors", saved));
  or_throw(write_npz(folder / "w.npz", saved));
  for (const char* name : {"w.safetensors", "w.npz"}) {
    EXPECT_EQ(load_arrays(folder / name), saved);
    const ArrayRecord initial = load_arrays(folder / name, of(0));
    EXPECT_EQ(initial, of(42));
    expect_first(initial);
  }
}

TEST_F(FirstWeights, AFileThatIsNotTheModelIsRefusedByName) {
  or_throw(write_safetensors(folder / "w.safetensors", of(42)));
  const auto load = [&](const char* name, const ArrayRecord& like) {
    return why([&] { (void)load_arrays(folder / name, like); });
  };
  EXPECT_THAT(load("w.safetensors", {{"v", Array::of<float>({1})}}),
              AllOf(HasSubstr("w.safetensors"), HasSubstr("no tensor \"v\"")));
  EXPECT_THAT(load("w.safetensors", {{"w", Array::of<float>({1})}}),
              HasSubstr("tensor \"w\" is float32[2], the model has float32[1]"));
  EXPECT_THAT(load("none.npz", of(0)), HasSubstr("none.npz"));
  EXPECT_THAT(load("w.txt", of(0)), HasSubstr("ends in .safetensors or .npz"));
}

TEST_F(FirstWeights, OfOneChosenNode) {
  for (const uint64_t node : {3, 7}) {
    run.runtime = &silent;
    silent = SilentRuntime();
    Simulation simulation(app, run, {.threads = 1});
    const ArrayRecord initial = arrays_from_node(simulation, NodeId(node), "init");
    EXPECT_EQ(initial, of(static_cast<float>(100 * node)));
    expect_first(initial);
  }
}

TEST_F(FirstWeights, ANodeThatHasNoneIsNamed) {
  app.query("broken", [](const Message&, Context&) -> Message { throw std::runtime_error("no"); });
  app.query("empty", [](const Message& message, Context&) {
    return message.reply(MetricRecord{{"x", 1}});
  });
  run.runtime = &silent;
  Simulation simulation(app, run, {.threads = 1});
  const auto ask = [&](uint64_t node, const char* action) {
    return why([&] { (void)arrays_from_node(simulation, NodeId(node), action); });
  };
  EXPECT_THAT(ask(3, "broken"), HasSubstr("client 3 (query.broken): client 3: no"));
  EXPECT_THAT(ask(3, "empty"), HasSubstr("the reply has no arrays"));
  EXPECT_THAT(ask(3, "unknown"), HasSubstr("no action for \"query.unknown\""));
  EXPECT_THAT(ask(20, "init"), HasSubstr("no client 20"));
}

// What a content counts, by arithmetic: names, elements, 8 bytes an extent and number.
uint64_t bytes_of(const Layout& layout) {
  uint64_t bytes = std::string("arrays").size();
  for (const ArraySpec& spec : layout) {
    bytes += spec.name.size() + 8 * spec.shape.size() + spec.byte_size();
  }
  return bytes;
}

TEST_F(RolesSim, BytesAreThoseOfTheTensorsThatTravel) {
  const ArrayRecord model = Net::initial(1);
  const Roles roles{{"head.*", Role::kPrivate}};
  app.model({.initial = [](const Context&) { return Net::initial(1); }, .roles = roles});
  app.train([](const Message& message, Context&) {
    return message.reply(message.arrays(), {{"num-examples", 1}});
  });
  const Layout norms{{"norm.mean", DType::kFloat32, {6}}, {"norm.variance", DType::kFloat32, {6}}};
  const Layout body{{"body.weight", DType::kFloat32, {6, 12}}};
  Layout both = norms;
  both.push_back(body.front());
  const uint64_t round = std::string("config").size() + std::string("round").size() + 8;
  const uint64_t metrics = std::string("metrics").size() + std::string("num-examples").size() + 8;
  const auto names = [](const Layout& layout) {
    uint64_t bytes = std::string("payload-arrays").size();
    for (const ArraySpec& spec : layout) bytes += spec.name.size();
    return bytes;
  };
  const auto history = [&](const Payload& payload) {
    return go(model, {.rounds = 2, .roles = roles, .payload = payload}).history;
  };
  const uint64_t n = run.nodes;

  for (const RoundReport& report : history({})) {
    EXPECT_EQ(report.bytes_down, n * (bytes_of(both) + round));
    EXPECT_EQ(report.bytes_up, n * (bytes_of(both) + metrics));
  }
  const std::vector<RoundReport> turns = history({.layers = {{"norm.*"}, {"body.*"}}});
  EXPECT_EQ(turns[0].bytes_down, n * (bytes_of(norms) + round + names(norms)));
  EXPECT_EQ(turns[0].bytes_up, n * (bytes_of(norms) + metrics));
  EXPECT_EQ(turns[1].bytes_down, n * (bytes_of(body) + round + names(body)));
  EXPECT_EQ(turns[1].bytes_up, n * (bytes_of(body) + metrics));
  const std::vector<RoundReport> up = history({.layers = {{"norm.*"}}, .whole_down = true});
  EXPECT_EQ(up[1].bytes_down, n * (bytes_of(both) + round + names(norms)));
  EXPECT_EQ(up[1].bytes_up, n * (bytes_of(norms) + metrics));
}

TEST_F(RolesSim, LowRankFactorsTravelAndTheirBaseDoesNot) {
  const auto initial = [](const Context&) {
    return ArrayRecord{{"w", Array::zeros(DType::kFloat32, {100, 100})},
                       {"w.a", Array::zeros(DType::kFloat32, {100, 2})},
                       {"w.b", Array::zeros(DType::kFloat32, {2, 100})}};
  };
  const Roles roles{{"w", Role::kFrozen}, {"w.*", Role::kLowRank}};
  app.model({.initial = initial, .roles = roles});
  app.train([](const Message& message, Context& context) {
    ArrayRecord arrays = message.arrays();
    EXPECT_EQ(arrays["w"].size(), 10'000);
    for (float& x : arrays["w.a"].mutable_view<float>()) {
      x += static_cast<float>(context.partition_id());
    }
    return message.reply(std::move(arrays), {{"num-examples", 1}});
  });
  run.runtime = &silent;
  const RoundsResult result = go(initial(Context(run)), {.rounds = 1, .roles = roles});
  EXPECT_EQ(result.arrays.names(), "w, w.a, w.b");
  EXPECT_EQ(result.arrays["w.a"].view<float>()[0], 9.5F) << "the mean of 0 to 19";
  const Layout factors{{"w.a", DType::kFloat32, {100, 2}}, {"w.b", DType::kFloat32, {2, 100}}};
  EXPECT_EQ(result.history[0].bytes_up,
            20 * (bytes_of(factors) + std::string("metricsnum-examples").size() + 8));
}

TEST_F(RolesSim, NarrowClientsTrainAndMoveWhatTheyHave) {  // HeteroFL
  const ArrayRecord model{{"w", Array::zeros(DType::kFloat32, {4, 4})},
                          {"b", Array::zeros(DType::kFloat32, {1})}};
  const Roles roles{{"w", Role::kSlice}};
  app.model({.initial = [=](const Context&) { return model; }, .roles = roles});
  app.train([](const Message& message, Context& context) {
    ArrayRecord arrays = message.arrays();
    const int64_t extent = context.partition_id() % 2 == 0 ? 4 : 2;
    EXPECT_EQ(arrays["w"].shape(), (Shape{extent, extent}));
    EXPECT_EQ(message.config().real("slice-width"), static_cast<double>(extent) / 4);
    const float by = extent == 4 ? 1 : 3;
    for (float& x : arrays["w"].mutable_view<float>()) x += by;
    arrays["b"].mutable_view<float>()[0] += by;
    return message.reply(std::move(arrays), {{"num-examples", 1}, {"by", by}});
  });
  const auto width = [](uint64_t client) { return client % 2 == 0 ? 1.0 : 0.5; };
  for (const PayloadMode mode :
       {PayloadMode::kWeights, PayloadMode::kDelta, PayloadMode::kGradient}) {
    const RoundsOptions options{
        .rounds = 2, .roles = roles, .payload = {.mode = mode}, .width = width};
    const RoundsResult result = go(model, options);
    const auto w = result.arrays["w"].view<float>();
    for (size_t i = 0; i != 16; ++i) {
      const bool everybodys = i / 4 < 2 && i % 4 < 2;
      EXPECT_EQ(w[i], everybodys ? 4 : 2) << name_of(mode) << ", element " << i;
    }
    EXPECT_EQ(result.arrays["b"].view<float>()[0], 4);
    EXPECT_EQ(result.metrics.real("train-by"), 2);
    EXPECT_EQ(result.metrics.integer("train-num-examples"), 20);
    EXPECT_EQ(result.history[0].clients, 20u);
  }
  EXPECT_THROW(go(model, {.rounds = 1, .roles = roles}), Error) << "nobody says how wide";
  const auto none = [](uint64_t) { return 0.0; };
  EXPECT_THROW(go(model, {.rounds = 1, .roles = roles, .width = none}), Error);
}

TEST_F(RolesSim, AClientThatHoldsSomethingPrivateRefusesAServerThatSendsIt) {
  app.model({.initial = [](const Context&) { return Net::initial(1); },
             .roles = Roles{{"head.*", Role::kPrivate}}});
  app.train([](const Message& message, Context&) {
    return message.reply(message.arrays(), {{"num-examples", 1}});
  });
  try {
    go(Net::initial(1), {.rounds = 5});  // the server was given no roles
    FAIL() << "the run must fail";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("the server sends \"head.weight\", which is private"));
  }
}

TEST_F(RolesSim, ARoleOnATensorThatDoesNotExistFailsBeforeAnythingIsSent) {
  bool sent = false;
  app.train([&](const Message& message, Context&) {
    sent = true;
    return message.reply(message.arrays(), {{"num-examples", 1}});
  });
  EXPECT_THROW(go(Net::initial(1), {.rounds = 1, .roles = Roles{{"haed", Role::kPrivate}}}), Error);
  EXPECT_FALSE(sent);
}

}  // namespace
}  // namespace umbel

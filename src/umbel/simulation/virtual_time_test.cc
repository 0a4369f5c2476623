#include <unistd.h>

#include <filesystem>

#include "umbel/app/fake_runtime_test.h"
#include "umbel/app/report_json.h"
#include "umbel/simulation/simulation_fixture_test.h"

namespace umbel {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

// A federation of `nodes` clients with a population, and what run_rounds() made of it.
struct Federation {
  explicit Federation(uint64_t nodes) {
    run.nodes = nodes;
    run.runtime = &runtime;
    app.train([](const Message& m, Context& c) {
      return trained(m, static_cast<float>(c.partition_id() % 7), 10);
    });
  }
  RoundsResult rounds(PopulationOptions options, size_t threads, const Strategy& strategy,
                      RoundsOptions rounds) {
    Simulation grid(app, run,
                    {.threads = threads,
                     .population = or_throw(Population::make(options, run.nodes, run.seed))});
    Context context(run);
    const RoundsResult result = run_rounds(grid, context, strategy, model(2), rounds);
    now = grid.world()->now();
    return result;
  }
  Federation(const Federation&) = delete;

  FakeRuntime runtime;
  umbel::Run run{.id = RunId(1), .seed = 42};
  ClientApp app;
  VirtualTime now{};
};

std::vector<std::string> lines(std::vector<RoundReport> history) {
  std::vector<std::string> lines;
  for (RoundReport& report : history) {
    report.seconds = 0;
    lines.push_back(report_line(report));
  }
  return lines;
}

TEST(VirtualTime, ARoundTakesAsLongAsItsSlowestClient) {
  Federation federation(4);
  federation.app.evaluate([](const Message& m, Context&) {
    return m.reply({{"num-examples", 5}, {"epochs", 3}, {"loss", 1.0}});
  });
  Strategy strategy = fed_avg({.fraction_evaluate = 1});
  const auto result =
      federation.rounds({.down_mbits = 0.008, .latency_seconds = 0.5, .seconds_per_example = 2}, 2,
                        strategy, {.rounds = 3});
  const double kilobytes = static_cast<double>(result.history[0].bytes_down) / 8 / 1000;
  // A millisecond a byte, twice; half a second twice; ten examples, then five three times.
  const double round = 2 * kilobytes + 1 + 2 * 10 + 2 * 15;
  ASSERT_EQ(result.history.size(), 3u);
  for (const RoundReport& report : result.history) {
    ASSERT_TRUE(report.virtual_time);
    EXPECT_NEAR(report.virtual_time->seconds, round, 1e-5);
    EXPECT_EQ(report.virtual_time->asked, 4u);
    EXPECT_EQ(report.virtual_time->wanted, 4u);
    EXPECT_EQ(report.virtual_time->available, 4u);
  }
  EXPECT_NEAR(seconds_of(federation.now), 3 * round, 1e-5);
}

TEST(VirtualTime, WithoutAPopulationNothingIsSaidOfIt) {
  Federation federation(4);
  Simulation grid(federation.app, federation.run, {.threads = 1});
  Context context(federation.run);
  const auto result = run_rounds(grid, context, fed_avg(), model(2), {.rounds = 1});
  EXPECT_FALSE(result.history[0].virtual_time);
  EXPECT_EQ(grid.world(), nullptr);
  EXPECT_THROW((void)grid.attribute(NodeId(0), "gender"), Error);
}

TEST(VirtualTime, ADefaultPopulationChangesNoBit) {
  Federation with(50), without(50);
  const Strategy strategy = fed_avg({.clients_train = 20});
  const auto a = with.rounds({}, 2, strategy, {.rounds = 3});
  Simulation grid(without.app, without.run, {.threads = 1});
  Context context(without.run);
  const auto b = run_rounds(grid, context, strategy, model(2), {.rounds = 3});
  EXPECT_EQ(safetensors_sha256(a.arrays), safetensors_sha256(b.arrays));
}

TEST(VirtualTime, ThreadsChangeNothing) {
  const PopulationOptions options{.availability = Availability::kDaily,
                                  .available_share = 0.8,
                                  .time_zones = {-8, 0, 1, 9},
                                  .speed_spread = 1,
                                  .latency_seconds = 0.2,
                                  .latency_spread = 1,
                                  .seconds_per_example = 0.1,
                                  .dropout = 0.1};
  const Strategy strategy = fed_avg({.clients_train = 60, .deadline = milliseconds(2500)});
  std::vector<std::string> expected;
  std::string model;
  for (const size_t threads : {1, 2, 7}) {
    Federation federation(1000);
    const auto result = federation.rounds(options, threads, strategy, {.rounds = 8});
    if (expected.empty()) {
      expected = lines(result.history);
      model = safetensors_sha256(result.arrays);
      std::map<std::string, uint64_t> reasons;
      for (const auto& report : result.history) {
        for (const auto& [kind, count] : report.failure_reasons) reasons[kind] += count;
      }
      EXPECT_GT(reasons["deadline"], 10u);
      EXPECT_GT(reasons["client-left"], 10u);
    }
    EXPECT_EQ(lines(result.history), expected) << threads << " threads";
    EXPECT_EQ(safetensors_sha256(result.arrays), model);
  }
}

// 10 examples at 0.1 s, speeds log-normal with spread 1: late by a deadline of 2.5 s is who is
// slower than 0.4, the share Phi(ln 0.4).
TEST(VirtualTime, TheShareOfLateRepliesIsThatOfSlowClients) {
  Federation federation(20'000);
  const auto result = federation.rounds({.speed_spread = 1, .seconds_per_example = 0.1}, 2,
                                        fed_avg({.deadline = milliseconds(2500)}), {.rounds = 1});
  const double share = 0.5 * std::erfc(-std::log(0.4) / std::sqrt(2.0));
  const double late = static_cast<double>(result.history[0].failure_reasons.at("deadline"));
  EXPECT_NEAR(late / 20'000, share, 4 * std::sqrt(share * (1 - share) / 20'000));
  EXPECT_EQ(result.history[0].virtual_time->seconds, 2.5);
}

TEST(VirtualTime, WhoLeavesKeepsNothingOfThatRound) {
  Federation federation(2000);
  ClientApp app;
  app.train([](const Message& m, Context& c) {
    const MetricRecord* kept =
        c.state().contains("n") ? first_of<MetricRecord>(c.state()) : nullptr;
    const int64_t before = kept ? kept->integer("n") : 0;
    c.state().set("n", MetricRecord{{"n", before + 1}});
    return m.reply({{"w", Array::of<float>({0, 0})}},
                   {{"num-examples", 1}, {"before", static_cast<double>(before)}});
  });
  federation.app = app;
  const auto result =
      federation.rounds({.seconds_per_example = 1, .dropout = 0.25}, 2, fed_avg(), {.rounds = 3});
  // Before the third round each round counted with probability 3/4, whoever tells of it.
  EXPECT_NEAR(result.history[2].train.real("before"), 1.5, 4 * std::sqrt(2 * 0.1875 / 1500));
}

TEST(VirtualTime, ClientsSeeTheirAttributesAndSoDoesTheServer) {
  Federation federation(40);
  federation.run.nodes = 40;
  ClientApp app;
  app.train([](const Message& m, Context& c) {
    EXPECT_EQ(c.node_config().integer("partition-id"), static_cast<int64_t>(c.partition_id()));
    EXPECT_EQ(c.num_partitions(), 40u);
    return trained(m, c.node_config().text("gender") == "women" ? 1 : 0);
  });
  const Population population = or_throw(Population::make(
      {.attributes = {{"gender", {"men", "women"}, {0.5, 0.5}}}}, 40, federation.run.seed));
  Simulation grid(app, federation.run, {.threads = 2, .population = population});
  double women = 0;
  for (uint64_t i = 0; i != 40; ++i) women += grid.attribute(NodeId(i), "gender") == "women";
  Context context(federation.run);
  const auto result = run_rounds(grid, context, fed_avg(), model(2), {.rounds = 1});
  EXPECT_EQ(result.arrays["w"].view<float>()[0], static_cast<float>(women / 40));
  EXPECT_THROW((void)grid.attribute(NodeId(40), "gender"), Error);
  EXPECT_THROW((void)grid.attribute(NodeId(0), "age"), Error);
}

class TraceTest : public ::testing::Test {
 protected:
  PopulationOptions traced(const std::string& text) {
    std::ofstream(file_) << text;
    return {.availability = Availability::kTrace, .trace = file_, .trace_end = TraceEnd::kStop};
  }
  ~TraceTest() override { std::filesystem::remove(file_); }
  std::filesystem::path file_ =
      std::filesystem::temp_directory_path() / fmt::format("virtual_time_{}.csv", getpid());
};

// A deployment's schedule as it was measured: client i came at 7 i seconds and stayed for 600, and
// a round took a minute of work.  How many were asked and how many replied is arithmetic.
TEST_F(TraceTest, AMeasuredTraceReproducesTheParticipationCurve) {
  constexpr int kClients = 200, kStay = 600, kApart = 7, kRound = 60, kRounds = 25;
  std::string text = "client,start,end\n";
  for (int i = 0; i != kClients; ++i) {
    text += fmt::format("{},{},{}\n", i, kApart * i, kApart * i + kStay);
  }
  PopulationOptions options = traced(text);
  options.seconds_per_example = kRound / 10.0;
  Federation federation(kClients);
  const auto result = federation.rounds(options, 2, fed_avg(), {.rounds = kRounds});
  ASSERT_EQ(result.history.size(), static_cast<size_t>(kRounds));
  for (int r = 0; r != kRounds; ++r) {
    const int t = kRound * r;
    int there = 0, stayed = 0;
    for (int i = 0; i != kClients; ++i) {
      const bool here = kApart * i <= t && t < kApart * i + kStay;
      there += here;
      stayed += here && t + kRound <= kApart * i + kStay;
    }
    const RoundReport& report = result.history[static_cast<size_t>(r)];
    EXPECT_EQ(report.virtual_time->asked, static_cast<uint64_t>(there)) << "round " << r + 1;
    EXPECT_EQ(report.virtual_time->available, static_cast<uint64_t>(there));
    EXPECT_EQ(report.virtual_time->wanted, 200u);
    EXPECT_EQ(report.clients, static_cast<uint64_t>(stayed));
    EXPECT_EQ(report.virtual_time->seconds, kRound);
  }
}

TEST_F(TraceTest, ARunEndsWithATraceThatStopsAndSaysSo) {
  PopulationOptions options = traced("client,start,end\n0,0,100\n1,0,95\n");
  options.seconds_per_example = 3;
  Federation federation(2);
  const auto result = federation.rounds(options, 1, fed_avg(), {.rounds = 9});
  EXPECT_EQ(result.rounds, 4u);  // at 0, 30, 60 and 90 s, when both leave
  EXPECT_THAT(result.stopped_because, HasSubstr("ends after 100 s"));
  EXPECT_THAT(federation.runtime.early, HasSubstr("ends after 100 s"));
  EXPECT_EQ(result.history[3].failures, 2u);
}

TEST_F(TraceTest, NobodyIsThereForAWhileAndTimePasses) {
  PopulationOptions options = traced("client,start,end\n0,0,50\n1,7200,9000\n");
  options.seconds_per_example = 4;
  Federation federation(2);
  const auto result = federation.rounds(options, 1, fed_avg(), {.rounds = 3});
  EXPECT_EQ(result.history[0].clients, 1u);
  EXPECT_EQ(result.history[1].failures, 1u);  // left after 10 s
  EXPECT_EQ(result.history[2].clients, 1u);
  EXPECT_EQ(result.history[0].virtual_time->seconds, 40);
  EXPECT_EQ(result.history[1].virtual_time->seconds, 10);
  EXPECT_EQ(result.history[2].virtual_time->seconds, 7200 - 50 + 40);
  EXPECT_EQ(federation.now, seconds(7240));
}

// Windows of 100 s, each 200 s, and work of 100 s: it is done whenever it begins with the window.
TEST_F(TraceTest, WorkThatJustFitsAWindowIsDoneInEachOne) {
  std::string text = "client,start,end\n";
  for (int i = 0; i != 20; ++i) {
    for (int client : {0, 1, 2}) text += fmt::format("{},{},{}\n", client, 200 * i, 200 * i + 100);
  }
  PopulationOptions options = traced(text);
  options.seconds_per_example = 10;
  Federation federation(3);
  const auto result = federation.rounds(options, 2, fed_avg(), {.rounds = 20});
  ASSERT_EQ(result.history.size(), 20u);
  for (const RoundReport& report : result.history) {
    EXPECT_EQ(report.clients, 3u);
    EXPECT_EQ(report.failures, 0u);
    EXPECT_EQ(report.virtual_time->seconds, report.round == 1 ? 100 : 200);
  }
}

TEST(VirtualTime, ARunEndsWithVirtualTimeAndSaysSo) {
  Federation federation(3);
  ClientApp app;
  app.train([](const Message& m, Context&) {
    return m.reply({{"w", Array::of<float>({0, 0})}}, {{"num-examples", 4000}});
  });
  federation.app = app;
  // 4 * 10^9 s a round: the third reaches 10^10 s.
  const auto result = federation.rounds({.seconds_per_example = 1e6}, 1, fed_avg(), {.rounds = 9});
  EXPECT_EQ(result.rounds, 3u);
  EXPECT_THAT(result.stopped_because, HasSubstr("virtual time ends after 10000000000 s"));
  EXPECT_THAT(federation.runtime.early, HasSubstr("virtual time ends"));
  EXPECT_EQ(federation.now, kVirtualTimeMax);
}

TEST(VirtualTime, ASamplerThatFindsNobodyLetsTimePass) {
  Federation federation(100);
  Strategy strategy = fed_avg();
  strategy.train = Sampler::quota("kind", {{"b", 5}});
  const auto result =
      federation.rounds({.attributes = {{"kind", {"a", "b"}, {1, 0}}}}, 1, strategy, {.rounds = 4});
  EXPECT_EQ(result.rounds, 4u);
  EXPECT_EQ(federation.now, std::chrono::minutes(4));
  EXPECT_EQ(result.history[0].virtual_time->wanted, 5u);
  EXPECT_EQ(result.history[0].note, "skipped: the sampler picked nobody");
}

TEST(VirtualTime, AnUnknownAttributeIsSaidBeforeAnythingIsSent) {
  Federation federation(100);
  Strategy strategy = fed_avg();
  strategy.train = Sampler::stratified("gender", 5);
  try {
    (void)federation.rounds({}, 1, strategy, {.rounds = 1});
    FAIL() << "it ran";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("attribute \"gender\": the population has no such"));
  }
}

}  // namespace
}  // namespace umbel

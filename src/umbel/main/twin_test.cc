#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "umbel/app/run_rounds.h"
#include "umbel/main/local_run.h"
#include "umbel/strategy/fed_avg_m.h"

namespace umbel {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;

constexpr double kRate = 0.25, kBest = 3;

// Runs a twin whose client takes a step towards kBest and has 7 examples.
class Twin : public ::testing::Test {
 protected:
  Twin() {
    std::string pattern = (std::filesystem::temp_directory_path() / "umbel-twin-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    file_ = std::fopen((folder_ / "events").c_str(), "w+");
    spec_.run.nodes = 1;
    spec_.output = folder_.string();
    client_.train([this](const Message& message, Context&) {
      ArrayRecord arrays = message.arrays();
      double& x = arrays["x"].mutable_view<double>()[0];
      x -= kRate * (x - kBest);
      return message.reply(std::move(arrays), {{"num-examples", examples_}, {"loss", x}});
    });
  }
  ~Twin() override {
    std::fclose(file_);
    std::filesystem::remove_all(folder_);
  }

  // The exit code; what the rounds gave is in result_.
  int run(uint64_t examples, ServerApp app = {}) {
    spec_.run.twin_examples = examples;
    app.main([this](Grid& grid, Context& context) {
      // A server's momentum, a quorum and a target: all of them are the federation's alone.
      result_ = run_rounds(
          grid, context,
          fed_avg_m(
              {.clients_evaluate = evaluating_, .quorum = 1, .learning_rate = 0.5, .beta = 0.9}),
          {{"x", Array::of<double>({0})}},
          {.rounds = 2,
           .targets = {{.metric = "loss", .compare = Compare::kAtMost, .value = 100}},
           .evaluate = [](uint64_t, const ArrayRecord&) {
             return MetricRecord{{"loss", 1.0}};
           }});
    });
    Events events(::fileno(file_));
    LocalRun run(spec_, client_, events);
    const int code = run.run(app);
    EXPECT_TRUE(run.shut_down());
    return code;
  }
  std::vector<Json> events(const std::string& name) const {
    std::ifstream in(folder_ / "events");
    std::vector<Json> found;
    for (std::string line; std::getline(in, line);) {
      Json event = Json::parse(line);
      if (event["event"] == name) found.push_back(std::move(event));
    }
    return found;
  }

  std::filesystem::path folder_;
  FILE* file_;
  RunSpec spec_;
  ClientApp client_;
  int64_t examples_ = 7;
  std::optional<size_t> evaluating_;
  RoundsResult result_;
};

TEST_F(Twin, TrainsTheModelAsItsClientDoesAlone) {
  ASSERT_EQ(run(70), 0);
  EXPECT_EQ(result_.rounds, 10u);
  double alone = 0;
  for (int round = 0; round != 10; ++round) alone -= kRate * (alone - kBest);
  EXPECT_EQ(result_.arrays["x"].view<double>()[0], alone);
}

TEST_F(Twin, EndsOnceItHasTrainedOnSoManyExamples) {
  ASSERT_EQ(run(22), 0);
  EXPECT_EQ(result_.rounds, 4u);  // 21 are not 22
  EXPECT_EQ(events("rounds").size(), 1u);
  EXPECT_EQ(events("rounds")[0]["rounds"], 4);
  EXPECT_EQ(events("finished")[0]["reason"], "");
  EXPECT_EQ(events("round").size(), 4u);
  for (const Json& round : events("round")) {
    EXPECT_EQ(round["server"]["loss"], 1.0);
    EXPECT_EQ(round["failures"], 0) << "nobody was asked to evaluate";
    EXPECT_TRUE(round["evaluate"].empty());
  }
}

TEST_F(Twin, EvaluatesAtItsClientWhereTheFederationDoes) {
  client_.evaluate([](const Message& message, Context&) {
    return message.reply({{"num-examples", 5}, {"accuracy", 0.5}});
  });
  evaluating_ = 3;
  ASSERT_EQ(run(14), 0);
  ASSERT_EQ(events("round").size(), 2u);
  for (const Json& round : events("round")) {
    EXPECT_EQ(round["evaluate"]["accuracy"], 0.5);
    EXPECT_EQ(round["failures"], 0);
  }
}

TEST_F(Twin, TrainsAtLeastOneRound) {
  ASSERT_EQ(run(1), 0);
  EXPECT_EQ(result_.rounds, 1u);
}

TEST_F(Twin, AnAppMaySayThatItHasNone) {
  EXPECT_EQ(run(70, ServerApp().no_twin("a hospital's data never leave it")), 4);
  EXPECT_EQ(events("finished")[0]["error"],
            "the app has no centralised twin: a hospital's data never leave it");
  EXPECT_TRUE(events("round").empty());
}

TEST_F(Twin, IsAskedForByTheSpec) {
  const std::string text =
      R"({"version": 1, "run-id": 1, "seed": 1, "nodes": 1, "threads": 1, "output": "/x",
          "run-config": [], "twin-examples": 360000})";
  const auto spec = parse_run_spec(text, "spec.json");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->run.twin_examples, 360'000u);
  for (const auto& [from, to, why] :
       {std::tuple{"\"nodes\": 1", "\"nodes\": 2", "a twin has 1 node, not 2"},
        std::tuple{"360000", "0", "twin-examples"}, std::tuple{"360000", "1.5", "twin-examples"}}) {
    std::string wrong = text;
    wrong.replace(wrong.find(from), std::string(from).size(), to);
    EXPECT_THAT(message_of(parse_run_spec(wrong, "spec.json").status()), HasSubstr(why));
  }
}

}  // namespace
}  // namespace umbel

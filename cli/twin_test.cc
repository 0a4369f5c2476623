#include "twin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "report_energy.h"
#include "report_html.h"

namespace umbel::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

// A run with these accuracies in its rounds, each trained on so many examples.
RunSubject run_of(int64_t id, const std::vector<double>& accuracy, double examples,
                  const char* metric = "accuracy") {
  umbel::cli::Run run;
  run.id = id;
  run.bytes_down = 3000;
  run.bytes_up = 2000;
  std::vector<RoundEvent> rounds;
  for (const double value : accuracy) {
    RoundEvent& round = rounds.emplace_back();
    round.round = static_cast<int64_t>(rounds.size());
    round.server = {{metric, value}};
    round.train = {{"num-examples", examples}, {"loss", 0.5}};
  }
  std::vector<RecordEvent> records = {{"local-process", {{"cpu-seconds", 7.0 * id}}},
                                      {"data", {{"bytes", 1234.0}}}};
  return run_subject(run, rounds, {}, records, {});
}

Twin twin(const RunSubject& federated, const RunSubject& central) {
  const auto compared = compare_with_twin(federated, central);
  EXPECT_TRUE(compared.ok()) << compared.status();
  return *compared;
}

TEST(TwinTest, IsComparedByAccuracyAndByWhatItTookToGetThere) {
  const Twin both = twin(run_of(1, {0.5, 0.6, 0.7}, 100), run_of(2, {0.6, 0.7, 0.85, 0.8}, 120));
  EXPECT_EQ(both.run, 2);
  EXPECT_EQ(both.metric, "accuracy");
  EXPECT_DOUBLE_EQ(both.gap, 0.8 - 0.7);
  EXPECT_EQ(both.rounds, 4);
  EXPECT_EQ(both.federated_examples, 300);
  EXPECT_EQ(both.examples, 480);
  EXPECT_EQ(both.rounds_to_reach, 2);
  EXPECT_EQ(both.examples_to_reach, 240);
  EXPECT_EQ(both.federated_work.network_bytes, 5000);
  EXPECT_EQ(both.work.network_bytes, 1234) << "the data, once";
  EXPECT_EQ(both.federated_work.cpu_seconds, 7);
  EXPECT_EQ(both.work.cpu_seconds, 14);
}

TEST(TwinTest, ASmallerLossIsTheBetterOne) {
  const Twin both = twin(run_of(1, {2, 1}, 1, "loss"), run_of(2, {1.5, 0.9}, 1, "loss"));
  EXPECT_EQ(both.metric, "loss");
  EXPECT_DOUBLE_EQ(both.gap, 0.1);
  EXPECT_EQ(both.rounds_to_reach, 2);
}

TEST(TwinTest, MayNeverReachTheFederation) {
  const Twin both = twin(run_of(1, {0.9}, 1), run_of(2, {0.5, 0.6}, 1));
  EXPECT_EQ(both.rounds_to_reach, std::nullopt);
  EXPECT_THAT(text_of(both, {}), HasSubstr("0.300 worse than the federation's 0.900; it never"));
  EXPECT_EQ(json_of(both, {})["rounds-to-reach"], nullptr);
}

TEST(TwinTest, WithoutAnEvaluationThereIsNothingToCompare) {
  EXPECT_EQ(compare_with_twin(run_of(1, {0.9}, 1, "other"), run_of(2, {0.5}, 1)).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(examples_of(run_of(1, {}, 1)), 0);
}

TEST(TwinTest, IsNoneIfItsClientDoesNotHaveAllTheData) {
  const Status status = compare_with_twin(run_of(1, {0.9}, 100), run_of(2, {0.5}, 99)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(message_of(status), HasSubstr("with one client the app has 99 examples"));
}

TEST(TwinTest, WhatCannotBeComparedIsKnownBeforeTheTwinTrains) {
  EXPECT_TRUE(require_comparable(run_of(1, {0.9}, 1)).ok());
  EXPECT_THAT(message_of(require_comparable(run_of(1, {0.9}, 1, "perplexity"))),
              HasSubstr("neither \"accuracy\" nor \"loss\""));
  EXPECT_THAT(message_of(require_comparable(run_of(1, {0.9}, 0))), HasSubstr("num-examples"));
}

TEST(TwinTest, ComesBackFromItsRecord) {
  Twin both = twin(run_of(1, {0.5, 0.6, 0.7}, 100), run_of(2, {0.6, 0.7, 0.85, 0.8}, 120));
  both.work.measured_joules = 17;
  const auto back = twin_of({record_of(both)});
  ASSERT_TRUE(back);
  EXPECT_EQ(json_of(*back, {}), json_of(both, {}));
  EXPECT_EQ(back->work.measured_joules, 17);
  EXPECT_EQ(back->federated_work.measured_joules, std::nullopt);
  EXPECT_EQ(twin_of({{"data", {}}}), std::nullopt);
}

TEST(TwinTest, StandsInTheReportBesideTheFederation) {
  ReportData data;
  data.run.rounds = 3;
  data.run.clients = 30;
  data.records = {record_of(twin(run_of(1, {0.7}, 300), run_of(2, {0.8}, 300))),
                  {"local-process", {{"cpu-seconds", 3.0}}}};
  const std::string page = report_html(data);
  EXPECT_THAT(page, HasSubstr("The centralised twin"));
  EXPECT_THAT(page, HasSubstr("<td>accuracy at the end</td><td>0.700</td><td>0.800</td>"));
  EXPECT_THAT(page, HasSubstr("1.2 KiB, the data once"));
  EXPECT_THAT(page, Not(HasSubstr("<td>–</td>")));
}

TEST(TwinTest, AThousandRoundsWithAllThereIsToTellStayUnderOneMegabyte) {
  ReportData data;
  data.run.rounds = 1000;
  data.run.clients = 100'000;
  for (int64_t i = 1; i <= 1000; ++i) {
    RoundEvent& round = data.rounds.emplace_back();
    round.round = i;
    round.bytes_down = 123'456'789 + i;
    round.bytes_up = 98'765'432 + i;
    round.failure_samples.assign(3, {i, "client-failed", std::string(1000, 'x')});
    round.failure_reasons = {{"client-failed", 3}};
    round.note = "skipped: too few replies for the quorum";
    for (const char* name : {"accuracy", "loss", "a", "b", "c", "d", "e", "f", "g", "h"}) {
      for (MetricRecord* metrics : {&round.server, &round.evaluate, &round.train}) {
        metrics->set(name, 0.123456789 / static_cast<double>(i));
      }
    }
  }
  data.records = {record_of(twin(run_of(1, {0.7}, 300), run_of(2, {0.8}, 300))),
                  {"local-process", {{"cpu-seconds", 3.0}}},
                  {"data-skew", {{"label-share", std::vector<double>(1000, 0.001)}}}};
  for (int i = 0; i != 1000; ++i) {
    data.settings.push_back({fmt::format("key-{}", i), ConfigValue(std::string(100, 'v')), "x"});
  }
  EXPECT_LT(report_html(data).size(), 1'000'000u);
}

}  // namespace
}  // namespace umbel::cli

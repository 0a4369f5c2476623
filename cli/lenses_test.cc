#include "lenses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace umbel::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Run run_of_two_rounds() {
  Run run;
  run.rounds = 2;
  run.seconds = 4;
  run.clients = 1000;
  run.bytes_down = 4096;
  run.bytes_up = 2048;
  return run;
}

std::vector<RoundEvent> rounds_of(const std::vector<double>& seconds) {
  std::vector<RoundEvent> rounds(seconds.size());
  for (size_t i = 0; i != seconds.size(); ++i) rounds[i].seconds = seconds[i];
  return rounds;
}

std::vector<std::string> texts(const std::vector<Lens>& lenses) {
  std::vector<std::string> all;
  for (const Lens& lens : lenses) all.push_back(lens.name + ": " + lens.text);
  return all;
}

TEST(Lenses, ASimulationHasFiveLines) {
  cli::Run run = run_of_two_rounds();
  run.failures = 3;
  run.failure_reasons = {{"client-failed", 2}, {"non-finite", 1}};
  EXPECT_THAT(
      texts(lenses_of(run, rounds_of({0.25, 3}), {process_record(7.5)})),
      ElementsAre("bandwidth: 4.0 KiB down, 2.0 KiB up; a round 2.0 KiB and 1.0 KiB",
                  "latency: 2 rounds, p50 0.25s, p99 3.00s",
                  "efficiency: 250 clients/s; 7.50s of CPU here",
                  "reliability: 1,000 replies counted, 3 failed (2 client-failed, 1 non-finite)",
                  "privacy: no differential privacy, no secure aggregation: updates are folded in "
                  "memory, never stored; simulated on this machine"));
}

TEST(Lenses, ARunOnALinkTellsOfItsHub) {
  cli::Run run = run_of_two_rounds();
  run.link = "hospitals";
  const RecordEvent delivery{"delivery",
                             {{"replies", 998},
                              {"reply-seconds-p50", 0.5},
                              {"reply-seconds-p90", 1.5},
                              {"reply-seconds-p99", 20.0}}};
  const auto lines = texts(lenses_of(run, {}, {delivery, link_record(true, 1, 3 << 20)}));
  EXPECT_THAT(lines[0], HasSubstr("; the bundle 3.0 MiB"));
  EXPECT_EQ(lines[1], "latency: 998 replies, p50 0.50s, p90 1.50s, p99 20.0s");
  EXPECT_EQ(lines[3], "reliability: 1,000 replies counted, none failed; 1 restart");
  EXPECT_THAT(lines[4], HasSubstr("; TLS to the hub"));
  const auto plain = texts(lenses_of(run, {}, {link_record(false, 0, 0)}));
  EXPECT_THAT(plain[0], Not(HasSubstr("bundle")));
  EXPECT_THAT(plain[3], HasSubstr("; no restarts"));
  EXPECT_THAT(plain[4], HasSubstr("; without TLS"));
}

TEST(Lenses, TrafficIsComparedWithTheDataWhereTheAppKnowsThem) {
  const auto lenses = lenses_of(run_of_two_rounds(), {}, {{"data", {{"bytes", 61440}}}});
  EXPECT_THAT(lenses[0].text, HasSubstr("; 0.100 times the 60.0 KiB of local data"));
  EXPECT_DOUBLE_EQ(lenses[0].figures.real("bytes-per-local-byte"), 0.1);
}

TEST(Lenses, PercentilesAreNearestRanks) {
  std::vector<double> seconds;
  for (int i = 200; i > 0; --i) seconds.push_back(i);
  const MetricRecord figures = lenses_of(run_of_two_rounds(), rounds_of(seconds), {})[1].figures;
  EXPECT_EQ(figures.real("round-seconds-p50"), 100);
  EXPECT_EQ(figures.real("round-seconds-p99"), 198);
}

TEST(Lenses, ARunThatDidNothingAndFiguresThatAreNoneHaveLinesToo) {
  const auto nothing = texts(lenses_of(cli::Run(), {}, {}));
  EXPECT_EQ(nothing[0], "bandwidth: 0 bytes down, 0 bytes up");
  EXPECT_EQ(nothing[1], "latency: no round was finished");
  EXPECT_EQ(nothing[2], "efficiency: no client trained");
  const double nan = std::nan("");
  const auto odd = texts(lenses_of(
      run_of_two_rounds(), rounds_of({1}),
      {{"delivery", {{"replies", nan}}}, {"data", {{"bytes", nan}}}, process_record(-1)}));
  EXPECT_THAT(odd[0], Not(HasSubstr("local data")));
  EXPECT_EQ(odd[1], "latency: 2 rounds, p50 1.00s, p99 1.00s");
  EXPECT_THAT(odd[2], Not(HasSubstr("CPU")));
}

TEST(Lenses, JsonHasEachByNameWithItsFigures) {
  const Json json = json_of(lenses_of(run_of_two_rounds(), rounds_of({1}), {}));
  EXPECT_EQ(json.size(), 5u);
  EXPECT_EQ(json["bandwidth"]["bytes-down-per-round"], 2048);
  EXPECT_EQ(json["efficiency"]["clients-per-second"], 250.0);
  EXPECT_EQ(json["reliability"]["counted"], 1000);
  EXPECT_EQ(json["privacy"]["differential-privacy"], 0);
  for (const auto& [name, lens] : json.items()) EXPECT_TRUE(lens["text"].is_string()) << name;
}

}  // namespace
}  // namespace umbel::cli

#include "umbel/population/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "umbel/population/world.h"

namespace umbel {
namespace {

using std::chrono::seconds;

constexpr std::string_view kTrace =
    "client,start,end,speed,down,up\n"
    "0,0,10,1,20,5\n"
    "2,5,20,0.5,1,1\n"
    "0,15,30.5,2,0,0\n"
    "2,20,25,1,1,1\r\n";

std::string error_of(std::string_view text, uint64_t clients = 10) {
  return message_of(Trace::parse(text, "t.csv", clients).status());
}

TEST(Trace, ClientsAreThereInTheirIntervalsAlone) {
  const Result<Trace> trace = Trace::parse(kTrace, "t.csv", 3);
  ASSERT_TRUE(trace.ok()) << trace.status();
  EXPECT_EQ(trace->length(), virtual_time(30.5));
  EXPECT_EQ(trace->clients(), 3u);
  ASSERT_NE(trace->at(0, seconds(0)), nullptr);
  EXPECT_EQ(trace->at(0, seconds(9))->down_mbits, 20);
  EXPECT_EQ(trace->at(0, seconds(10)), nullptr);
  EXPECT_EQ(trace->at(0, seconds(15))->speed, 2);
  EXPECT_EQ(trace->at(0, seconds(31)), nullptr);
  EXPECT_EQ(trace->at(1, seconds(7)), nullptr);
  EXPECT_EQ(trace->at(2, seconds(4)), nullptr);
  // One interval follows the other without a gap.
  EXPECT_EQ(trace->stays_until(*trace->at(2, seconds(5))), seconds(25));
}

TEST(Trace, BadFilesAreRefusedByLine) {
  const std::string head = "client,start,end\n";
  EXPECT_EQ(error_of("client,begin,end\n0,0,1\n"),
            "t.csv:1: expected the header \"client,start,end,speed,down,up\" or "
            "\"client,start,end\"");
  EXPECT_EQ(error_of(""), error_of("nothing"));
  EXPECT_EQ(error_of(head), "t.csv:2: the trace has no rows");
  EXPECT_EQ(error_of(head + "0,0,1\n0,5\n"), "t.csv:3: expected 3 fields, got 2: \"0,5\"");
  EXPECT_EQ(error_of(head + "0,0,1\n0,5,9"),
            "t.csv:3: the last line does not end: the file was cut off, or lacks a line end");
  EXPECT_EQ(error_of(head + "0,10,5\n"),
            "t.csv:2: client 0: the interval goes back in time, from 10 to 5");
  EXPECT_EQ(error_of(head + "0,10,20\n1,0,5\n0,5,7\n"),
            "t.csv:4: client 0 goes back in time: this row begins at 5 s, the one before it ended "
            "at 20 s");
  EXPECT_EQ(
      error_of(head + "10,0,5\n"),
      "t.csv:2: client 10: there are 10 clients, numbered from 0: more nodes in [simulation], "
      "or another trace");
  EXPECT_EQ(error_of(head + "0,x,5\n"),
            "t.csv:2: column start: expected a number, 0 to 1000000000, got \"x\"");
  EXPECT_THAT(error_of(head + "0,nan,5\n"), testing::HasSubstr("column start"));
  EXPECT_THAT(error_of(head + "-1,0,5\n"), testing::HasSubstr("column client"));
  EXPECT_THAT(error_of("client,start,end,speed,down,up\n0,0,1,0,1,1\n"),
              testing::HasSubstr("column speed"));
}

Population traced(std::string_view text, TraceEnd end, bool reuse = false, uint64_t clients = 10) {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / fmt::format("trace_test_{}.csv", getpid());
  std::ofstream(file) << text;
  Result<Population> population = Population::make({.availability = Availability::kTrace,
                                                    .trace = file,
                                                    .trace_end = end,
                                                    .trace_reuse = reuse,
                                                    .seconds_per_example = 1},
                                                   clients, 1);
  std::filesystem::remove(file);
  EXPECT_TRUE(population.ok()) << population.status();
  return *std::move(population);
}

TEST(Trace, ItsRatesAreThoseOfTheInterval) {
  const Population population = traced(kTrace, TraceEnd::kStop);
  EXPECT_EQ(population.rates(2, seconds(6)).speed, 0.5);
  EXPECT_EQ(population.duration(2, seconds(6), {0, 3, 0}), seconds(6));
}

TEST(Trace, ARunThatOutlastsItRepeatsOrStops) {
  constexpr std::string_view kShort = "client,start,end\n0,0,10\n1,20,30\n0,25,30\n";
  const Population repeats = traced(kShort, TraceEnd::kRepeat);
  EXPECT_TRUE(repeats.available(0, seconds(305)));
  EXPECT_FALSE(repeats.available(0, seconds(315)));
  EXPECT_EQ(repeats.stays_until(1, seconds(321)), seconds(330));
  EXPECT_EQ(repeats.stays_until(0, seconds(26)), seconds(40));  // over the trace's end
  EXPECT_EQ(repeats.over(seconds(1000)), std::nullopt);

  World stops(traced(kShort, TraceEnd::kStop));
  EXPECT_TRUE(stops.population().available(1, seconds(29)));
  EXPECT_FALSE(stops.population().available(0, seconds(30)));
  EXPECT_TRUE(stops.await_anybody().ok());
  stops.advance(seconds(31));
  const Status over = stops.await_anybody();
  EXPECT_EQ(over.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(message_of(over), testing::HasSubstr("ends after 30 s"));
}

TEST(Trace, FewClientsTracesStandForMany) {
  const Population population = traced(kTrace, TraceEnd::kRepeat, true, 3000);
  for (uint64_t client : {0, 1, 2}) {
    EXPECT_EQ(population.available(client + 999, seconds(7)),
              population.available(client, seconds(7)));
  }
  EXPECT_FALSE(traced(kTrace, TraceEnd::kRepeat, false, 3000).available(3, seconds(7)));
}

}  // namespace
}  // namespace umbel

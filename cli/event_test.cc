#include "event.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "json_records.h"
#include "line_splitter.h"

namespace umbel::cli {
namespace {

template <class Kind>
Kind parsed(std::string_view line) {
  const Result<Event> event = parse_event(line);
  EXPECT_TRUE(event.ok()) << event.status();
  const Kind* kind = event.ok() ? std::get_if<Kind>(&*event) : nullptr;
  EXPECT_NE(kind, nullptr) << line;
  return kind != nullptr ? *kind : Kind();
}

std::string error_of(std::string_view line) {
  const Result<Event> event = parse_event(line);
  EXPECT_EQ(event.status().code(), absl::StatusCode::kInvalidArgument) << line.substr(0, 80);
  return message_of(event.status());
}

TEST(Event, RoundHasAllItsFields) {
  const auto round = parsed<RoundEvent>(
      R"({"event":"round","round":3,"seconds":0.5,"elapsed":1.5,"clients":98,"failures":2,)"
      R"("failure-reasons":{"client-failed":2},"bytes-down":10,"bytes-up":20,)"
      R"("failure-samples":[{"node":3,"kind":"client-failed","reason":"boom"},{}],)"
      R"("train":{"loss":1.25,"shares":[1,2.5]},"evaluate":{},"server":{"accuracy":null,"n":7},)"
      R"("note":"skipped: x"})");
  EXPECT_EQ(round.round, 3);
  EXPECT_EQ(round.seconds, 0.5);
  EXPECT_EQ(round.elapsed, 1.5);
  EXPECT_EQ(round.clients, 98);
  EXPECT_EQ(round.failures, 2);
  EXPECT_THAT(round.failure_reasons, testing::ElementsAre(testing::Pair("client-failed", 2)));
  ASSERT_EQ(round.failure_samples.size(), 2u);
  EXPECT_EQ(round.failure_samples[0].node, 3);
  EXPECT_EQ(round.failure_samples[0].kind, "client-failed");
  EXPECT_EQ(round.failure_samples[0].reason, "boom");
  EXPECT_EQ(round.failure_samples[1].node, -1);
  EXPECT_EQ(round.bytes_down, 10);
  EXPECT_EQ(round.bytes_up, 20);
  EXPECT_EQ(round.train.real("loss"), 1.25);
  EXPECT_EQ(round.train.reals("shares"), (std::vector<double>{1, 2.5}));
  EXPECT_TRUE(round.evaluate.empty());
  EXPECT_TRUE(std::isnan(round.server.real("accuracy")));
  EXPECT_EQ(round.server.integer("n"), 7);
  EXPECT_EQ(round.note, "skipped: x");
}

TEST(Event, EveryOtherKindIsRead) {
  EXPECT_EQ(parsed<StartedEvent>(R"({"event":"started","nodes":5,"threads":2})").nodes, 5);
  EXPECT_EQ(parsed<RoundsEvent>(R"({"event":"rounds","rounds":20})").rounds, 20);
  const auto progress = parsed<ProgressEvent>(
      R"({"event":"progress","round":1,"phase":"train","done":4,"total":9,"clients-per-second":2.5})");
  EXPECT_EQ(progress.done, 4);
  EXPECT_EQ(progress.clients_per_second, 2.5);
  EXPECT_EQ(parsed<LogEvent>(R"({"event":"log","side":"client","level":"warn","node":12,)"
                             R"("message":"m"})")
                .node,
            12);
  EXPECT_EQ(parsed<LogEvent>(R"({"event":"log","side":"server","node":null,"message":"m"})").node,
            -1);
  EXPECT_EQ(parsed<RecordEvent>(R"({"event":"record","name":"data-skew","metrics":{"clients":1}})")
                .metrics.integer("clients"),
            1);
  const std::string hash(64, 'a');
  EXPECT_EQ(parsed<ArtifactEvent>(R"({"event":"artifact","name":"m.npz","bytes":3,"sha256":")" +
                                  hash + "\"}")
                .sha256,
            hash);
  EXPECT_EQ(
      parsed<FinishedEvent>(R"({"event":"finished","status":"failed","exit-code":4})").exit_code,
      4);
  EXPECT_EQ(parsed<FinishedEvent>(
                R"({"event":"finished","status":"completed","reason":"accuracy reached 0.9"})")
                .reason,
            "accuracy reached 0.9");
}

TEST(Event, ASampleOfFailuresIsHeldToItsLimits) {
  const auto round = parsed<RoundEvent>(
      R"({"event":"round","round":1,"failure-samples":[{"node":null,"reason":")" +
      std::string(5000, 'x') + "\"}]}");
  ASSERT_EQ(round.failure_samples.size(), 1u);
  EXPECT_EQ(round.failure_samples[0].reason, std::string(kSampleReasonBytesMax, 'x'));
}

TEST(Event, UnknownEventsAndFieldsAreIgnored) {
  parsed<UnknownEvent>(R"({"event":"from-the-future","x":[[[1]]]})");
  EXPECT_EQ(parsed<RoundsEvent>(R"({"event":"rounds","rounds":2,"more":{"a":1}})").rounds, 2);
}

TEST(Event, WhatIsMalformedIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "expected a JSON object"},
      {"hello", "expected a JSON object with \"event\", got \"hello\""},
      {"[1]", "expected a JSON object"},
      {R"({"event":7})", "expected a JSON object"},
      {"{\"event\":\"log\",\"side\":\"server\",\"message\":\"\xff\"}", "expected a JSON object"},
      {R"({"event":"round"})", "event \"round\": round: missing"},
      {R"({"event":"round","round":-1})", "event \"round\": round: expected 0 to"},
      {R"({"event":"round","round":"1"})",
       "event \"round\": round: expected an integer, got string"},
      {R"({"event":"round","round":1,"clients":1e3})",
       "event \"round\": clients: expected an integer"},
      {R"({"event":"round","round":1,"bytes-up":18446744073709551615})",
       "event \"round\": bytes-up: expected an integer"},
      {R"({"event":"round","round":1,"train":{"loss":"low"}})",
       "event \"round\": train: metric \"loss\": expected a number"},
      {R"({"event":"round","round":1,"failure-reasons":[1]})", "event \"round\": failure-reasons"},
      {R"({"event":"round","round":1,"failure-samples":[{},{},{},{}]})",
       "event \"round\": failure-samples: expected a list of at most 3 failures"},
      {R"({"event":"round","round":1,"failure-samples":["x"]})",
       "event \"round\": failure-samples: expected a list of objects, got string"},
      {R"({"event":"round","round":1,"failure-samples":[{"node":"x"}]})",
       "event \"round\": node: expected an integer, got string"},
      {R"({"event":"log","side":"elsewhere","message":"m"})",
       "event \"log\": side: expected one of"},
      {R"({"event":"finished","status":"fine"})", "event \"finished\": status: expected one of"},
      {R"({"event":"artifact","name":"m","sha256":"12"})", "event \"artifact\": sha256"},
  };
  for (const auto& [line, message] : cases) {
    EXPECT_THAT(error_of(line), testing::StartsWith(message)) << line;
  }
}

TEST(Event, NoArtifactNameLeadsOutOfTheFolder) {
  for (const std::string name : {"", ".", "..", "/etc/passwd", "../x", "a/b", "a\\b", "a\nb"}) {
    EXPECT_FALSE(check_artifact_name(name).ok()) << name;
  }
  EXPECT_FALSE(check_artifact_name(std::string(256, 'a')).ok());
  EXPECT_FALSE(check_artifact_name(std::string_view("a\0b", 3)).ok());
  for (const std::string name : {"model.safetensors", "a b", "..a", "modèle"}) {
    EXPECT_TRUE(check_artifact_name(name).ok()) << name;
  }
}

TEST(Event, HostileSizesAreRefusedBeforeMemoryIsSpent) {
  EXPECT_THAT(error_of(std::string(kEventBytesMax + 1, ' ')), testing::HasSubstr("limit"));
  EXPECT_THAT(error_of("{\"event\":" + std::string(10'000'000, '[')),
              testing::StartsWith("an event has more levels than the limit of 8, got \"{"));
  std::string members = "{\"event\":\"record\",\"name\":\"n\",\"metrics\":{\"a\":0";
  for (int i = 0; i != 1'000'000; ++i) members += ",\"" + std::to_string(i) + "\":1";
  EXPECT_THAT(error_of(members + "}}"),
              testing::StartsWith("an event has more members than the limit of 20000, got \"{"));
}

TEST(Event, ALineAtItsLimitsIsReadAndOneBeyondNamesThem) {
  // "event", "x" and the members of "x"; a colon in a string is none.
  const auto with_members = [](int count) {
    std::string line = R"({"event":"from-the-future","x":{"::":"::")";
    for (int i = 3; i != count; ++i) line += ",\"" + std::to_string(i) + "\":1";
    return line + "}}";
  };
  parsed<UnknownEvent>(with_members(20'000));
  EXPECT_THAT(error_of(with_members(20'001)),
              testing::HasSubstr("members than the limit of 20000"));
  parsed<UnknownEvent>(R"({"event":"from-the-future","x":[[[[[[[]]]]]]]})");
  EXPECT_THAT(error_of(R"({"event":"from-the-future","x":[[[[[[[[]]]]]]]]})"),
              testing::HasSubstr("levels than the limit of 8"));
}

TEST(JsonRecords, MetricsComeBackAsTheyWere) {
  const MetricRecord metrics = {{"n", 3},
                                {"loss", 0.1},
                                {"tiny", 5e-324},
                                {"counts", std::vector<int64_t>{1, 2}},
                                {"rates", std::vector<double>{0.5, 1e300}}};
  EXPECT_EQ(metrics_from_text(metrics_text(metrics)), metrics);
  EXPECT_EQ(metrics_text({{"x", INFINITY}, {"y", std::vector<double>{NAN}}}),
            R"({"x":null,"y":[null]})");
}

TEST(JsonRecords, BytesThatAreNoTextAreReplaced) {
  EXPECT_EQ(value_text(ConfigValue("a\xff")), "\"a\xef\xbf\xbd\"");
}

TEST(JsonRecords, RealsKeepADotOrAnExponent) {
  EXPECT_EQ(value_text(ConfigValue(3.0)), "3.0");
  EXPECT_EQ(value_text(ConfigValue(std::vector<double>{1, 1e100})), "[1.0,1e+100]");
  EXPECT_EQ(value_text(ConfigValue(3)), "3");
}

TEST(LineSplitter, LinesDoNotDependOnHowTheyArrive) {
  const std::string text = "one\n\ntwo two\nthree";
  for (size_t piece = 1; piece <= text.size(); ++piece) {
    LineSplitter splitter(100);
    std::vector<std::string> lines;
    const auto add = [&](std::string_view line, bool cut) {
      EXPECT_FALSE(cut);
      lines.emplace_back(line);
    };
    for (size_t at = 0; at < text.size(); at += piece) splitter.feed(text.substr(at, piece), add);
    splitter.finish(add);
    EXPECT_THAT(lines, testing::ElementsAre("one", "", "two two", "three")) << piece;
  }
}

TEST(LineSplitter, LongLinesComeInPiecesWithinTheLimit) {
  for (size_t piece = 1; piece != 12; ++piece) {
    LineSplitter splitter(4);
    std::vector<std::pair<std::string, bool>> lines;
    const auto add = [&](std::string_view line, bool cut) { lines.emplace_back(line, cut); };
    const std::string text = "abcdefghij\nabcd\nx\n";
    for (size_t at = 0; at < text.size(); at += piece) splitter.feed(text.substr(at, piece), add);
    splitter.finish(add);
    std::string all;
    for (const auto& [line, cut] : lines) {
      EXPECT_LE(line.size(), 4u);
      all += line + (cut ? "" : "\n");
    }
    EXPECT_EQ(all, text) << piece;
  }
}

TEST(Event, ARoundInVirtualTimeSaysHowLongAndWho) {
  const auto plain = parse_event(R"({"event":"round","round":1})");
  ASSERT_TRUE(plain.ok());
  EXPECT_FALSE(std::get<RoundEvent>(*plain).virtual_time);
  const auto event = parse_event(
      R"({"event":"round","round":1,"virtual-seconds":90.5,"wanted":100,"asked":62,"available":7})");
  ASSERT_TRUE(event.ok()) << event.status();
  const auto& in = std::get<RoundEvent>(*event).virtual_time;
  ASSERT_TRUE(in);
  EXPECT_EQ(in->seconds, 90.5);
  EXPECT_EQ(in->asked, 62);
  EXPECT_FALSE(parse_event(R"({"event":"round","round":1,"virtual-seconds":1,"asked":-2})").ok());
}

}  // namespace
}  // namespace umbel::cli

#include "umbel/main/run_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace umbel {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string spec(std::string_view config, std::string_view more = "") {
  return fmt::format(
      R"({{"version": 1, "run-id": 17, "seed": 9223372036854775807, "nodes": 1000, "threads": 2,)"
      R"( "output": "/runs/17", "new-in-2": {{"x": [1]}}, "run-config": [{}]{}}})",
      config, more);
}
std::string error(const std::string& text) {
  return message_of(parse_run_spec(text, "spec.json").status());
}
std::string with_value(std::string_view value) {
  return spec(fmt::format(R"({{"key": "k", "value": {}}})", value));
}

TEST(RunSpecTest, ReadsEveryFieldAndIgnoresUnknownOnes) {
  const RunSpec run = or_throw(parse_run_spec(
      spec(
          R"({"key": "rounds", "value": 3, "origin": "umbel.toml:9"}, {"key": "n", "value": "a"})"),
      "spec.json"));
  EXPECT_EQ(run.run.id, RunId(17));
  EXPECT_EQ(run.run.seed, uint64_t{INT64_MAX});
  EXPECT_EQ(run.run.nodes, 1000u);
  EXPECT_EQ(run.threads, 2u);
  EXPECT_EQ(run.output, "/runs/17");
  EXPECT_FALSE(run.checkpoints);
  EXPECT_TRUE(
      or_throw(parse_run_spec(spec("", ", \"checkpoints\": true"), "spec.json")).checkpoints);
  EXPECT_EQ(run.run.config.integer("rounds"), 3);
  EXPECT_EQ(run.run.config.origin("rounds"), "umbel.toml:9");
  EXPECT_EQ(run.run.config.origin("n"), "");
  EXPECT_EQ(run.run.config.record().entry(1).first, "n");
}

TEST(RunSpecTest, ReadsWhatStartsTheClients) {
  const auto parsed = [](std::string_view more) { return parse_run_spec(spec("", more), "s"); };
  EXPECT_TRUE(or_throw(parsed("")).client_command.empty());
  EXPECT_EQ(or_throw(parsed(R"(, "client-command": ["/a", "--umbel-client"])")).client_command,
            (std::vector<std::string>{"/a", "--umbel-client"}));
  EXPECT_EQ(or_throw(parsed(R"(, "zygote-command": ["python3"])")).zygote_command,
            std::vector<std::string>{"python3"});
  EXPECT_THAT(error(spec("", R"(, "client-command": [])")), HasSubstr("expected a program"));
  EXPECT_THAT(error(spec("", R"(, "zygote-command": "python3")")), HasSubstr("expected a program"));
  EXPECT_THAT(error(spec("", R"(, "zygote-command": ["a"], "client-command": ["b"])")),
              HasSubstr("expected one of them"));
}

TEST(RunSpecTest, ReadsAPopulation) {
  EXPECT_FALSE(or_throw(parse_run_spec(spec(""), "spec.json")).population);
  const RunSpec run = or_throw(parse_run_spec(
      spec("", R"(, "population": {"availability": "daily", "day-from": 20, "time-zones": [-8, 1.5],
      "dropout": 0.1, "new": {"x": 1}, "attributes":
      [{"name": "gender", "categories": [{"category": "men", "share": 0.97},
                                         {"category": "women", "share": 0.03}]}]})"),
      "spec.json"));
  ASSERT_TRUE(run.population);
  EXPECT_EQ(run.population->availability, Availability::kDaily);
  EXPECT_EQ(run.population->day_from, 20);
  EXPECT_EQ(run.population->day_hours, PopulationOptions().day_hours);
  EXPECT_EQ(run.population->time_zones, (std::vector<double>{-8, 1.5}));
  EXPECT_EQ(run.population->dropout, 0.1);
  ASSERT_EQ(run.population->attributes.size(), 1u);
  EXPECT_EQ(run.population->attributes[0].categories, (std::vector<std::string>{"men", "women"}));
  EXPECT_EQ(run.population->attributes[0].shares, (std::vector<double>{0.97, 0.03}));
}

TEST(RunSpecTest, ReadsATracesPopulation) {
  const RunSpec run = or_throw(
      parse_run_spec(spec("", R"(, "population": {"availability": "trace", "trace": "t.csv",
      "trace-end": "stop", "trace-reuse": true})"),
                     "spec.json"));
  ASSERT_TRUE(run.population);
  EXPECT_EQ(run.population->trace, "t.csv");
  EXPECT_EQ(run.population->trace_end, TraceEnd::kStop);
  EXPECT_TRUE(run.population->trace_reuse);
}

TEST(RunSpecTest, BadPopulationsAreRefusedByKey) {
  const auto with = [](std::string_view population) {
    return error(spec("", fmt::format(", \"population\": {}", population)));
  };
  EXPECT_THAT(with("[]"), HasSubstr("\"population\": expected an object"));
  EXPECT_THAT(with(R"({"dropout": "x"})"), HasSubstr("\"dropout\": expected a number"));
  EXPECT_THAT(with(R"({"dropout": 2})"), HasSubstr("dropout: expected 0 to 1, got 2"));
  EXPECT_THAT(with(R"({"availability": "never"})"),
              HasSubstr("\"availability\": expected one of always, probability, daily, trace"));
  EXPECT_THAT(with(R"({"attributes": [{"name": "g"}]})"), HasSubstr("\"attributes\": expected"));
}

TEST(RunSpecTest, ReadsValuesOfEveryKind) {
  const auto value = [](std::string_view json) {
    const RunSpec run = or_throw(parse_run_spec(with_value(json), "spec.json"));
    return run.run.config.record()["k"];
  };
  EXPECT_EQ(value("true"), ConfigValue(true));
  EXPECT_EQ(value("-9223372036854775808"), ConfigValue(INT64_MIN));
  EXPECT_EQ(value("9223372036854775807"), ConfigValue(INT64_MAX));
  EXPECT_EQ(value("3.0"), ConfigValue(3.0));
  EXPECT_EQ(value("\"\\u00e4\""), ConfigValue("ä"));
  EXPECT_EQ(value("[1, 2]"), ConfigValue(std::vector<int64_t>{1, 2}));
  EXPECT_EQ(value("[1.5, 2]"), ConfigValue(std::vector<double>{1.5, 2}));
  EXPECT_EQ(value("[1, 2.5]"), ConfigValue(std::vector<double>{1, 2.5}));
  EXPECT_EQ(value("[]"), ConfigValue(std::vector<double>{}));
  EXPECT_EQ(value("[true]"), ConfigValue(std::vector<bool>{true}));
  EXPECT_EQ(value("[\"a\"]"), ConfigValue(std::vector<std::string>{"a"}));
}

TEST(RunSpecTest, RefusesOtherValuesByKey) {
  const std::string nested = std::string(9, '[') + "1" + std::string(9, ']');
  for (const std::string& value : std::vector<std::string>{
           "null", "{}", "[null]", "[1, \"a\"]", "[1.5, \"a\"]", "[\"a\", 1]", "[true, 1]", "[[1]]",
           "[{}]", "18446744073709551615", "[9223372036854775808]", nested}) {
    EXPECT_THAT(error(with_value(value)), StartsWith("spec.json: \"run-config\": \"k\": "))
        << value;
  }
}

TEST(RunSpecTest, NamesFileAndKeyOfWhatIsWrong) {
  EXPECT_EQ(error(""), "spec.json: not a JSON document");
  EXPECT_EQ(error("{"), "spec.json: not a JSON document");
  EXPECT_EQ(error("{} x"), "spec.json: not a JSON document");
  EXPECT_EQ(error("\"\xff\""), "spec.json: not a JSON document");
  EXPECT_EQ(error("[]"), "spec.json: expected an object");
  EXPECT_EQ(error("{}"), "spec.json: \"version\": expected an integer, 1 to 1");
  EXPECT_THAT(error(spec("1")), HasSubstr("\"run-config\": an entry without \"key\""));
  EXPECT_THAT(error(spec(R"({"key": 1, "value": 1})")), HasSubstr("an entry without \"key\""));
  EXPECT_THAT(error(spec(R"({"key": "a"})")), HasSubstr("or \"value\""));
  EXPECT_THAT(error(spec(R"({"key": "a", "value": 1}, {"key": "a", "value": 2})")),
              HasSubstr("\"run-config\": \"a\" twice"));
  // A key that comes again replaces the first.
  for (const char* bad :
       {R"("nodes": 0)", R"("nodes": -1)", R"("nodes": 1.0)", R"("nodes": "1")",
        R"("nodes": 9223372036854775808)", R"("threads": 1025)", R"("seed": -1)", R"("seed": null)",
        R"("seed": 9223372036854775808)", R"("run-id": true)", R"("version": 2)", R"("output": 3)",
        R"("checkpoints": 1)", R"("run-config": {})"}) {
    const std::string key = std::string(bad).substr(0, std::string_view(bad).find(':'));
    EXPECT_THAT(error(spec("", std::string(", ") + bad)), StartsWith("spec.json: " + key)) << bad;
  }
}

TEST(RunSpecTest, DepthIsHarmless) {
  const std::string deep(500'000, '[');
  EXPECT_EQ(error(deep), "spec.json: not a JSON document");
  const std::string closed = deep + std::string(500'000, ']');
  EXPECT_FALSE(parse_run_spec(closed, "spec.json").ok());
  EXPECT_TRUE(parse_run_spec(spec("", ", \"new\": " + closed), "spec.json").ok());
}

TEST(RunSpecTest, AMissingFileIsNamed) {
  EXPECT_THAT(message_of(read_run_spec("/nowhere/spec.json").status()),
              HasSubstr("/nowhere/spec.json"));
}

}  // namespace
}  // namespace umbel

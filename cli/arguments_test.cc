#include "arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace umbel::cli {
namespace {

std::variant<Invocation, EndedByArguments> parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "umbel");
  return parse_arguments(static_cast<int>(arguments.size()), arguments.data());
}

template <class Options>
Options options_of(const std::vector<const char*>& arguments) {
  const auto parsed = parse(arguments);
  const auto* invocation = std::get_if<Invocation>(&parsed);
  if (invocation == nullptr) {
    ADD_FAILURE() << std::get<EndedByArguments>(parsed).text;
    return {};
  }
  return std::get<Options>(invocation->command);
}

constexpr const char* kMost = "9223372036854775807";

TEST(Arguments, NumbersUpToTheirLimitsAreTakenAsTheyAre) {
  const auto run =
      options_of<RunOptions>({"run", "--seed", kMost, "--nodes", kMost, "--threads", "1024"});
  EXPECT_EQ(run.seed, INT64_MAX);
  EXPECT_EQ(run.nodes, INT64_MAX);
  EXPECT_EQ(run.threads, 1024);
  EXPECT_EQ(options_of<RunOptions>({"run", "--seed=0"}).seed, 0);
  EXPECT_EQ(options_of<RunOptions>({"run", "--seed", "010"}).seed, 10);
  EXPECT_EQ(options_of<RunOptions>({"run"}).seed, std::nullopt);
  EXPECT_EQ(options_of<LsOptions>({"ls", "--limit", kMost}).limit, INT64_MAX);
  EXPECT_EQ(options_of<LogOptions>({"log", kMost, "--limit", "3"}).run, INT64_MAX);
}

TEST(Arguments, NumbersOutOfRangeAreRefusedByNameValueAndRange) {
  struct Case {
    std::vector<const char*> command;
    const char *name, *range;
  };
  const Case cases[] = {{{"run", "--seed"}, "--seed", "0 to 9223372036854775807"},
                        {{"run", "--nodes"}, "--nodes", "1 to 9223372036854775807"},
                        {{"run", "--threads"}, "--threads", "0 to 1024"},
                        {{"ls", "--limit"}, "--limit", "0 to 9223372036854775807"},
                        {{"log", "1", "--limit"}, "--limit", "0 to 9223372036854775807"},
                        {{"stop"}, "RUN", "1 to 9223372036854775807"}};
  for (const Case& wrong : cases) {
    for (const char* value : {"9223372036854775808", "18446744073709551615",
                              "99999999999999999999999", "-1", "1.5", "1e3", "0x10", "many", ""}) {
      if (value[0] == '-' && wrong.name[0] != '-') continue;  // an option's name, to the parser
      std::vector<const char*> arguments = wrong.command;
      arguments.push_back(value);
      const auto parsed = parse(arguments);
      const auto* ended = std::get_if<EndedByArguments>(&parsed);
      ASSERT_NE(ended, nullptr) << wrong.name << " " << value;
      EXPECT_EQ(ended->exit_code, kBadInput);
      EXPECT_EQ(ended->text, std::string(wrong.name) + ": expected a whole number from " +
                                 wrong.range + ", got \"" + value + "\"");
    }
  }
}

}  // namespace
}  // namespace umbel::cli

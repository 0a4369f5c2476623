#include "umbel/app/run_config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

namespace umbel {
namespace {

const RunConfig kConfig({{"rounds", 0},
                         {"rate", 0.5},
                         {"nan", std::nan("")},
                         {"name", "adam"},
                         {"fast", true},
                         {"list", std::vector<int64_t>{1, 2}}},
                        {"umbel.toml:9", "--run-config", "umbel.toml:10", "umbel.toml:11"});

std::string error(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), absl::StatusCode::kInvalidArgument);
    return error.what();
  }
  return "nothing thrown";
}

TEST(RunConfigTest, GivesValuesOfTheirKind) {
  EXPECT_EQ(kConfig.integer("rounds"), 0);
  EXPECT_EQ(kConfig.real("rate", kPositive), 0.5);
  EXPECT_EQ(kConfig.real("rounds", kNotNegative), 0);  // integers widen
  EXPECT_TRUE(kConfig.boolean("fast"));
  EXPECT_EQ(kConfig.text("name", {"sgd", "adam"}), "adam");
  EXPECT_EQ(kConfig.origin("rounds"), "umbel.toml:9");
  EXPECT_EQ(kConfig.origin("list"), "");
}

TEST(RunConfigTest, NamesPlaceValueAndRange) {
  EXPECT_EQ(error([] { kConfig.integer("rounds", at_least(1)); }),
            "umbel.toml:9: rounds = 0: expected at least 1");
  EXPECT_EQ(error([] { kConfig.real("rounds", kPositive); }),
            "umbel.toml:9: rounds = 0: expected a number above 0");
  EXPECT_EQ(error([] { kConfig.real("rate", between(1, 2)); }),
            "--run-config: rate = 0.5: expected 1 to 2");
  EXPECT_EQ(error([] { kConfig.real("rate", {.most = 0.25}); }),
            "--run-config: rate = 0.5: expected at most 0.25");
  EXPECT_EQ(error([] { kConfig.real("nan"); }), "umbel.toml:10: nan = nan: expected a number");
}

TEST(RunConfigTest, NamesTheKindThatItExpects) {
  EXPECT_EQ(error([] { kConfig.integer("rate"); }),
            "--run-config: rate = 0.5: expected an integer");
  EXPECT_EQ(error([] { kConfig.real("name"); }),
            "umbel.toml:11: name = \"adam\": expected a number");
  EXPECT_EQ(error([] { kConfig.boolean("rounds"); }),
            "umbel.toml:9: rounds = 0: expected true or false");
  EXPECT_EQ(error([] { kConfig.text("list"); }), "list = [1, 2]: expected text");
  EXPECT_EQ(error([] {
              kConfig.text("name", {"sgd", "adagrad"});
            }),
            "umbel.toml:11: name = \"adam\": expected one of: sgd, adagrad");
}

TEST(RunConfigTest, AnAbsentKeyGetsASuggestion) {
  EXPECT_EQ(error([] { kConfig.integer("round"); }),
            "run config: no key \"round\": add it under [config] in umbel.toml; did you mean "
            "\"rounds\"?");
}

}  // namespace
}  // namespace umbel

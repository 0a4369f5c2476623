#include "manifest_population.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "history.h"
#include "manifest.h"
#include "report_population.h"

namespace umbel::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kApp =
    "[app]\nname = \"a\"\nversion = \"0.1.0\"\npublisher = \"p\"\n[entry]\ncmake = \".\"\n";

Result<Manifest> manifest_with(std::string_view population) {
  return parse_manifest(std::string(kApp) + std::string(population));
}
std::string error_of(std::string_view population) {
  return message_of(manifest_with(population).status());
}

TEST(ManifestPopulation, HoldsWhatTheTableSays) {
  const auto manifest = manifest_with(R"(
[population]
availability = "daily"
day-from = 20
time-zones = [-8, 1]
dropout = 0.05
[population.attributes.gender]
men = 0.97
women = 0.03
)");
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  ASSERT_TRUE(manifest->population);
  EXPECT_EQ(manifest->population->availability, Availability::kDaily);
  EXPECT_EQ(manifest->population->day_from, 20);
  EXPECT_EQ(manifest->population->time_zones, (std::vector<double>{-8, 1}));
  EXPECT_EQ(manifest->population->dropout, 0.05);
  ASSERT_EQ(manifest->population->attributes.size(), 1u);
  EXPECT_EQ(manifest->population->attributes[0].categories,
            (std::vector<std::string>{"men", "women"}));
  EXPECT_FALSE(manifest_with("")->population);
}

TEST(ManifestPopulation, ErrorsNameFileLineTableAndKey) {
  EXPECT_EQ(error_of("[population]\ndropuot = 0.1\n"),
            "umbel.toml:8: [population] dropuot: unknown key; did you mean \"dropout\"?");
  EXPECT_EQ(error_of("[population]\n\ndropout = 2\n"),
            "umbel.toml:9: [population] dropout: expected 0 to 1, got 2");
  EXPECT_EQ(error_of("[population]\ndropout = \"x\"\n"),
            "umbel.toml:8: [population] dropout: expected a number, got text");
  EXPECT_EQ(error_of("[population]\navailability = \"dayly\"\n"),
            "umbel.toml:8: [population] availability: expected one of \"always\", \"probability\", "
            "\"daily\", \"trace\"; got \"dayly\"");
  EXPECT_EQ(error_of("[population]\navailability = \"trace\"\n"),
            "umbel.toml:7: [population] trace: missing: availability = \"trace\" needs a file");
  EXPECT_EQ(error_of("[population]\ntime-zones = 3\n"),
            "umbel.toml:8: [population] time-zones: expected a list of numbers, got an integer");
  EXPECT_EQ(error_of("[population.attributes.gender]\nmen = 0.9\nwomen = 0.3\n"),
            "umbel.toml:7: [population] attributes.gender: the shares sum to 1.2, expected 1");
  EXPECT_EQ(error_of("[population.attributes.gender]\nmen = \"most\"\n"),
            "umbel.toml:8: [population.attributes.gender] men: expected a number, got text");
  EXPECT_THAT(error_of("[population]\nattributes = 3\n"), HasSubstr("expected tables"));
}

TEST(ManifestPopulation, AFileOfItsOwnHasNothingElse) {
  const auto file =
      std::filesystem::temp_directory_path() / fmt::format("population_{}.toml", getpid());
  std::ofstream(file) << "[population]\ndropout = 0.5\n";
  EXPECT_EQ(read_population(file)->dropout, 0.5);
  std::ofstream(file) << "[population]\n[app]\n";
  EXPECT_THAT(message_of(read_population(file).status()), HasSubstr("nothing but the table"));
  std::filesystem::remove(file);
  EXPECT_FALSE(read_population(file).ok());
}

TEST(ReportPopulation, TellsOfVirtualTimeAndGroups) {
  cli::Run run;
  std::vector<RoundEvent> rounds(3);
  for (int i = 0; i != 3; ++i) {
    rounds[static_cast<size_t>(i)].round = i + 1;
    rounds[static_cast<size_t>(i)].evaluate = {{"accuracy", 0.9}};
  }
  EXPECT_EQ(population_section(run, rounds), "");
  EXPECT_EQ(groups_section(rounds), "");
  run.virtual_seconds = 3 * 3600 + 12 * 60;
  for (RoundEvent& round : rounds) {
    round.clients = 50 + round.round;
    round.virtual_time = VirtualRound{600, 100, 62, 620};
    round.evaluate.set("accuracy@men", 0.9);
    round.evaluate.set("accuracy@<women>", 0.25 * static_cast<double>(round.round));
  }
  EXPECT_THAT(population_section(run, rounds), HasSubstr("would have taken <b>3h 12m</b>"));
  EXPECT_THAT(population_section(run, rounds), HasSubstr("Clients that took part"));
  const std::string groups = groups_section(rounds);
  EXPECT_THAT(groups, HasSubstr("&lt;women&gt; 0.750, men 0.900: a gap of 0.150."));
  EXPECT_THAT(groups, Not(HasSubstr("<women>")));
  EXPECT_TRUE(is_group_metric("accuracy@men"));
  EXPECT_FALSE(is_group_metric("accuracy"));
}

}  // namespace
}  // namespace umbel::cli

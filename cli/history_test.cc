#include "history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "process_identity.h"

namespace umbel::cli {
namespace {

namespace fs = std::filesystem;
using StoredRun = Run;  // testing::Test has a Run of its own

class HistoryTest : public testing::Test {
 protected:
  HistoryTest() {
    std::string pattern = testing::TempDir() + "umbel-history-XXXXXX";
    home_ = mkdtemp(pattern.data());
  }
  ~HistoryTest() override { fs::remove_all(home_); }

  History open() {
    Result<History> history = History::open(home_);
    EXPECT_TRUE(history.ok()) << history.status();
    return *std::move(history);
  }
  static StoredRun new_run(const std::string& app) {
    StoredRun run;
    run.app = app;
    run.version = "0.1.0";
    run.publisher = "example";
    run.nodes = 10;
    run.started_ms = 1'700'000'000'000;
    run.process = this_process();
    return run;
  }
  static RoundEvent round(int64_t number, double loss) {
    RoundEvent event;
    event.round = number;
    event.clients = 5;
    event.train = {{"loss", loss}};
    event.failure_reasons = {{"client-failed", 2}};
    event.failure_samples = {{4, "client-failed", "boom"}};
    event.note = "n";
    return event;
  }
  static std::vector<LogLine> lines(int64_t from, int64_t to) {
    std::vector<LogLine> log;
    for (int64_t i = from; i <= to; ++i) {
      log.push_back({i, 0, i % 2 ? "server" : "client", "info", -1, std::to_string(i)});
    }
    return log;
  }
  static std::vector<std::string> log_of(History& history, int64_t run, const std::string& side,
                                         int64_t after = 0, int64_t last = 0) {
    std::vector<std::string> messages;
    EXPECT_TRUE(history
                    .log(run, side, after, last,
                         [&](const LogLine& line) { messages.push_back(line.message); })
                    .ok());
    return messages;
  }

  fs::path home_;
};

TEST_F(HistoryTest, EverythingComesBackAfterTheFileIsOpenedAgain) {
  StoredRun run = new_run("one");
  const std::vector<Setting> settings = {
      {"text", ConfigValue("a \"b\"\n\xc3\xa9 \x01 \\"), "umbel.toml:3"},
      {"truth", ConfigValue(true), "umbel.toml:4"},
      {"real", ConfigValue(0.1), "--run-config"},
      {"whole", ConfigValue(2.0), "umbel.toml:5"},
      {"list", ConfigValue(std::vector<int64_t>{1, -2}), "umbel.toml:6"},
      {"texts", ConfigValue(std::vector<std::string>{"x", "y, z"}), "umbel.toml:7"}};
  {
    History history = open();
    ASSERT_TRUE(history.create(run, settings).ok());
    EXPECT_EQ(run.id, 1);
    EXPECT_TRUE(fs::is_directory(run.folder));
    run.status = "completed";
    run.rounds = 2;
    run.reason = "accuracy reached 0.5, target 0.5";
    run.metrics = {{"accuracy", 0.5}};
    RunUpdate update;
    update.rounds = {round(1, 0.75), round(2, 0.5)};
    update.records = {{"data-skew", {{"clients", 7}}}};
    update.artifacts = {{"model", 3, std::string(64, 'a')}};
    update.log = lines(1, 4);
    ASSERT_TRUE(history.save(run, update).ok());
    ASSERT_TRUE(history.set_report(run.id, "/r.html").ok());
  }
  History history = open();
  const Result<StoredRun> found = history.run(1);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->app, "one");
  EXPECT_EQ(found->status, "completed");
  EXPECT_EQ(found->metrics, run.metrics);
  EXPECT_EQ(found->reason, run.reason);
  EXPECT_EQ(found->report, "/r.html");
  EXPECT_EQ(found->folder, run.folder);
  const auto rounds = history.rounds(1);
  ASSERT_EQ(rounds->size(), 2u);
  EXPECT_EQ((*rounds)[0].train.real("loss"), 0.75);
  ASSERT_EQ((*rounds)[0].failure_samples.size(), 1u);
  EXPECT_EQ((*rounds)[0].failure_samples[0].node, 4);
  EXPECT_EQ((*rounds)[0].failure_samples[0].kind, "client-failed");
  EXPECT_EQ((*rounds)[0].failure_samples[0].reason, "boom");
  EXPECT_EQ((*rounds)[1].failure_reasons, (FailureReasons{{"client-failed", 2}}));
  EXPECT_EQ(history.records(1)->front().metrics.integer("clients"), 7);
  EXPECT_EQ(history.artifacts(1)->front().name, "model");
  const auto back = history.settings(1);
  ASSERT_TRUE(back.ok()) << back.status();
  ASSERT_EQ(back->size(), settings.size());
  for (size_t i = 0; i != settings.size(); ++i) {
    EXPECT_EQ((*back)[i].key, settings[i].key);
    EXPECT_EQ((*back)[i].value, settings[i].value) << settings[i].key;
    EXPECT_EQ((*back)[i].origin, settings[i].origin);
  }
  EXPECT_THAT(log_of(history, 1, "all"), testing::ElementsAre("1", "2", "3", "4"));
  EXPECT_THAT(log_of(history, 1, "client"), testing::ElementsAre("2", "4"));
  EXPECT_THAT(log_of(history, 1, "all", 2), testing::ElementsAre("3", "4"));
  EXPECT_THAT(log_of(history, 1, "all", 0, 1), testing::ElementsAre("4"));
}

TEST_F(HistoryTest, RunsAreFilteredAndTheLatestComesFirst) {
  History history = open();
  for (const char* app : {"a", "b", "a"}) {
    StoredRun run = new_run(app);
    ASSERT_TRUE(history.create(run, {}).ok());
    if (run.id == 1) run.status = "stopped";
    ASSERT_TRUE(history.save(run, {}).ok());
  }
  const auto ids = [&](const RunFilter& filter) {
    std::vector<int64_t> found;
    const auto runs = history.runs(filter);
    for (const StoredRun& run : *runs) found.push_back(run.id);
    return found;
  };
  EXPECT_THAT(ids({}), testing::ElementsAre(3, 2, 1));
  EXPECT_THAT(ids({"", "a", 0}), testing::ElementsAre(3, 1));
  EXPECT_THAT(ids({"stopped", "", 0}), testing::ElementsAre(1));
  EXPECT_THAT(ids({"", "", 2}), testing::ElementsAre(3, 2));
}

TEST_F(HistoryTest, ARunWhoseProcessIsGoneWasInterrupted) {
  History history = open();
  StoredRun mine = new_run("mine"), gone = new_run("gone"), reused = new_run("reused"),
            other_boot = new_run("other-boot");
  const pid_t child = fork();
  if (child == 0) _exit(0);
  gone.process.pid = child;
  waitpid(child, nullptr, 0);
  reused.process.start_ticks += 1;
  other_boot.process.boot = "another";
  for (StoredRun* run : {&mine, &gone, &reused, &other_boot}) {
    ASSERT_TRUE(history.create(*run, {}).ok());
  }
  EXPECT_EQ(history.run(mine.id)->status, "running");
  for (const StoredRun* run : {&gone, &reused, &other_boot}) {
    EXPECT_EQ(history.run(run->id)->status, "failed") << run->app;
    EXPECT_THAT(history.run(run->id)->error, testing::StartsWith("interrupted"));
  }
}

TEST_F(HistoryTest, TheLogKeepsItsLastLines) {
  History history = open();
  StoredRun run = new_run("chatty");
  ASSERT_TRUE(history.create(run, {}).ok());
  constexpr int64_t kBatch = 5'000, kTotal = 125'000;
  for (int64_t at = 0; at != kTotal; at += kBatch) {
    RunUpdate update;
    update.log = lines(at + 1, at + kBatch);
    ASSERT_TRUE(history.save(run, update).ok());
  }
  const std::vector<std::string> kept = log_of(history, run.id, "all");
  EXPECT_GE(kept.size(), static_cast<size_t>(kLogLinesKept));
  EXPECT_LE(kept.size(), static_cast<size_t>(kLogLinesKept + kLogLinesKept / 10));
  EXPECT_EQ(kept.back(), "125000");
}

TEST_F(HistoryTest, ANewHistoryDoesNotWriteIntoOldRunsFolders) {
  fs::create_directories(home_ / "runs" / "1");
  fs::create_directories(home_ / "runs" / "2");
  History history = open();
  StoredRun run = new_run("a"), next = new_run("a");
  ASSERT_TRUE(history.create(run, {}).ok());
  ASSERT_TRUE(history.create(next, {}).ok());
  EXPECT_EQ(run.id, 3);
  EXPECT_EQ(next.id, 4);
  EXPECT_EQ(history.run(3)->folder, (home_ / "runs" / "3").string());
}

TEST_F(HistoryTest, ARunThatIsNotThereSaysWhichAre) {
  History history = open();
  EXPECT_EQ(message_of(history.run(4).status()), "run 4: there are no runs yet");
  StoredRun run = new_run("a");
  ASSERT_TRUE(history.create(run, {}).ok());
  EXPECT_EQ(history.run(4).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(message_of(history.run(4).status()), testing::HasSubstr("the latest is 1"));
}

TEST_F(HistoryTest, NothingIsCreatedByLooking) {
  const fs::path absent = home_ / "absent";
  const auto history = History::open_existing(absent);
  ASSERT_TRUE(history.ok());
  EXPECT_FALSE(history->has_value());
  EXPECT_FALSE(fs::exists(absent));
}

TEST_F(HistoryTest, AFileThatIsNoDatabaseIsNamedAndLeftAlone) {
  const std::string text(5000, 'x');
  std::ofstream(home_ / "history.db") << text;
  const auto history = History::open(home_);
  EXPECT_EQ(history.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(message_of(history.status()), testing::HasSubstr("history.db"));
  EXPECT_EQ(fs::file_size(home_ / "history.db"), text.size());
}

TEST_F(HistoryTest, AHistoryOfVersionOneIsBroughtUpToDate) {
  StoredRun run = new_run("old");
  {
    History history = open();
    ASSERT_TRUE(history.create(run, {}).ok());
    ASSERT_TRUE(history.save(run, {{round(1, 0.5)}, {}, {}, {}}).ok());
  }
  {
    auto database = Database::open(home_ / "history.db");
    ASSERT_TRUE(database.ok());
    ASSERT_TRUE(database
                    ->execute("ALTER TABLE runs DROP COLUMN reason;"
                              "ALTER TABLE rounds DROP COLUMN failure_samples;"
                              "ALTER TABLE runs DROP COLUMN link;"
                              "ALTER TABLE runs DROP COLUMN link_run;"
                              "ALTER TABLE runs DROP COLUMN virtual_seconds;"
                              "ALTER TABLE rounds DROP COLUMN virtual_seconds;"
                              "ALTER TABLE rounds DROP COLUMN wanted;"
                              "ALTER TABLE rounds DROP COLUMN asked;"
                              "ALTER TABLE rounds DROP COLUMN available;"
                              "PRAGMA user_version = 1;")
                    .ok());
  }
  History history = open();
  EXPECT_EQ(history.run(1)->app, "old");
  EXPECT_EQ(history.run(1)->reason, "");
  EXPECT_TRUE(history.rounds(1)->at(0).failure_samples.empty());
  EXPECT_FALSE(history.run(1)->virtual_seconds);
  EXPECT_FALSE(history.rounds(1)->at(0).virtual_time);
  ASSERT_TRUE(history.save(run, {{round(2, 0.25)}, {}, {}, {}}).ok());
  EXPECT_EQ(history.rounds(1)->at(1).failure_samples.at(0).node, 4);
}

TEST_F(HistoryTest, VirtualTimeIsKeptWhereThereIsAny) {
  History history = open();
  StoredRun run = new_run("phones");
  ASSERT_TRUE(history.create(run, {}).ok());
  EXPECT_FALSE(history.run(1)->virtual_seconds);
  RoundEvent in_virtual_time = round(2, 0.5);
  in_virtual_time.virtual_time = VirtualRound{90.5, 100, 62, 1234};
  run.virtual_seconds = 90.5;
  ASSERT_TRUE(history.save(run, {{round(1, 0.5), in_virtual_time}, {}, {}, {}}).ok());
  EXPECT_EQ(history.run(1)->virtual_seconds, 90.5);
  const auto rounds = history.rounds(1);
  EXPECT_FALSE(rounds->at(0).virtual_time);
  ASSERT_TRUE(rounds->at(1).virtual_time);
  EXPECT_EQ(rounds->at(1).virtual_time->seconds, 90.5);
  EXPECT_EQ(rounds->at(1).virtual_time->wanted, 100);
  EXPECT_EQ(rounds->at(1).virtual_time->asked, 62);
  EXPECT_EQ(rounds->at(1).virtual_time->available, 1234);
}

TEST_F(HistoryTest, AnotherFormatIsRefused) {
  {
    Result<Database> database = Database::open(home_ / "history.db");
    ASSERT_TRUE(database->execute("PRAGMA user_version = 99").ok());
  }
  EXPECT_THAT(message_of(History::open(home_).status()), testing::HasSubstr("format 99"));
}

TEST_F(HistoryTest, AFailedSaveLeavesWhatWasThere) {
  History history = open();
  StoredRun run = new_run("a");
  ASSERT_TRUE(history.create(run, {}).ok());
  RunUpdate first;
  first.rounds = {round(1, 1)};
  first.log = lines(1, 2);
  ASSERT_TRUE(history.save(run, first).ok());
  RunUpdate second;
  second.rounds = {round(2, 1)};
  second.log = lines(2, 3);  // line 2 is there already
  EXPECT_FALSE(history.save(run, second).ok());
  EXPECT_EQ(history.rounds(run.id)->size(), 1u);
  EXPECT_EQ(log_of(history, run.id, "all").size(), 2u);
}

}  // namespace
}  // namespace umbel::cli

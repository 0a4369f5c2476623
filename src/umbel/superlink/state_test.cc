#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "umbel/base/files.h"
#include "umbel/superlink/audit.h"
#include "umbel/superlink/event_log.h"
#include "umbel/superlink/logins.h"
#include "umbel/superlink/roster.h"
#include "umbel/superlink/run_events.h"
#include "umbel/superlink/timers.h"

namespace umbel::superlink {
namespace {

namespace fs = std::filesystem;

class StateTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char folder[] = "/tmp/umbel-state-XXXXXX";
    folder_ = ::mkdtemp(folder);
  }
  void TearDown() override { fs::remove_all(folder_); }
  static PublicKey key() { return PrivateKey::generate().public_key(); }
  fs::path folder_;
};

TEST_F(StateTest, NodesAndAccountsAreThereAfterARestart) {
  const PublicKey node_key = key(), user_key = key();
  uint64_t epoch = 0;
  {
    auto store = Store::open(folder_);
    ASSERT_TRUE(store.ok()) << store.status();
    epoch = (*store)->epoch();
    Roster roster(**store);
    ASSERT_TRUE(roster.load().ok());
    ASSERT_TRUE(roster.add_node("first", "default", node_key).ok());
    ASSERT_TRUE(roster.add_node("second", "other", key()).ok());
    ASSERT_TRUE(roster.add_account({"ada", "default", user_key, Role::kAdmin}).ok());
    ASSERT_TRUE(roster.remove_node("second").ok());
  }
  auto store = Store::open(folder_);
  ASSERT_TRUE(store.ok());
  EXPECT_GT((*store)->epoch(), epoch);
  Roster roster(**store);
  ASSERT_TRUE(roster.load().ok());
  EXPECT_EQ(roster.node(node_key)->name, "first");
  EXPECT_EQ(roster.account(user_key)->role, Role::kAdmin);
  EXPECT_EQ(roster.nodes("").size(), 1u);
  // A number is never given twice: an old run's members stay who they were.
  EXPECT_EQ(roster.add_node("third", "default", key())->number, 3u);
}

TEST_F(StateTest, NamesAndKeysAreTakenOnce) {
  auto store = Store::open(folder_);
  Roster roster(**store);
  const PublicKey one = key();
  ASSERT_TRUE(roster.add_node("a", "default", one).ok());
  EXPECT_EQ(roster.add_node("a", "default", key()).status().code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(roster.add_node("b", "default", one).status().code(), absl::StatusCode::kAlreadyExists);
  for (const char* name : {"", "../a", "a b", "a\n", ".a", "-a"}) {
    EXPECT_EQ(roster.add_node(name, "default", key()).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(roster.nodes("").size(), 1u);
  EXPECT_EQ(roster.remove_node("b").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(StateTest, TheLastAdministratorStays) {
  auto store = Store::open(folder_);
  Roster roster(**store);
  ASSERT_TRUE(roster.add_account({"root", "default", key(), Role::kAdmin}).ok());
  ASSERT_TRUE(roster.add_account({"ada", "default", key(), Role::kUser}).ok());
  EXPECT_EQ(roster.remove_account("root").status().code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(roster.add_account({"second", "default", key(), Role::kAdmin}).ok());
  EXPECT_TRUE(roster.remove_account("root").ok());
}

TEST_F(StateTest, TwoHubsDoNotShareAFolder) {
  auto store = Store::open(folder_);
  ASSERT_TRUE(store.ok());
  const auto second = Store::open(folder_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(second.status().message().find(folder_.string()), absl::string_view::npos);
}

TEST_F(StateTest, RunsAndDecisionsComeBackAsTheyWere) {
  RunRecord run;
  run.bundle = std::string(64, 'a');
  run.app = "quickstart";
  run.account = "ada";
  run.federation = "default";
  run.seed = INT64_MAX;
  run.config = {{"rounds", ConfigValue(3)}, {"rates", ConfigValue(std::vector<double>{0.5, 1})}};
  run.origins = {"umbel.toml:9", "--run-config"};
  {
    auto store = Store::open(folder_);
    run.id = *(*store)->create(run);
    run.status = RunStatus::kRunning;
    run.members = {4, 2, 9};
    ASSERT_TRUE((*store)->save(run).ok());
    ASSERT_TRUE((*store)->add(DecisionRecord{run.id, 2, "train", {0, 1, 2}, {0, 2}}).ok());
  }
  auto store = Store::open(folder_);
  const auto runs = (*store)->runs();
  ASSERT_TRUE(runs.ok()) << runs.status();
  ASSERT_EQ(runs->size(), 1u);
  const RunRecord& read = (*runs)[0];
  EXPECT_EQ(read.id, run.id);
  EXPECT_EQ(read.members, run.members);
  EXPECT_EQ(read.seed, run.seed);
  EXPECT_EQ(read.config, run.config);
  EXPECT_EQ(read.origins, run.origins);
  EXPECT_EQ(read.status, RunStatus::kRunning);
  const auto decisions = (*store)->decisions(run.id);
  ASSERT_EQ(decisions->size(), 1u);
  EXPECT_EQ((*decisions)[0].counted, (std::vector<uint64_t>{0, 2}));
}

TEST_F(StateTest, ADamagedDatabaseIsNamed) {
  std::ofstream(folder_ / "superlink.db") << std::string(5000, 'x');
  const auto store = Store::open(folder_);
  EXPECT_EQ(store.status().code(), absl::StatusCode::kDataLoss) << store.status();
  EXPECT_NE(store.status().message().find("superlink.db"), absl::string_view::npos);
}

TEST_F(StateTest, TheAuditLogShowsAnyChange) {
  const fs::path file = folder_ / "audit.log";
  {
    auto log = AuditLog::open(file);
    ASSERT_TRUE(log.ok());
    for (int i = 0; i != 5; ++i) {
      ASSERT_TRUE(
          (*log)->add("account ada", "start run", fmt::format("{} \"\n\x1b", i), "ok").ok());
    }
  }
  const std::string text = *read_file(file, 1 << 20);
  EXPECT_EQ(*AuditLog::verify(text, nullptr), 5u);
  // Each byte, each line.
  for (size_t i = 0; i != text.size(); ++i) {
    std::string changed = text;
    changed[i] ^= 1;
    EXPECT_FALSE(AuditLog::verify(changed, nullptr).ok()) << i;
  }
  std::string without_second = text;
  const size_t first = text.find('\n') + 1;
  without_second.erase(first, text.find('\n', first) + 1 - first);
  const auto found = AuditLog::verify(without_second, nullptr);
  EXPECT_NE(found.status().message().find("line 2"), absl::string_view::npos) << found.status();
  // Half a line is what a crash leaves; it goes on after the last whole one.
  std::ofstream(file, std::ios::app) << "{\"seq\":6,\"ti";
  auto log = AuditLog::open(file);
  ASSERT_TRUE(log.ok()) << log.status();
  ASSERT_TRUE((*log)->add("hub", "start", "", "ok").ok());
  EXPECT_EQ(*AuditLog::verify(*read_file(file, 1 << 20), nullptr), 6u);
}

TEST_F(StateTest, AChallengeIsGoodOnceAndNotForLong) {
  Logins logins;
  const auto now = Logins::Clock::now();
  const std::string challenge = logins.challenge(now);
  EXPECT_TRUE(logins.redeem(challenge, now));
  EXPECT_FALSE(logins.redeem(challenge, now));
  const std::string other = logins.challenge(now);
  EXPECT_FALSE(logins.redeem(other, now + Logins::kChallengeLife + std::chrono::seconds(1)));
  const std::string first = logins.challenge(now);
  for (size_t i = 0; i != Logins::kChallengesMax; ++i) logins.challenge(now);
  EXPECT_FALSE(logins.redeem(first, now));
  const PublicKey owner = key();
  const std::string token = logins.token_for(owner, now);
  EXPECT_EQ(logins.owner(token, now), owner);
  EXPECT_EQ(logins.owner(token, now + Logins::kTokenLife + std::chrono::seconds(1)), std::nullopt);
  const std::string second = logins.token_for(owner, now);
  logins.forget(owner);
  EXPECT_EQ(logins.owner(second, now), std::nullopt);
}

TEST_F(StateTest, EventsAreReadOnFromAnyPlace) {
  auto log = *EventLog::open(folder_ / "events");
  std::vector<int> woken;
  log->wait(0, [&] { woken.push_back(1); });
  const uint64_t cancelled = log->wait(0, [&] { woken.push_back(2); });
  log->cancel(cancelled);
  ASSERT_TRUE(log->append(R"({"event":"rounds","rounds":3})").ok());
  EXPECT_EQ(woken, std::vector<int>{1});
  ASSERT_TRUE(log->append(R"({"event":"x"})").ok());
  const std::string second = *log->read(1);
  EXPECT_TRUE(second.starts_with("{\"seq\":2,")) << second;
  EXPECT_TRUE(second.ends_with("\"event\":{\"event\":\"x\"}}\n")) << second;
  EXPECT_EQ(*log->read(2), "");
  log->wait(2, [&] { woken.push_back(3); });
  log->close();
  EXPECT_EQ(woken.back(), 3);
  std::ofstream(folder_ / "events", std::ios::app) << "{\"seq\":3,";
  EXPECT_EQ((*EventLog::open(folder_ / "events"))->last(), 2u);
}

TEST_F(StateTest, RoundsThatAreRepeatedAfterARestartCountOnce) {
  auto log = *EventLog::open(folder_ / "events");
  {
    RunEvents events(log);
    ASSERT_TRUE(events.event(R"({"event":"rounds","rounds":5})").ok());
    ASSERT_TRUE(events.event(R"({"event":"round","round":1,"clients":4})").ok());
    ASSERT_TRUE(events.event(R"({"event":"round","round":2,"clients":4})").ok());
    EXPECT_FALSE(events.event("[1]").ok());
    EXPECT_FALSE(events.event(std::string(5000, '[')).ok());
  }
  RunEvents events(log);
  ASSERT_TRUE(events.catch_up().ok());
  EXPECT_EQ(events.rounds(), 2u);
  EXPECT_EQ(events.rounds_planned(), 5u);
  ASSERT_TRUE(events.event(R"({"event":"round","round":2,"clients":4})").ok());
  ASSERT_TRUE(events.event(R"({"event":"round","round":3,"clients":4})").ok());
  EXPECT_EQ(events.rounds(), 3u);
  EXPECT_EQ(log->last(), 4u);
  events.finish({"failed", "why", 1});
  EXPECT_NE(log->read(4)->find("\"clients\":12"), std::string::npos);
}

TEST(TimersTest, CallInTheirOrderAndNotAfterCancel) {
  Timers timers;
  absl::Mutex mutex;
  std::vector<int> called;
  const auto note = [&](int i) {
    return [&, i] {
      absl::MutexLock lock(&mutex);
      called.push_back(i);
    };
  };
  timers.after(std::chrono::milliseconds(30), note(3));
  timers.after(std::chrono::milliseconds(10), note(1));
  timers.cancel(timers.after(std::chrono::milliseconds(15), note(2)));
  timers.after(std::chrono::hours(1'000'000), note(4));
  absl::MutexLock lock(&mutex);
  const auto both = [&] { return called.size() == 2; };
  mutex.Await(absl::Condition(&both));
  EXPECT_EQ(called, (std::vector<int>{1, 3}));
}

}  // namespace
}  // namespace umbel::superlink

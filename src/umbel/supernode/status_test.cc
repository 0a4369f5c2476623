#include "umbel/supernode/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <thread>

#include "umbel/base/files.h"
#include "umbel/supernode/app_log.h"
#include "umbel/supernode/loop.h"
#include "umbel/supernode/run_here.h"
#include "umbel/supernode/temporary_folder_test.h"

namespace umbel::supernode {
namespace {

using testing::HasSubstr;
using testing::Not;

NodeStatus some_status() {
  NodeStatus status;
  status.connected = true;
  status.hub = "hub:9092";
  status.name = "ward-7";
  status.runs = {{.run = 7, .app = "acme/demo@1", .working = true, .process = true}};
  status.working = 1;
  status.last_error = "a \x1b[31mred\n line";
  return status;
}

TEST(NodeStatus, WhatIsWrittenIsRead) {
  const TemporaryFolder folder;
  ASSERT_TRUE(write_status(folder.path() / "status.json", some_status()).ok());
  const auto read = parse_status(*read_file(folder.path() / "status.json", 1 << 20));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(format_json(*read), format_json(some_status()));
}

TEST(NodeStatus, ATerminalGetsNoEscapes) {
  const std::string text = format_text(some_status(), true);
  EXPECT_THAT(text, HasSubstr("connected"));
  EXPECT_THAT(text, HasSubstr("acme/demo@1  working"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(format_text(some_status(), false), HasSubstr("not running"));
}

TEST(NodeStatus, WhatIsNoStatusIsRefused) {
  for (const char* text : {"", "[]", "{}", "{\"connected\": 7}", "\xff"}) {
    EXPECT_FALSE(parse_status(text).ok()) << text;
  }
}

TEST(StateFolder, IsUsedByOneNodeAtATime) {
  const TemporaryFolder folder;
  const auto state = folder.path() / "state";
  EXPECT_FALSE(is_locked(state));
  {
    const auto lock = lock_state(state);
    ASSERT_TRUE(lock.ok()) << lock.status();
    EXPECT_TRUE(is_locked(state));
    EXPECT_TRUE(absl::IsAlreadyExists(lock_state(state).status()));
  }
  EXPECT_FALSE(is_locked(state));
  EXPECT_TRUE(lock_state(state).ok());
  struct stat status {};
  ASSERT_EQ(stat(state.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700);
}

TEST(AppLog, IsEscapedCappedAndTheOwnersAlone) {
  const TemporaryFolder folder;
  const auto file = folder.path() / "logs" / "run-7.log";
  const auto log = AppLog::open(file, 2'000);
  ASSERT_TRUE(log.ok()) << log.status();
  for (int i = 0; i != 200; ++i) (*log)->write("app", "line\n\x1b[2J of an app");
  struct stat status {};
  ASSERT_EQ(stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600);
  EXPECT_LE(status.st_size, 2'000);
  ASSERT_EQ(stat((file.string() + ".1").c_str(), &status), 0);
  EXPECT_LE(status.st_size, 2'000);
  EXPECT_GT(status.st_size, 1'500);
  EXPECT_THAT(*read_file(file, 1 << 20), Not(HasSubstr("\x1b")));
}

TEST(AppLog, OldRunsLogsArePruned) {
  const TemporaryFolder folder;
  for (int i = 0; i != 5; ++i) {
    const auto file = folder.path() / fmt::format("run-{}.log", i);
    ASSERT_TRUE(write_file_atomic(file, "x").ok());
    ASSERT_TRUE(write_file_atomic(file.string() + ".1", "x").ok());
    std::filesystem::last_write_time(
        file, std::filesystem::file_time_type::clock::now() - std::chrono::hours(10 - i));
  }
  prune_logs(folder.path(), 2);
  for (int i = 0; i != 5; ++i) {
    EXPECT_EQ(std::filesystem::exists(folder.path() / fmt::format("run-{}.log", i)), i >= 3);
    EXPECT_EQ(std::filesystem::exists(folder.path() / fmt::format("run-{}.log.1", i)), i >= 3);
  }
}

TEST(LogAllowance, IsABurstAndThenARate) {
  LogAllowance allowance;
  int taken = 0;
  while (allowance.take(0)) ++taken;
  EXPECT_EQ(taken, 200);
  for (int i = 0; i != 1'000; ++i) taken += allowance.take(i * 0.01) ? 1 : 0;
  EXPECT_NEAR(taken, 200 + 200, 2) << "20 a second, for 10 seconds";
}

TEST(Loop, CallsRunOneAfterAnotherAndLaterOnesInTheOrderOfTheirTimes) {
  Loop loop;
  std::string order;
  std::jthread other([&] {
    loop.post([&] {
      order += "a";
      loop.after(std::chrono::milliseconds(20), [&] {
        order += "c";
        loop.stop();
      });
      loop.after(std::chrono::milliseconds(5), [&] { order += "b"; });
    });
  });
  loop.run();
  EXPECT_EQ(order, "abc");
}

}  // namespace
}  // namespace umbel::supernode

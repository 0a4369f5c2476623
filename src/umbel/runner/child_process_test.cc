#include "umbel/runner/child_process.h"

#include <absl/synchronization/mutex.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "umbel/base/error.h"
#include "umbel/runner/channel.h"

namespace umbel::runner {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// What a process says, to wait for and to look at.
class Heard {
 public:
  std::function<void(bool, std::string_view)> listener() {
    return [this](bool is_error, std::string_view line) {
      absl::MutexLock lock(&mutex_);
      lines_.push_back((is_error ? "error: " : "") + std::string(line));
    };
  }
  void await(const std::string& line) {
    absl::MutexLock lock(&mutex_);
    const auto heard = [&] { return std::ranges::count(lines_, line) > 0; };
    mutex_.Await(absl::Condition(&heard));
  }
  std::vector<std::string> lines() {
    absl::MutexLock lock(&mutex_);
    return lines_;
  }

 private:
  absl::Mutex mutex_;
  std::vector<std::string> lines_;
};

class ChildProcessTest : public ::testing::Test {
 protected:
  ProcessOptions shell(const std::string& script) {
    ProcessOptions options{.arguments = {"sh", "-c", script}};
    options.on_line = heard.listener();
    return options;
  }
  std::unique_ptr<ChildProcess> start(const std::string& script) {
    return or_throw(ChildProcess::start(shell(script)));
  }
  static bool is_alive(pid_t pid) {
    std::ifstream file(fmt::format("/proc/{}/stat", pid));
    std::string id, name, state;
    return file >> id >> name >> state && state != "Z" && state != "X";
  }
  Heard heard;
};

TEST_F(ChildProcessTest, LinesOfBothStreamsAndTheExitCodeAreTold) {
  const auto child = start("echo one; echo two >&2; printf 'no end'; exit 3");
  EXPECT_EQ(child->wait(), "exited with 3");
  EXPECT_TRUE(child->has_ended());
  EXPECT_THAT(heard.lines(), ::testing::UnorderedElementsAre("one", "error: two", "no end"));
}

TEST_F(ChildProcessTest, TheSignalThatKilledItIsTold) {
  EXPECT_EQ(start("kill -SEGV $$")->wait(), "killed by SIGSEGV");
}

TEST_F(ChildProcessTest, AProgramThatIsNotThereIsNamed) {
  const auto result = ChildProcess::start({.arguments = {"/nowhere/app"}});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(message_of(result.status()),
              HasSubstr("/nowhere/app: cannot start it: No such file"));
  EXPECT_FALSE(ChildProcess::start({}).ok());
  EXPECT_FALSE(ChildProcess::start({.arguments = {"sh"}, .folder = "/nowhere"}).ok());
}

TEST_F(ChildProcessTest, LongLinesComeInPieces) {
  start("head -c 10000 /dev/zero | tr '\\0' x; echo")->wait();
  const auto lines = heard.lines();
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].size(), 4096u);
  EXPECT_EQ(lines[2].size(), 10'000u - 2 * 4096);
}

TEST_F(ChildProcessTest, OutputBeyondTheLimitIsDroppedAfterOneLineThatSaysSo) {
  ProcessOptions options = shell("echo 12345; echo 12345; echo 1; echo 2; echo 3");
  options.output_bytes_max = 10;
  or_throw(ChildProcess::start(std::move(options)))->wait();
  EXPECT_THAT(
      heard.lines(),
      ElementsAre("12345", "12345", "error: more than 10 bytes of output: the rest is dropped"));
}

TEST_F(ChildProcessTest, ItGetsTheEnvironmentThatIsGivenAndNoOther) {
  ::setenv("UMBEL_TEST_SECRET", "s", 1);
  ProcessOptions options = shell("env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= | sort");
  options.environment = {{"GIVEN", "a b"}};
  or_throw(ChildProcess::start(std::move(options)))->wait();
  bool given = false;
  for (const std::string& line : heard.lines()) {
    const std::string name = line.substr(0, line.find('='));
    EXPECT_THAT(
        (std::vector<std::string>{"PATH", "HOME", "LANG", "TZ", "GIVEN", "OLDPWD",
                                  "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE"}),
        ::testing::Contains(name));
    given |= line == "GIVEN=a b";
  }
  EXPECT_TRUE(given);
}

TEST_F(ChildProcessTest, ItHasNoDescriptorButThoseGiven) {
  auto ends = or_throw(Channel::make_pair());
  const Descriptor open(::open("/dev/null", O_RDONLY));  // would be inherited by exec alone
  ProcessOptions options =
      shell("ls /proc/self/fd | wc -l; ls -l /proc/self/fd/$CHANNEL | grep -c socket; ulimit -c");
  options.descriptors = {{"CHANNEL", ends.second.get()}};
  or_throw(ChildProcess::start(std::move(options)))->wait();
  // Its three streams, the channel, and the folder that ls reads.
  EXPECT_THAT(heard.lines(), ElementsAre("5", "1", "0"));
}

TEST_F(ChildProcessTest, TheChannelsOtherEndClosesWithTheProcess) {
  auto ends = or_throw(Channel::make_pair());
  ProcessOptions options = shell("exit 0");
  options.descriptors = {{"CHANNEL", ends.second.get()}};
  const auto child = or_throw(ChildProcess::start(std::move(options)));
  ends.second = Descriptor();
  EXPECT_EQ(ends.first.receive(1).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ChildProcessTest, WhatItLeavesRunningInItsGroupIsKilled) {
  const auto child = start("sleep 1000 & echo $!; exit 0");
  EXPECT_EQ(child->wait(), "exited with 0");
  ASSERT_EQ(heard.lines().size(), 1u);
  const auto left = static_cast<pid_t>(std::stol(heard.lines()[0]));
  while (is_alive(left)) std::this_thread::yield();  // killed; its new parent has yet to reap it
}

TEST_F(ChildProcessTest, WhoeverLeftTheGroupWithItsOutputDoesNotHoldUpTheEnd) {
  const auto child = start("setsid sleep 1000 & echo $!; exit 0");
  EXPECT_EQ(child->wait(), "exited with 0");
  ::kill(static_cast<pid_t>(std::stol(heard.lines()[0])), SIGKILL);
}

TEST_F(ChildProcessTest, TerminateGivesTimeToEndInOrder) {
  const auto child =
      start("trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.01; done");
  heard.await("ready");
  child->terminate(std::chrono::minutes(10));
  EXPECT_EQ(child->wait(), "exited with 7");
  EXPECT_THAT(heard.lines(), ::testing::Contains("bye"));  // the shell has its say as well
}

TEST_F(ChildProcessTest, TerminateKillsWhatDoesNotEnd) {
  const auto child = start("trap '' TERM; echo ready; while :; do sleep 0.01; done");
  heard.await("ready");
  child->terminate(milliseconds(50));
  EXPECT_EQ(child->wait(), "killed by SIGKILL");
}

TEST_F(ChildProcessTest, ManyMayWaitAndTheEndOfTheObjectEndsTheProcess) {
  auto child = start("echo $$; exec sleep 1000");
  std::vector<std::jthread> waiting;
  for (int i = 0; i != 3; ++i) {
    waiting.emplace_back([&] { EXPECT_EQ(child->wait(), "killed by SIGKILL"); });
  }
  child->kill();
  waiting.clear();
  const pid_t pid = start("exec sleep 1000")->pid();
  EXPECT_FALSE(is_alive(pid));
}

TEST_F(ChildProcessTest, ItOutlivesTheThreadThatStartedIt) {
  std::unique_ptr<ChildProcess> child;
  std::jthread([&] { child = start("echo ready; read line; exit 5"); }).join();
  heard.await("ready");
  EXPECT_EQ(child->wait(), "exited with 5");  // its input is empty
}

TEST_F(ChildProcessTest, ItDiesWithTheDaemon) {
  // A daemon in between: it starts a process, tells its number, and crashes.
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t daemon = ::fork();
  if (daemon == 0) {
    auto child = ChildProcess::start({.arguments = {"sleep", "1000"}});
    const pid_t pid = child.ok() ? (*child)->pid() : 0;
    const ssize_t wrote = ::write(ends[1], &pid, sizeof pid);
    ::kill(::getpid(), wrote == sizeof pid ? SIGKILL : SIGTERM);
  }
  pid_t pid = 0;
  ASSERT_EQ(::read(ends[0], &pid, sizeof pid), static_cast<ssize_t>(sizeof pid));
  ASSERT_GT(pid, 0);
  while (is_alive(pid)) std::this_thread::yield();
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(ChildProcessTest, ManyAtOnceKeepTheirOutputsApart) {
  std::vector<std::jthread> threads;
  for (int t = 0; t != 8; ++t) {
    threads.emplace_back([t] {
      Heard mine;
      ProcessOptions options{.arguments = {"sh", "-c", fmt::format("echo {}; exit {}", t, t)}};
      options.on_line = mine.listener();
      const auto child = or_throw(ChildProcess::start(std::move(options)));
      EXPECT_EQ(child->wait(), fmt::format("exited with {}", t));
      EXPECT_THAT(mine.lines(), ElementsAre(std::to_string(t)));
    });
  }
}

}  // namespace
}  // namespace umbel::runner

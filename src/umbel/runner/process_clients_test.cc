#include "umbel/runner/process_clients.h"

#include <absl/synchronization/mutex.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "umbel/app/silent_runtime.h"
#include "umbel/base/error.h"
#include "umbel/runner/test_worker/app_test.h"

namespace umbel::runner {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class Lines final : public SilentRuntime {
 public:
  void log(LogLevel, std::optional<NodeId> node, std::string_view message) override {
    absl::MutexLock lock(&mutex_);
    lines_.push_back(fmt::format("{}: {}", node ? node->value() : 0, message));
  }
  std::vector<std::string> lines() {
    absl::MutexLock lock(&mutex_);
    return lines_;
  }
  // Until so many lines are there.
  void await(size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto there = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return lines_.size() >= count; };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&there), absl::Seconds(60))) << count;
  }

 private:
  absl::Mutex mutex_;
  std::vector<std::string> lines_;
};

WorkerCommand worker_command(std::vector<std::string> more = {}) {
  WorkerCommand command{.arguments = {RUNNER_TEST_WORKER}};
  command.arguments.insert(command.arguments.end(), more.begin(), more.end());
  return command;
}

// A zygote whose workers become the test's worker by exec: all that comes from zygote.py, without
// an interpreter's own bytes in the numbers.
WorkerCommand zygote_command(const std::string& before = "") {
  const std::string script = fmt::format(
      "import os, sys, socket\n"
      "sys.path.insert(0, '{}')\n"
      "import zygote\n"
      "def serve(channel):\n"
      "    os.set_inheritable(channel, True)\n"
      "    os.execve('{}', ['worker'], dict(os.environ, UMBEL_CHANNEL_FD=str(channel)))\n"
      "control = int(os.environ['UMBEL_CONTROL_FD'])\n"
      "{}\n"
      "sys.exit(zygote.run_zygote(control, serve))\n",
      ZYGOTE_FOLDER, RUNNER_TEST_WORKER, before);
  return {.arguments = {"/usr/bin/python3", "-B", "-S", "-c", script}};
}

std::unique_ptr<WorkerSource> source_named(const std::string& name) {
  if (name == "zygote") return or_throw(exec_zygote(zygote_command()));
  return exec_workers(worker_command());
}

bool is_alive(int64_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string id, name, state;
  return file >> id >> name >> state && state != "Z" && state != "X";
}
// Until nothing is left of it, none of its threads either.
void await_end(int64_t pid) {
  const Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process) return;  // it is gone already
  pollfd waits{.fd = process.get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&waits, 1, 5000), 1) << pid;
}

size_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

// By either source of workers.
class ProcessClientsTest : public ::testing::TestWithParam<std::string> {
 protected:
  ProcessClientsTest() {
    run = umbel::Run{.id = RunId(7), .seed = 42, .nodes = 1000, .runtime = &lines};
    run.config = RunConfig({{"step", 0.1}}, {"umbel.toml:9"});
  }
  void start(size_t workers) {
    clients = std::make_unique<ProcessClients>(source_named(GetParam()), run, workers);
  }
  static std::shared_ptr<const RecordDict> model(size_t n) {
    std::vector<float> values(n);
    for (size_t i = 0; i != n; ++i) values[i] = static_cast<float>(i % 100) / 7;
    return make_content({{"w", Array::copy_of<float>(values, {static_cast<int64_t>(n)})}}, {});
  }
  Message message(uint64_t client, std::string type, std::shared_ptr<const RecordDict> content) {
    return Message({.run = run.id,
                    .id = MessageId(++messages),
                    .source = kServerNode,
                    .destination = NodeId(client),
                    .type = std::move(type),
                    .round = 2},
                   std::move(content));
  }
  Message query(uint64_t client, const std::string& type, ConfigRecord config = {}) {
    RecordDict content;
    content.set("config", std::move(config));
    return message(client, type, std::make_shared<const RecordDict>(std::move(content)));
  }
  Message handled(const ClientHandler& handler, const Message& message, RecordDict* state = nullptr,
                  const ConfigRecord* configured = nullptr, const WrapUp* wrap_up = nullptr) {
    Context context(run, message.metadata().destination, client_seed(run.seed, message.metadata()),
                    configured, wrap_up);
    if (state) context.state() = *state;
    Message reply = handler.handle(message, context);
    if (state) *state = context.state();
    return reply;
  }
  int64_t pid_of_worker() { return handled(*clients, query(1, "query")).metrics().integer("pid"); }
  std::string failure(const Message& reply) {
    EXPECT_TRUE(reply.has_error());
    if (!reply.has_error()) return "";
    EXPECT_EQ(reply.error().code, MessageError::Code::kClientFailed);
    return reply.error().reason;
  }

  Lines lines;
  umbel::Run run;
  std::atomic<uint64_t> messages{0};
  std::unique_ptr<ProcessClients> clients;
};

INSTANTIATE_TEST_SUITE_P(Sources, ProcessClientsTest, ::testing::Values("exec", "zygote"),
                         [](const auto& info) { return info.param; });

TEST_P(ProcessClientsTest, RepliesAndStatesAreThoseOfTheSameAppInThisProcess) {
  start(1);
  const ClientApp here = test_client();
  const ConfigRecord man{{"gender", "men"}}, woman{{"gender", "women"}};
  for (const size_t n : {size_t{3}, size_t{7850}, size_t{500'000}}) {
    const auto content = model(n);
    RecordDict state, state_here;
    for (uint64_t client = 0; client != 6; ++client) {
      const Message one = message(client, "train", content);
      const ConfigRecord* configured = client % 3 == 0 ? nullptr : client % 3 == 1 ? &man : &woman;
      const Message expected = handled(here, one, &state_here, configured);
      const Message reply = handled(*clients, one, &state, configured);
      EXPECT_EQ(reply.metadata(), expected.metadata());
      EXPECT_EQ(reply.content(), expected.content());
      EXPECT_EQ(state, state_here);
    }
  }
}

TEST_P(ProcessClientsTest, ContentsAlternateAndComeBackUnchanged) {
  start(1);
  const ClientApp here = test_client();
  std::vector<std::shared_ptr<const RecordDict>> contents;
  for (const size_t n : {10, 100'000, 30, 40}) contents.push_back(model(n));
  for (const size_t i : {0, 1, 0, 1, 2, 1, 0, 3, 3, 1, 2, 0}) {
    const Message one = message(5, "train", contents[i]);
    EXPECT_EQ(handled(*clients, one).content(), handled(here, one).content()) << i;
  }
}

TEST_P(ProcessClientsTest, ATwinKnowsThatItIsOne) {
  run.twin_examples = 100;
  run.nodes = 1;
  start(1);
  EXPECT_EQ(handled(*clients, message(0, "train", model(1))).metrics().integer("twin"), 1);
}

TEST_P(ProcessClientsTest, AContentIsInSharedMemoryOnceForAllWhoGetIt) {
  start(3);
  const auto content = model(200'000);
  const auto train_three = [&] {
    std::vector<std::jthread> threads;
    for (uint64_t client = 0; client != 3; ++client) {
      threads.emplace_back([&, client] { handled(*clients, message(client, "train", content)); });
    }
  };
  train_three();
  const size_t before = open_descriptors();
  for (int i = 0; i != 5; ++i) train_three();
  EXPECT_EQ(open_descriptors(), before);
}

TEST_P(ProcessClientsTest, RepliesThatAreKeptStayAsTheyWere) {
  start(1);
  const ClientApp here = test_client();
  for (const size_t n : {size_t{2'000}, size_t{300'000}, size_t{2'000'000}, size_t{1'000}}) {
    const auto content = model(n);
    std::vector<Message> expected, replies;
    for (uint64_t client = 0; client != 15; ++client) {  // more than there are places for
      const Message one = message(client, "train", content);
      expected.push_back(handled(here, one));
      replies.push_back(handled(*clients, one));
    }
    for (size_t i = 0; i != replies.size(); ++i) {
      ASSERT_EQ(replies[i].content(), expected[i].content()) << n << " " << i;
    }
  }
}

TEST_P(ProcessClientsTest, AKeptReplyOutlivesItsWorkerAndAllClients) {
  start(1);
  std::vector<Message> replies;
  for (uint64_t client = 0; client != 3; ++client) {
    replies.push_back(handled(*clients, message(client, "train.echo", model(50'000))));
  }
  handled(*clients, query(5, "query.segv"));
  clients.reset();
  for (const Message& reply : replies) {
    EXPECT_EQ(reply.arrays(), std::get<ArrayRecord>((*model(50'000))["arrays"]));
  }
}

TEST_P(ProcessClientsTest, AWrapUpIsKnownToTheWorkerBeforeItComes) {
  start(1);
  const auto now = WrapUp::Clock::now();
  const WrapUp wrap_up(now + std::chrono::milliseconds(50), now + std::chrono::seconds(100));
  const Message reply = handled(*clients, query(1, "query.patient"), nullptr, nullptr, &wrap_up);
  EXPECT_GE(WrapUp::Clock::now() - now, std::chrono::milliseconds(50));
  const double left = reply.metrics().real("left");
  EXPECT_TRUE(left > 50 && left <= 100) << left;
}

TEST_P(ProcessClientsTest, AClientsLinesGoToTheRun) {
  start(1);
  handled(*clients, message(4, "evaluate", model(2)));
  EXPECT_THAT(lines.lines(), ::testing::ElementsAre("4: evaluated"));
}

TEST_P(ProcessClientsTest, WhatAnActionThrowsIsTheClientsFailureAndTheWorkerGoesOn) {
  start(1);
  const int64_t pid = pid_of_worker();
  EXPECT_EQ(failure(handled(*clients, query(5, "query.throw"))), "client 5: no data here");
  EXPECT_EQ(pid_of_worker(), pid);
}

TEST_P(ProcessClientsTest, AWorkersEndIsOneClientsFailureThatSaysHow) {
  start(1);
  const auto fails_with = [&](const std::string& type, ConfigRecord config = {}) {
    const int64_t pid = pid_of_worker();
    const std::string reason = failure(handled(*clients, query(5, type, std::move(config))));
    EXPECT_NE(pid_of_worker(), pid);
    await_end(pid);
    return reason;
  };
  EXPECT_EQ(fails_with("query.segv"), "client 5: its process was killed by SIGSEGV");
  EXPECT_EQ(fails_with("query.exit", {{"code", 0}}), "client 5: its process exited with 0");
  EXPECT_EQ(fails_with("query.exit", {{"code", 3}}), "client 5: its process exited with 3");
  EXPECT_EQ(fails_with("query.orphan"), "client 5: its process exited with 3");
  EXPECT_EQ(fails_with("query.close"), "client 5: its process exited with 1");
  EXPECT_THAT(fails_with("query.garbage"),
              StartsWith("client 5: its process broke the protocol: "));
}

TEST_P(ProcessClientsTest, MemoryThatIsNotThereIsTheClientsFailure) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizers' own allocators end the process";
#endif
  start(1);
  EXPECT_THAT(failure(handled(*clients, query(5, "query.greedy"))),
              AnyOf(HasSubstr("bad_alloc"), HasSubstr("length_error")));
  EXPECT_FALSE(handled(*clients, query(6, "query")).has_error());
}

TEST_P(ProcessClientsTest, AWorkerThatEndsWhileItIsIdleCostsNobody) {
  start(2);
  for (int i = 0; i != 5; ++i) {
    const int64_t pid = pid_of_worker();
    ASSERT_EQ(::kill(static_cast<pid_t>(pid), SIGKILL), 0);
    await_end(pid);
    EXPECT_NE(pid_of_worker(), pid);
  }
}

TEST_P(ProcessClientsTest, GivingUpOnAMessageKillsItsWorkerAndNoOther) {
  start(2);
  const Message hangs = query(5, "query.hang");
  std::optional<Message> reply;
  std::jthread handling([&] { reply = handled(*clients, hangs); });
  const int64_t other = pid_of_worker();
  clients->give_up(query(6, "query").metadata());  // nobody is at this one
  clients->give_up(hangs.metadata());
  handling.join();
  EXPECT_TRUE(reply->has_error());
  EXPECT_EQ(pid_of_worker(), other);
}

TEST_P(ProcessClientsTest, StoppingEndsAllWorkAtOnce) {
  start(2);
  std::vector<std::jthread> threads;
  for (uint64_t client = 0; client != 4; ++client) {
    threads.emplace_back(
        [&, client] { EXPECT_TRUE(handled(*clients, query(client, "query.hang")).has_error()); });
  }
  lines.await(2);  // two are at work, the others wait for a worker
  const auto start = std::chrono::steady_clock::now();
  clients->stop();
  for (std::jthread& thread : threads) thread.join();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST_P(ProcessClientsTest, NothingIsLeftOfTheWorkersAtTheEnd) {
  start(1);
  const int64_t pid = pid_of_worker();
  clients.reset();
  EXPECT_FALSE(is_alive(pid));
}

TEST_P(ProcessClientsTest, MoreMessagesThanWorkersWaitTheirTurn) {
  start(2);
  std::vector<std::jthread> threads;
  std::atomic<int> done = 0;
  std::set<int64_t> pids;
  absl::Mutex mutex;
  for (uint64_t client = 0; client != 8; ++client) {
    threads.emplace_back([&, client] {
      for (int i = 0; i != 50; ++i) {
        const Message reply = handled(*clients, query(client, "query"));
        EXPECT_EQ(reply.metrics().integer("client"), static_cast<int64_t>(client));
        ++done;
        absl::MutexLock lock(&mutex);
        pids.insert(reply.metrics().integer("pid"));
      }
    });
  }
  for (std::jthread& thread : threads) thread.join();
  EXPECT_EQ(done, 400);
  EXPECT_LE(pids.size(), 2u);
}

// Why no client can be served.
std::string refusal(std::unique_ptr<WorkerSource> source) {
  SilentRuntime silent;
  umbel::Run run{.id = RunId(7), .nodes = 10, .runtime = &silent};
  const ProcessClients clients(std::move(source), run, 2);
  try {
    clients.prepare();
  } catch (const Error& error) {
    return message_of(error.status());
  }
  return "none";
}

TEST(WorkerStartTest, WorkersThatNeverGetReadyFailTheRunWithTheReason) {
  EXPECT_THAT(refusal(exec_workers({.arguments = {"/no/such/program"}})),
              HasSubstr("/no/such/program: cannot start it: No such file"));
  EXPECT_EQ(refusal(exec_workers(worker_command({"dies"}))),
            "a process for the clients exited with 7 before it was ready");
  EXPECT_EQ(refusal(exec_workers(worker_command({"closes"}))),
            "a process for the clients closed its channel before it was ready");
  EXPECT_EQ(refusal(or_throw(exec_zygote(zygote_command("sys.exit(5)")))),
            "the zygote, which starts the workers, exited with 5");
  EXPECT_EQ(refusal(or_throw(exec_zygote(
                zygote_command("zygote.refuse(control, \"no module 'torch'\"); sys.exit(4)")))),
            "no module 'torch'");
}

TEST(WorkerStartTest, ThreeFailedStartsInARowFailTheRunLaterToo) {
  const auto folder = std::filesystem::temp_directory_path() / fmt::format("umbel-{}", ::getpid());
  std::filesystem::create_directory(folder);
  const auto link = folder / "worker";
  std::filesystem::create_symlink(RUNNER_TEST_WORKER, link);
  SilentRuntime silent;
  umbel::Run run{.id = RunId(7), .nodes = 10, .runtime = &silent};
  const ProcessClients clients(exec_workers({.arguments = {link.string()}}), run, 1);
  clients.prepare();
  std::filesystem::remove_all(folder);
  uint64_t id = 0;
  const auto crash = [&] {
    const Message message({.run = run.id, .id = MessageId(++id), .type = "query.segv"},
                          RecordDict{{"config", ConfigRecord()}});
    Context context(run, NodeId(0), 1);
    return clients.handle(message, context);
  };
  EXPECT_THAT(crash().error().reason, HasSubstr("SIGSEGV"));
  EXPECT_THAT(crash().error().reason, HasSubstr("client 0: "));
  EXPECT_THAT(crash().error().reason, HasSubstr("cannot start it"));
  EXPECT_THROW(crash(), Error);
}

TEST(ZygoteTest, ItsWorkersDieWithIt) {
  SilentRuntime silent;
  umbel::Run run{.id = RunId(7), .nodes = 10, .runtime = &silent};
  const ProcessClients clients(or_throw(exec_zygote(zygote_command())), run, 1);
  const Message message({.run = run.id, .id = MessageId(1), .type = "query"},
                        RecordDict{{"config", ConfigRecord()}});
  Context context(run, NodeId(0), 1);
  const int64_t worker = clients.handle(message, context).metrics().integer("pid");
  std::ifstream file(fmt::format("/proc/{}/stat", worker));
  std::string id, name, state;
  int64_t zygote = 0;
  file >> id >> name >> state >> zygote;
  ASSERT_GT(zygote, 1);
  ASSERT_EQ(::kill(static_cast<pid_t>(zygote), SIGKILL), 0);
  await_end(worker);
  const Message reply = clients.handle(message, context);
  EXPECT_TRUE(reply.has_error());
}

}  // namespace
}  // namespace umbel::runner

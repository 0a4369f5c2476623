#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "umbel/app/run_rounds.h"
#include "umbel/app/silent_runtime.h"
#include "umbel/main/local_run.h"
#include "umbel/record/safetensors.h"
#include "umbel/runner/process_clients.h"
#include "umbel/runner/test_worker/app_test.h"
#include "umbel/simulation/simulation.h"
#include "umbel/strategy/fed_adam.h"
#include "umbel/strategy/fed_avg.h"

// Simulations whose clients run in processes of their own.
namespace umbel {
namespace {

using ::testing::HasSubstr;
using Code = MessageError::Code;

constexpr uint64_t kNodes = 40;

// Knows which clients have said something.
class Heard final : public SilentRuntime {
 public:
  void log(LogLevel, std::optional<NodeId> node, std::string_view) override {
    absl::MutexLock lock(&mutex_);
    if (node) nodes_.insert(node->value());
  }
  void await(uint64_t node) {
    absl::MutexLock lock(&mutex_);
    const auto there = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return nodes_.contains(node); };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&there), absl::Seconds(60))) << node;
  }

 private:
  absl::Mutex mutex_;
  std::set<uint64_t> nodes_;
};

class WorkersTest : public ::testing::Test {
 protected:
  WorkersTest() { run.config = RunConfig({{"step", 0.1}}, {""}); }

  static ArrayRecord model(size_t n) {
    return {{"w", Array::copy_of<float>(std::vector<float>(n, 0.25F), {static_cast<int64_t>(n)})}};
  }
  static std::unique_ptr<ClientHandler> in_workers(const umbel::Run& run, size_t workers) {
    return std::make_unique<runner::ProcessClients>(
        runner::exec_workers({.arguments = {RUNNER_TEST_WORKER}}), run, workers);
  }
  // All that rounds and messages on this federation come to.
  std::string play(const ClientHandler& clients, const Strategy& strategy, size_t threads) {
    runtime = std::make_unique<SilentRuntime>();  // a run of its own: rounds count from 1
    run.runtime = runtime.get();
    Simulation simulation(clients, run, {.threads = threads, .population = population});
    std::string text;
    const auto train_some = [&] {
      std::vector<Message> messages;
      for (uint64_t i = 0; i < kNodes; i += 5) {
        messages.push_back(
            simulation.make_message("train", NodeId(i), *make_content(model(3), {})));
      }
      for (const Message& reply : simulation.send_and_receive(std::move(messages))) {
        text += fmt::format("{}: {} ", reply.source().value(), reply.metrics().real("loss"));
      }
    };
    train_some();
    for (const size_t size : {size_t{10}, size_t{100'000}}) {
      const RoundsResult result =
          run_rounds(simulation, Context(run), strategy, model(size), {.rounds = 3});
      for (const auto& [name, value] : result.metrics) {
        text += fmt::format("{}={} ", name, result.metrics.real(name));
      }
      text += safetensors_sha256(result.arrays) + "\n";
    }
    train_some();
    return text;
  }
  void expect_same_in_workers(const Strategy& strategy) {
    const std::string expected = play(runner::test_client(), strategy, 2);
    for (const size_t workers : {1, 2, 5}) {
      EXPECT_EQ(play(*in_workers(run, workers), strategy, workers), expected) << workers;
    }
  }

  std::unique_ptr<SilentRuntime> runtime = std::make_unique<SilentRuntime>();
  umbel::Run run{.id = RunId(1), .seed = 42, .nodes = kNodes, .runtime = runtime.get()};
  std::optional<Population> population;
};

TEST_F(WorkersTest, AnyNumberOfWorkersGivesTheBitsOfThisProcess) {
  for (const Strategy& strategy : {fed_avg({.clients_train = 30, .clients_evaluate = 9}),
                                   fed_adam({.fraction_evaluate = 1})}) {
    expect_same_in_workers(strategy);
  }
}

TEST_F(WorkersTest, SoItDoesWithAWrapUp) {
  using Seconds = std::chrono::duration<double>;
  const Strategy strategy =
      fed_avg({.clients_train = 20, .deadline = Seconds(1000), .wrap_up = Seconds(1000 - 1e-7)});
  expect_same_in_workers(strategy);
  EXPECT_THAT(play(*in_workers(run, 2), strategy, 2), HasSubstr("train-hurried=1"));
}

TEST_F(WorkersTest, SoItDoesWithAPopulation) {
  PopulationOptions options{.availability = Availability::kProbability,
                            .available_share = 0.8,
                            .speed_spread = 0.5,
                            .seconds_per_example = 1,
                            .dropout = 0.2};
  options.attributes = {Attribute{"gender", {"men", "women"}, {0.5, 0.5}}};
  population = or_throw(Population::make(options, kNodes, run.seed));
  const Strategy strategy =
      fed_avg({.clients_train = 25, .deadline = std::chrono::duration<double>(20)});
  expect_same_in_workers(strategy);
  EXPECT_THAT(play(*in_workers(run, 2), strategy, 2), HasSubstr("train-men=0."));
}

TEST_F(WorkersTest, AHangingWorkerIsPastItsDeadlineAndTheRoundGoesOn) {
  const auto clients = in_workers(run, 2);
  Simulation simulation(*clients, run, {.threads = 2});
  const auto send = [&](const std::string& type, double seconds) {
    const Broadcast broadcast{type, 1, {1, 2, 3, 4, 5}, make_content(model(2), {})};
    return simulation.send_and_fold(broadcast, {}, std::chrono::duration<double>(seconds));
  };
  const auto hung = send("query.hang", 0.2);
  EXPECT_EQ(hung.failures.at(Code::kDeadline), 5u);
  const auto fine = send("evaluate", 60);
  EXPECT_EQ(fine.replies, 5u);
}

TEST_F(WorkersTest, ForgottenMessagesAndAStopEndTheirWorkers) {
  Heard heard;
  run.runtime = &heard;
  const auto clients = in_workers(run, 2);
  Simulation simulation(*clients, run, {.threads = 2});
  const auto hang = [&](uint64_t client) {
    return simulation.make_message("query.hang", NodeId(client), *make_content(model(2), {}));
  };
  const auto late =
      simulation.send_and_receive({hang(1), hang(2)}, std::chrono::duration<double>(0.1));
  EXPECT_EQ(late[0].error().code, Code::kDeadline);
  const auto fine =
      simulation.send_and_receive({simulation.make_message("query", NodeId(3), {})}, {});
  EXPECT_EQ(fine[0].metrics().integer("client"), 3);

  const auto ids = simulation.push({hang(4), hang(5)});
  std::jthread stopper([&] {
    heard.await(4);
    heard.await(5);
    simulation.request_stop();
  });
  EXPECT_THROW((void)simulation.pull(ids, {}), Error);
  EXPECT_TRUE(simulation.shut_down(std::chrono::seconds(20)));
}

TEST_F(WorkersTest, CrashesCountAsTheirClientsFailuresByName) {
  const auto clients = in_workers(run, 2);
  Simulation simulation(*clients, run, {.threads = 2});
  const Broadcast broadcast{"query.segv", 1, {3, 1, 2}, make_content(model(2), {})};
  const auto fold = simulation.send_and_fold(broadcast, {}, {});
  EXPECT_EQ(fold.failures.at(Code::kClientFailed), 3u);
  EXPECT_EQ(fold.failure_samples.front().error.reason,
            "client 1: its process was killed by SIGSEGV");
}

TEST_F(WorkersTest, ProgramsThatCannotStartFailTheFirstCallAndNoMessageIsSent) {
  const runner::ProcessClients clients(
      runner::exec_workers({.arguments = {RUNNER_TEST_WORKER, "dies"}}), run, 2);
  Simulation simulation(clients, run, {.threads = 2});
  const auto message = [&] { return simulation.make_message("query", NodeId(0), {}); };
  for (int i = 0; i != 2; ++i) {
    try {
      (void)simulation.push({message()});
      FAIL() << "pushed";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("exited with 7 before it was ready"));
    }
  }
  EXPECT_FALSE(simulation.sent());
}

// The workers of a run are those that its spec names.
class SpecTest : public ::testing::Test {
 protected:
  SpecTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "umbel-run-XXXXXX").string();
    folder = ::mkdtemp(pattern.data());
    spec.run.id = RunId(3);
    spec.run.nodes = 6;
    spec.threads = 2;
    spec.output = folder.string();
    here.query([](const Message& message, Context&) {
      return message.reply(MetricRecord{{"pid", ::getpid()}});
    });
  }
  ~SpecTest() override { std::filesystem::remove_all(folder); }

  // The processes that answered; 0 for this one.
  std::vector<int64_t> answering() {
    std::vector<int64_t> pids;
    Events events(-1);
    LocalRun local(spec, here, events);
    const int code = local.run(ServerApp().main([&](Grid& grid, Context&) {
      for (const Message& reply :
           grid.send_and_receive({grid.make_message("query", NodeId(1), {}),
                                  grid.make_message("query", NodeId(2), {})})) {
        const int64_t pid = reply.metrics().integer("pid");
        pids.push_back(pid == ::getpid() ? 0 : pid);
      }
    }));
    EXPECT_EQ(code, 0);
    EXPECT_TRUE(local.shut_down());
    return pids;
  }

  std::filesystem::path folder;
  RunSpec spec;
  ClientApp here;
};

TEST_F(SpecTest, ClientsRunWhereTheSpecSays) {
  EXPECT_THAT(answering(), ::testing::Each(0));
  spec.client_command = {RUNNER_TEST_WORKER};
  EXPECT_THAT(answering(), ::testing::Each(::testing::Gt(0)));
  spec.client_command.clear();
  spec.zygote_command = {
      "/usr/bin/python3", "-B", "-S", "-c",
      fmt::format("import os, sys\n"
                  "sys.path.insert(0, '{}')\n"
                  "import zygote\n"
                  "def serve(channel):\n"
                  "    os.set_inheritable(channel, True)\n"
                  "    os.execve('{}', ['w'], dict(os.environ, UMBEL_CHANNEL_FD=str(channel)))\n"
                  "sys.exit(zygote.run_zygote(int(os.environ['UMBEL_CONTROL_FD']), serve))\n",
                  ZYGOTE_FOLDER, RUNNER_TEST_WORKER)};
  EXPECT_THAT(answering(), ::testing::Each(::testing::Gt(0)));
}

TEST_F(SpecTest, AnAppThatCannotBeLoadedIsARunThatCannotBegin) {
  spec.zygote_command = {"/usr/bin/python3", "-B", "-S", "-c",
                         fmt::format("import os, sys\n"
                                     "sys.path.insert(0, '{}')\n"
                                     "import zygote\n"
                                     "zygote.refuse(int(os.environ['UMBEL_CONTROL_FD']), 'no x')\n",
                                     ZYGOTE_FOLDER)};
  Events events(-1);
  LocalRun local(spec, here, events);
  EXPECT_EQ(local.run(ServerApp().main([&](Grid& grid, Context&) {
    (void)grid.send_and_receive({grid.make_message("query", NodeId(1), {})});
  })),
            4);
  EXPECT_TRUE(local.shut_down());
}

}  // namespace
}  // namespace umbel

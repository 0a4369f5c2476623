#include "umbel/simulation/simulation.h"
#include "umbel/simulation/simulation_fixture_test.h"

namespace umbel {
namespace {

TEST_F(SimulationTest, AnyNumberOfThreadsGivesTheSameBytes) {
  run.nodes = 300;
  app.train([](const Message& m, Context& c) {
    Rng rng = c.rng();
    ArrayRecord arrays = m.arrays();
    for (float& x : arrays["w"].mutable_view<float>()) x += static_cast<float>(rng.normal());
    const auto visits =
        c.state().contains("s") ? std::get<MetricRecord>(c.state()["s"]).integer("visits") + 1 : 1;
    c.state().set("s", MetricRecord{{"visits", visits}});
    if (c.partition_id() % 17 == 3) throw std::runtime_error("unlucky");
    return m.reply(
        std::move(arrays),
        {{"num-examples", 1 + rng.below(50)}, {"visits", visits}, {"noise", rng.normal()}});
  });
  std::set<std::string> hashes;
  std::set<std::string> metrics;
  for (const size_t threads : {1, 2, 3, 8}) {
    Simulation& grid = start(threads);
    EXPECT_EQ(grid.threads(), threads);
    Context context(run);
    const RoundsResult result =
        run_rounds(grid, context, fed_adam({.clients_train = 60}), model(5000), {.rounds = 5});
    hashes.insert(safetensors_sha256(result.arrays));
    std::string text;
    for (const RoundReport& report : result.history) {
      text += fmt::format("{} {} {:a} {:a};", report.clients, report.failures,
                          report.train.real("noise"), report.train.real("visits"));
    }
    metrics.insert(text);
  }
  EXPECT_EQ(hashes.size(), 1u);
  EXPECT_EQ(metrics.size(), 1u) << *metrics.begin();
}

size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  size_t total = 0;
  size_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

TEST_F(SimulationTest, AHundredMillionClientsCostNoMemory) {
  run.nodes = 100'000'000;
  std::atomic<uint64_t> calls{0};
  app.train([&](const Message& m, Context& c) {
    ++calls;
    return trained(m, static_cast<float>(c.partition_id() % 7));
  });
  Simulation& grid = start(2);
  Context context(run);
  const size_t before = resident_bytes();
  run_rounds(grid, context, fed_avg({.clients_train = 10}), model(2), {.rounds = 50});
  EXPECT_EQ(calls, 500u);
  EXPECT_LT(resident_bytes(), before + (size_t{16} << 20));
}

TEST_F(SimulationTest, AClientWhoseActionFailedKeepsWhatItHad) {
  app.train([](const Message& m, Context& c) {
    const auto kept = c.state().contains("kept")
                          ? std::get<MetricRecord>(c.state()["kept"]).integer("n")
                          : int64_t{0};
    c.state().set("kept", MetricRecord{{"n", kept + 1}});
    if (m.metadata().round == 2) throw std::runtime_error("after it changed its state");
    return trained(m, static_cast<float>(kept));
  });
  Simulation& grid = start(1);
  for (const uint64_t round : {1, 2, 3}) {
    Broadcast one = broadcast({0});
    one.round = round;
    const auto result = grid.send_and_fold(one, plan(), {});
    EXPECT_EQ(result.failure_count(), round == 2 ? 1u : 0u);
    if (round == 3) EXPECT_EQ(result.arrays["w"].view<float>()[0], 1);
  }
}

TEST_F(SimulationTest, StateStaysWithItsClientAndOnlyWithThoseThatKeepSome) {
  app.train([](const Message& m, Context& c) {
    int64_t count = 0;
    if (c.state().contains("kept")) count = std::get<MetricRecord>(c.state()["kept"]).integer("n");
    if (c.partition_id() % 2 == 0) c.state().set("kept", MetricRecord{{"n", count + 1}});
    EXPECT_TRUE(count == 0 || c.partition_id() % 2 == 0);
    return trained(m, static_cast<float>(count));
  });
  Simulation& grid = start(3);
  for (int round = 0; round != 4; ++round) {
    for (const uint64_t node : {0, 1, 6}) {
      const auto result = grid.send_and_fold(broadcast({node}), plan(), {});
      EXPECT_EQ(result.arrays["w"].view<float>()[0], node % 2 ? 0 : round);
    }
  }
}

TEST_F(SimulationTest, AllClientsReceiveTheServersModelInOneBuffer) {
  absl::Mutex mutex;
  std::set<const std::byte*> pointers;
  std::set<std::string> hashes;
  app.train([&](const Message& m, Context&) {
    absl::MutexLock lock(&mutex);
    pointers.insert(m.arrays()["w"].bytes().data());
    hashes.insert(safetensors_sha256(m.arrays()));
    return trained(m, 0);
  });
  Simulation& grid = start(4);
  Context context(run);
  const ArrayRecord initial = model(2, 7);
  run_rounds(grid, context, fed_avg(), initial, {.rounds = 1});
  EXPECT_EQ(pointers, std::set<const std::byte*>{initial["w"].bytes().data()});
  EXPECT_EQ(hashes, std::set<std::string>{safetensors_sha256(initial)});
}

TEST_F(SimulationTest, ClientsThatHangMissTheDeadlineAndNothingElse) {
  std::atomic<int> ended{0};
  app.train([&](const Message& m, Context& c) {
    if (c.partition_id() == 1 || c.partition_id() == 2) {
      gate.wait();
      c.state().set("late", MetricRecord{{"n", 1}});
      ++ended;
      return trained(m, 1e9f);
    }
    if (c.partition_id() == 3) throw std::runtime_error("unwell");
    return trained(m, 4);
  });
  Simulation& grid = start(2);  // both threads get stuck
  const auto result = grid.send_and_fold(broadcast({1, 2}), plan(), milliseconds(100));
  EXPECT_EQ(result.replies, 0u);
  EXPECT_EQ(result.failures.at(Code::kDeadline), 2u);
  EXPECT_THAT(result.failure_samples[0].error.reason, HasSubstr("no reply within 0.1 s"));

  const auto next = grid.send_and_fold(broadcast({3, 4, 5, 6, 7}), plan(), {});
  EXPECT_EQ(next.replies, 4u);
  EXPECT_EQ(next.failures.at(Code::kClientFailed), 1u);
  EXPECT_EQ(next.arrays, (ArrayRecord{{"w", Array::of<float>({4, 4})}}));
  gate.open();
  // The late replies are dropped: nothing of 1e9 in this round, whenever they come.
  const auto last = grid.send_and_fold(broadcast({4, 5}), plan(), {});
  EXPECT_EQ(last.arrays, (ArrayRecord{{"w", Array::of<float>({4, 4})}}));
  EXPECT_TRUE(grid.shut_down(std::chrono::seconds(60)));
  EXPECT_EQ(ended, 2);
}

TEST_F(SimulationTest, ADeadlineIsEachClientsOwn) {
  app.train([&](const Message& m, Context& c) {
    if (c.partition_id() == 2) gate.wait();
    return trained(m, 4);
  });
  Simulation& grid = start(1);
  const auto result = grid.send_and_fold(broadcast({0, 1, 2, 3, 4}), plan(), milliseconds(100));
  // Clients 3 and 4 waited for a thread behind client 2; on sites of their own they would not have.
  EXPECT_EQ(result.replies, 4u);
  EXPECT_EQ(result.failures.at(Code::kDeadline), 1u);
  EXPECT_EQ(result.failure_samples[0].node, NodeId(2));
  gate.open();
}

// Replies that come just as they are given up: whoever wins, each client counts once.
TEST_F(SimulationTest, AWrapUpIsEachClientsOwnAndPartialRepliesCountByWhatTheyDid) {
  app.train([](const Message& m, Context& c) {
    EXPECT_FALSE(c.wrap_up());
    EXPECT_FALSE(c.time_left());
    while (!c.wrap_up()) std::this_thread::yield();
    const auto left = c.time_left();
    EXPECT_TRUE(left && left->count() > 0 && *left <= std::chrono::seconds(600));
    const auto k = static_cast<int64_t>(c.partition_id());
    return m.reply({{"w", Array::of<float>({1, 1})}},
                   {{"num-examples", k + 1}, {"work-done", k == 0 ? 0.25 : 0.75}});
  });
  Simulation& grid = start(1);  // the second client starts once the first has ended
  Broadcast hasty = broadcast({0, 1});
  hasty.wrap_up = std::chrono::duration<double>(600 - 0.005);
  const auto result = grid.send_and_fold(hasty, plan(), std::chrono::seconds(600));
  EXPECT_EQ(result.replies, 2u);
  EXPECT_DOUBLE_EQ(result.metrics.real("work-done"), (1 * 0.25 + 2 * 0.75) / 3);
}

TEST_F(SimulationTest, WithoutAWrapUpNobodyIsAskedForOne) {
  app.train([](const Message& m, Context& c) {
    EXPECT_FALSE(c.wrap_up());
    return trained(m, 1);
  });
  EXPECT_EQ(start(2).send_and_fold(broadcast({0, 1}), plan(), std::chrono::seconds(600)).replies,
            2u);
}

TEST_F(SimulationTest, AWrapUpOutsideTheDeadlineIsRefused) {
  Simulation& grid = start(1);
  Broadcast hasty = broadcast({0});
  hasty.wrap_up = std::chrono::seconds(2);
  EXPECT_THROW(grid.send_and_fold(hasty, plan(), std::chrono::seconds(2)), Error);
  EXPECT_THROW(grid.send_and_fold(hasty, plan(), {}), Error);
  EXPECT_FALSE(grid.sent());
}

TEST_F(SimulationTest, RepliesAtTheVeryDeadlineCountOnceOrFail) {
  app.train([&](const Message& m, Context& c) {
    const auto end =
        std::chrono::steady_clock::now() + std::chrono::microseconds(c.partition_id() * 300);
    while (std::chrono::steady_clock::now() < end) {
    }
    return trained(m, 4);
  });
  Simulation& grid = start(3);
  for (int repeat = 0; repeat != 10; ++repeat) {
    const auto result = grid.send_and_fold(broadcast({0, 1, 2, 3, 4, 5, 6, 7}), plan(),
                                           std::chrono::microseconds(1000));
    EXPECT_EQ(result.replies + result.failure_count(), 8u);
  }
}

TEST_F(SimulationTest, PiecesOfPiecesRunOnTheirOwnThread) {
  Simulation& grid = start(2);
  std::atomic<int> ran{0};
  grid.parallel().for_each(4, [&](size_t) {
    grid.parallel().for_each(4, [&](size_t) { ++ran; });
    EXPECT_THROW(grid.push({}), Error) << "the Grid is not for worker threads";
  });
  EXPECT_EQ(ran, 16);
}

TEST_F(SimulationTest, StoppingEndsARoundAtOnceWithCancelled) {
  app.train([&](const Message& m, Context&) {
    gate.wait();
    return trained(m, 4);
  });
  Simulation& grid = start(2);
  std::jthread stopper([&] {
    gate.await_waiting(2);
    grid.request_stop();
  });
  const auto code_of = [&](const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      return error.code();
    }
    return absl::StatusCode::kOk;
  };
  EXPECT_EQ(code_of([&] {
              grid.send_and_fold(broadcast({0, 1, 2, 3}), plan(), {});
            }),
            absl::StatusCode::kCancelled);
  EXPECT_EQ(code_of([&] { grid.push({}); }), absl::StatusCode::kCancelled);
  EXPECT_EQ(code_of([&] { grid.pull({}, {}); }), absl::StatusCode::kCancelled);
  EXPECT_FALSE(grid.shut_down(milliseconds(1)));
  gate.open();
  EXPECT_TRUE(grid.shut_down(std::chrono::seconds(60)));
}

TEST_F(SimulationTest, ClientsThatAreNotThereOrAskedTwiceAreRefused) {
  app.train([](const Message& m, Context&) { return trained(m, 1); });
  Simulation& grid = start(1);
  const auto why = [&](std::vector<uint64_t> nodes) {
    try {
      grid.send_and_fold(broadcast(std::move(nodes)), plan(), {});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(why({1, 8}), HasSubstr("no client 8: the federation has clients 0 to 7"));
  EXPECT_THAT(why({3, 1, 3}), HasSubstr("client 3 is asked twice"));
  EXPECT_EQ(why({3, 1, 2}), "");
  EXPECT_THROW(grid.make_message("query", NodeId(8), {}), Error);
  run.nodes = 0;
  EXPECT_THROW(start(1), Error);
}

TEST_F(SimulationTest, AWeightFunctionThatThrowsRefusesThatReplyAlone) {
  app.train([](const Message& m, Context& c) {
    MetricRecord metrics{{"num-examples", 1}};
    if (c.partition_id() != 2) metrics.set("w", 1.0);
    return m.reply(m.arrays(), std::move(metrics));
  });
  Simulation& grid = start(3);
  AggregationPlan bad = plan();
  bad.options.weight = [](const MetricRecord& m) { return m.real("w"); };
  const auto result = grid.send_and_fold(broadcast({0, 1, 2, 3}), bad, {});
  EXPECT_EQ(result.replies, 3u);
  ASSERT_EQ(result.failures.at(Code::kBadReply), 1u);
  EXPECT_EQ(result.failure_samples[0].node, NodeId(2));
  EXPECT_THAT(result.failure_samples[0].error.reason,
              HasSubstr("weight function threw: no entry \"w\""));
}

TEST_F(SimulationTest, ReachesTheOptimumOfAConvexTask) {
  run.nodes = 20;
  app.train([](const Message& m, Context& c) {
    const auto k = static_cast<double>(c.partition_id());
    const double x = m.arrays()["x"].view<double>()[0];
    return m.reply({{"x", Array::of<double>({x - 0.02 * (k + 1) * (x - k)})}},
                   {{"num-examples", 1}});
  });
  Simulation& grid = start(2);
  Context context(run);
  double above = 0;
  double below = 0;
  for (int k = 0; k != 20; ++k) {
    above += (k + 1) * k;
    below += k + 1;
  }
  const RoundsResult result =
      run_rounds(grid, context, fed_avg(), {{"x", Array::of<double>({100})}}, {.rounds = 200});
  EXPECT_NEAR(result.arrays["x"].view<double>()[0], above / below, 1e-12);
}

TEST_F(SimulationTest, ARunInWhichAllClientsFailSaysWhy) {
  app.train([](const Message&, Context&) -> Message { throw std::runtime_error("no"); });
  Simulation& grid = start(2);
  Context context(run);
  try {
    run_rounds(grid, context, fed_avg(), model(2), {.rounds = 9});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("0 of 8 replies counted"));
  }
}

TEST_F(SimulationTest, TheWorkersRunPiecesWithTheCallersDenormalMode) {
  Simulation& grid = start(3);
  for (const auto mode : {DenormalMode::kExact, DenormalMode::kFlush}) {
    const DenormalMode set(mode);
    std::atomic<int> same{0};
    grid.parallel().for_each(20, [&](size_t) { same += DenormalMode::current() == mode; });
    EXPECT_EQ(same, 20);
  }
  EXPECT_THROW(grid.parallel().for_each(5, [](size_t) { throw std::runtime_error("x"); }),
               std::runtime_error);
  grid.parallel().for_each(0, [](size_t) { FAIL(); });
}

TEST_F(SimulationTest, ProgressIsReportedWhileClientsWork) {
  std::atomic<int> reports{0};
  app.train([&](const Message& m, Context&) {
    gate.wait();
    return trained(m, 1);
  });
  Simulation grid(app, run, {.threads = 1, .progress = [&](const Progress& progress) {
                               EXPECT_EQ(progress.total, 2u);
                               EXPECT_EQ(progress.phase, "train");
                               ++reports;
                               gate.open();
                             }});
  grid.send_and_fold(broadcast({0, 1}), plan(), {});
  EXPECT_GE(reports, 1);
}

}  // namespace
}  // namespace umbel

#include "umbel/simulation/simulation_fixture_test.h"

namespace umbel {
namespace {

TEST_F(SimulationTest, MessagesWithoutIdsOfTheirOwnAreRefused) {
  app.query([](const Message& m, Context&) { return m.reply(MetricRecord{}); });
  Simulation& grid = start(2);
  const Metadata nobody{.source = kServerNode, .destination = NodeId(1), .type = "query"};
  EXPECT_THROW(grid.push({Message(nobody, RecordDict())}), Error);
  const Message once = grid.make_message("query", NodeId(1), {});
  EXPECT_THROW(grid.push({once, once}), Error);
  EXPECT_EQ(grid.send_and_receive({once}).size(), 1u) << "a refused push leaves nothing behind";
}

TEST_F(SimulationTest, StoppingEndsAPull) {
  app.query([&](const Message& m, Context&) {
    gate.wait();
    return m.reply(MetricRecord{});
  });
  Simulation& grid = start(1);
  const auto ids = grid.push({grid.make_message("query", NodeId(0), {})});
  std::jthread stopper([&] {
    gate.await_waiting(1);
    grid.request_stop();
  });
  EXPECT_THROW(grid.pull(ids, {}), Error);
  gate.open();
}

TEST_F(SimulationTest, MessagesArePushedAndPulledOneByOne) {
  app.query([](const Message& m, Context& c) {
    return m.reply(MetricRecord{{"id", c.partition_id()}});
  });
  Simulation& grid = start(3);
  std::vector<Message> messages;
  for (uint64_t node = 0; node != 8; ++node)
    messages.push_back(grid.make_message("query", NodeId(node), {}));
  const std::vector<MessageId> ids = grid.push(messages);
  std::set<int64_t> seen;
  const auto pull = [&](std::span<const MessageId> some) {
    for (const Message& reply : grid.pull(some, {})) seen.insert(reply.metrics().integer("id"));
  };
  pull(std::span(ids).subspan(4));
  EXPECT_EQ(seen, (std::set<int64_t>{4, 5, 6, 7}));
  pull(ids);  // those given out before are not waited for
  EXPECT_EQ(seen.size(), 8u);
  EXPECT_TRUE(grid.pull(ids, {}).empty());
  const MessageId unknown[] = {MessageId(1u << 30)};
  EXPECT_TRUE(grid.pull(unknown, {}).empty());
}

TEST_F(SimulationTest, AClientHandlesThePushedMessagesInOrder) {
  app.query([](const Message& m, Context& c) {
    const int64_t before =
        c.state().contains("n") ? std::get<MetricRecord>(c.state()["n"]).integer("n") : 0;
    c.state().set("n", MetricRecord{{"n", before % 1000 * 10 + m.config().integer("digit")}});
    return m.reply(std::get<MetricRecord>(c.state()["n"]));
  });
  Simulation& grid = start(4);
  for (int repeat = 0; repeat != 20; ++repeat) {
    std::vector<Message> messages;
    for (int64_t digit = 1; digit != 5; ++digit) {
      for (uint64_t node = 0; node != 6; ++node) {
        messages.push_back(
            grid.make_message("query", NodeId(node), {{"c", ConfigRecord{{"digit", digit}}}}));
      }
    }
    const std::vector<Message> replies = grid.send_and_receive(messages);
    for (uint64_t node = 0; node != 6; ++node) {
      ASSERT_EQ(replies[18 + node].metrics().integer("n") % 10000, 1234);
    }
  }
}

TEST_F(SimulationTest, EveryMessageOutsideRoundsHasASeedOfItsOwn) {
  app.query([](const Message& m, Context& c) {
    return m.reply(MetricRecord{{"seed", static_cast<int64_t>(c.seed() >> 1)}});
  });
  std::vector<std::vector<int64_t>> all;
  for (const size_t threads : {1, 4}) {
    Simulation& grid = start(threads);
    std::vector<int64_t> seeds;
    for (int repeat = 0; repeat != 3; ++repeat) {
      std::vector<Message> messages;
      for (uint64_t node = 0; node != 8; ++node)
        messages.push_back(grid.make_message("query", NodeId(node), {}));
      for (const Message& reply : grid.send_and_receive(messages))
        seeds.push_back(reply.metrics().integer("seed"));
    }
    EXPECT_EQ(std::set<int64_t>(seeds.begin(), seeds.end()).size(), 24u);
    all.push_back(seeds);
  }
  EXPECT_EQ(all[0], all[1]);
}

TEST_F(SimulationTest, SendAndReceiveGivesUpAtTheDeadlineAndFreesTheThreads) {
  app.query([&](const Message& m, Context& c) {
    if (c.partition_id() < 2) gate.wait();
    return m.reply(MetricRecord{{"id", c.partition_id()}});
  });
  Simulation& grid = start(2);
  std::vector<Message> messages;
  for (uint64_t node = 0; node != 4; ++node)
    messages.push_back(grid.make_message("query", NodeId(node), {}));
  const std::vector<Message> late = grid.send_and_receive(messages, milliseconds(100));
  ASSERT_EQ(late.size(), 4u);
  for (const Message& reply : late) EXPECT_EQ(reply.error().code, Code::kDeadline);

  const std::vector<Message> again{grid.make_message("query", NodeId(6), {})};
  EXPECT_EQ(grid.send_and_receive(again)[0].metrics().integer("id"), 6);
  gate.open();
  EXPECT_TRUE(grid.shut_down(std::chrono::seconds(60)));
}

TEST_F(SimulationTest, AskingOftenWithShortDeadlinesStartsNoThreads) {
  app.query([&](const Message& m, Context&) {
    gate.wait();
    return m.reply(MetricRecord{});
  });
  Simulation& grid = start(1);
  const auto threads = [] {
    std::ifstream status("/proc/self/status");
    std::string word;
    int count = 0;
    while (status >> word) {
      if (word == "Threads:") status >> count;
    }
    return count;
  };
  const auto ids = grid.push({grid.make_message("query", NodeId(0), {})});
  gate.await_waiting(1);
  const int before = threads();
  for (int i = 0; i != 50; ++i) EXPECT_TRUE(grid.pull(ids, milliseconds(1)).empty());
  EXPECT_TRUE(grid.pull(ids, milliseconds(0)).empty());
  EXPECT_LE(threads(), before);  // one of an earlier test may just have ended
  gate.open();
  EXPECT_EQ(grid.pull(ids, {}).size(), 1u);
}

TEST_F(SimulationTest, WhatIsUnderWayIsBounded) {
  app.query([](const Message& m, Context&) { return m.reply(MetricRecord{}); });
  Simulation& grid = start(1);
  std::vector<Message> first(50'000, grid.make_message("query", NodeId(0), {}));
  for (Message& m : first) m = grid.make_message("query", NodeId(0), {});
  const std::vector<MessageId> ids = grid.push(first);
  for (Message& m : first) m = grid.make_message("query", NodeId(0), {});
  first.push_back(grid.make_message("query", NodeId(0), {}));
  try {
    grid.push(first);
    FAIL() << "beyond the limit";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), absl::StatusCode::kResourceExhausted);
  }
  grid.forget(ids);
  EXPECT_EQ(grid.push(first).size(), first.size());
}

}  // namespace
}  // namespace umbel

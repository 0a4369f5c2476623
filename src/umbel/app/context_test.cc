#include "umbel/app/context.h"

#include <gtest/gtest.h>

#include "umbel/app/silent_runtime.h"

namespace umbel {
namespace {

class ContextTest : public ::testing::Test {
 protected:
  Context at_node(const ConfigRecord* config, const WrapUp* wrap_up = nullptr) {
    return Context(run, NodeId(3), 1, config, wrap_up);
  }
  SilentRuntime runtime;
  umbel::Run run{.id = RunId(1), .seed = 5, .nodes = 10, .runtime = &runtime};
};

TEST_F(ContextTest, InASimulationTheNodeConfigIsThePartition) {
  const Context context = at_node(nullptr);
  EXPECT_EQ(context.node_config(), (ConfigRecord{{"partition-id", 3}, {"num-partitions", 10}}));
  EXPECT_EQ(context.partition_id(), 3u);
  EXPECT_EQ(context.num_partitions(), 10u);
  EXPECT_TRUE(Context(run).node_config().empty());
}

TEST_F(ContextTest, WhatTheOwnerConfiguredGoesBeforeTheDefaults) {
  const ConfigRecord config{{"data", "/d"}, {"partition-id", 7}};
  const Context context = at_node(&config);
  EXPECT_EQ(context.node_config(),
            (ConfigRecord{{"data", "/d"}, {"partition-id", 7}, {"num-partitions", 10}}));
  EXPECT_EQ(context.partition_id(), 7u);
  EXPECT_EQ(context.num_partitions(), 10u);
}

TEST_F(ContextTest, APartitionThatIsNoCountIsRefusedByName) {
  const ConfigRecord text{{"partition-id", "seven"}}, negative{{"num-partitions", -1}};
  EXPECT_THROW((void)at_node(&text).partition_id(), Error);
  try {
    (void)at_node(&negative).num_partitions();
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "node config \"num-partitions\" = -1, expected 0 or more");
  }
}

TEST_F(ContextTest, AWrapUpIsSeenFromItsMomentOn) {
  WrapUp wrap_up;
  const Context context = at_node(nullptr, &wrap_up);
  EXPECT_FALSE(context.wrap_up());
  EXPECT_FALSE(context.time_left());
  const auto now = WrapUp::Clock::now();
  wrap_up.ask(now + std::chrono::hours(1), now + std::chrono::hours(2));
  EXPECT_FALSE(context.wrap_up());
  wrap_up.ask(now, now + std::chrono::hours(1));
  EXPECT_TRUE(context.wrap_up());
  EXPECT_GT(context.time_left()->count(), 3000);
  EXPECT_LE(context.time_left()->count(), 3600);
  wrap_up.ask(now - std::chrono::hours(2), now - std::chrono::hours(1));
  EXPECT_EQ(context.time_left()->count(), 0);
  EXPECT_FALSE(at_node(nullptr).wrap_up());
}

// The formula is a promise: the same draws in every runtime and version.
TEST_F(ContextTest, SeedsOfCallsDoNotChange) {
  const Metadata in_round{
      .id = MessageId(77), .destination = NodeId(3), .type = "train", .round = 2};
  EXPECT_EQ(client_seed(5, in_round), derive_seed(derive_seed(5, "train"), {2, 3}));
  Metadata outside = in_round;
  outside.round = 0;
  EXPECT_EQ(client_seed(5, outside), derive_seed(derive_seed(5, "train"), {0, 3, 77}));
}

}  // namespace
}  // namespace umbel

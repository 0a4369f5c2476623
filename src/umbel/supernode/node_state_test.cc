#include "umbel/supernode/node_state.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <iostream>

#include "umbel/base/rng.h"

namespace umbel::supernode {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kNow{0};

template <class A>
std::vector<A> only(const std::vector<Action>& actions) {
  std::vector<A> found;
  for (const Action& action : actions) {
    if (const A* it = std::get_if<A>(&action)) found.push_back(*it);
  }
  return found;
}

// With its bundle here already.
NodeState ready_state(NodeLimits limits = {}) {
  NodeState state(limits);
  state.assign({.instruction = 1'000'000, .run = RunId(99), .bundle = "b"}, kNow);
  state.bundle_fetched("b", "", kNow);
  state.cancel(1'000'000, kNow);
  state.process_ended(RunId(99), "", kNow);
  state.take_actions();
  return state;
}

TEST(NodeState, AnInstructionGoesFromFetchToReply) {
  NodeState state({});
  state.assign({.instruction = 1, .run = RunId(7), .bundle = "b", .blob = 5}, kNow);
  auto actions = state.take_actions();
  ASSERT_EQ(only<action::FetchBundle>(actions).size(), 1);
  ASSERT_EQ(only<action::FetchBlob>(actions).size(), 1);
  state.bundle_fetched("b", "", kNow);
  EXPECT_TRUE(state.take_actions().empty());
  EXPECT_EQ(state.stage(1), Stage::kFetching);
  state.blob_fetched(5, "", kNow);
  actions = state.take_actions();
  ASSERT_EQ(only<action::StartProcess>(actions).size(), 1);
  ASSERT_EQ(only<action::Handle>(actions).size(), 1);
  EXPECT_EQ(state.running(RunId(7)), 1);
  state.handled(1, kNow);
  actions = state.take_actions();
  ASSERT_EQ(only<action::DropBlob>(actions).size(), 1);
  ASSERT_EQ(only<action::SendResult>(actions).size(), 1);
  state.done(1, kNow);
  EXPECT_EQ(only<action::Forget>(state.take_actions()).size(), 1);
  EXPECT_TRUE(state.is_idle());
  EXPECT_TRUE(state.has_process(RunId(7))) << "it is kept warm";
}

TEST(NodeState, ABlobOfTwoInstructionsIsFetchedOnceAndKeptForBoth) {
  NodeState state = ready_state();
  state.assign({.instruction = 1, .run = RunId(7), .bundle = "b", .blob = 5}, kNow);
  state.assign({.instruction = 2, .run = RunId(7), .bundle = "b", .blob = 5}, kNow);
  EXPECT_EQ(only<action::FetchBlob>(state.take_actions()).size(), 1);
  state.blob_fetched(5, "", kNow);
  state.handled(1, kNow);
  EXPECT_TRUE(only<action::DropBlob>(state.take_actions()).empty());
  state.handled(2, kNow);
  EXPECT_EQ(only<action::DropBlob>(state.take_actions()).size(), 1);
}

TEST(NodeState, AFetchThatFailedIsTheReplyOfAllThatNeededIt) {
  NodeState state({});
  state.assign({.instruction = 1, .run = RunId(7), .bundle = "b"}, kNow);
  state.assign({.instruction = 2, .run = RunId(8), .bundle = "b", .blob = 3}, kNow);
  state.take_actions();
  state.bundle_fetched("b", "its signer is not trusted", kNow);
  const auto failed = only<action::Fail>(state.take_actions());
  ASSERT_EQ(failed.size(), 2);
  EXPECT_EQ(failed[0].reason, "its signer is not trusted");
  // And the next one tries again.
  state.assign({.instruction = 3, .run = RunId(7), .bundle = "b"}, kNow);
  EXPECT_EQ(only<action::FetchBundle>(state.take_actions()).size(), 1);
}

TEST(NodeState, OneRunHandlesOneInstructionAtATime) {
  NodeState state = ready_state();
  for (uint64_t i = 1; i <= 3; ++i) state.assign({i, RunId(7), "b", 0}, kNow);
  EXPECT_EQ(only<action::Handle>(state.take_actions()).size(), 1);
  state.handled(1, kNow);
  const auto next = only<action::Handle>(state.take_actions());
  ASSERT_EQ(next.size(), 1);
  EXPECT_EQ(next[0].instruction, 2);
}

TEST(NodeState, AnIdleProcessMakesRoomForAnotherRun) {
  NodeState state = ready_state({.apps_max = 1});
  state.assign({1, RunId(7), "b", 0}, kNow);
  state.assign({2, RunId(8), "b", 0}, kNow);
  EXPECT_TRUE(only<action::EndProcess>(state.take_actions()).empty()) << "it is busy";
  state.handled(1, kNow);
  const auto ended = only<action::EndProcess>(state.take_actions());
  ASSERT_EQ(ended.size(), 1);
  EXPECT_FALSE(ended[0].at_once);
  state.process_ended(RunId(7), "exited with 0", kNow);
  EXPECT_EQ(state.running(RunId(8)), 2);
}

TEST(NodeState, ACancelledInstructionEndsItsProcessAndTheNextGetsANewOne) {
  NodeState state = ready_state();
  state.assign({1, RunId(7), "b", 0}, kNow);
  state.assign({2, RunId(7), "b", 0}, kNow);
  state.take_actions();
  state.cancel(1, kNow);
  auto actions = state.take_actions();
  ASSERT_EQ(only<action::EndProcess>(actions).size(), 1);
  EXPECT_TRUE(only<action::EndProcess>(actions)[0].at_once);
  EXPECT_TRUE(only<action::Fail>(actions).empty()) << "the hub wants no answer";
  state.process_ended(RunId(7), "killed by SIGKILL", kNow);
  actions = state.take_actions();
  EXPECT_EQ(only<action::StartProcess>(actions).size(), 1);
  EXPECT_EQ(state.running(RunId(7)), 2);
}

TEST(NodeState, ACrashIsTheReplyOfWhatRanAndOfNothingElse) {
  NodeState state = ready_state();
  state.assign({1, RunId(7), "b", 0}, kNow);
  state.assign({2, RunId(7), "b", 0}, kNow);
  state.take_actions();
  state.process_ended(RunId(7), "killed by SIGSEGV", kNow);
  const auto actions = state.take_actions();
  const auto failed = only<action::Fail>(actions);
  ASSERT_EQ(failed.size(), 1);
  EXPECT_EQ(failed[0].instruction, 1);
  EXPECT_EQ(state.running(RunId(7)), 2);
}

TEST(NodeState, WhatWasKilledFromOutsideIsBegunAgainOnce) {
  NodeState state = ready_state();
  state.assign({1, RunId(7), "b", 0}, kNow);
  state.take_actions();
  state.process_ended(RunId(7), "killed by SIGKILL", kNow);
  auto actions = state.take_actions();
  EXPECT_TRUE(only<action::Fail>(actions).empty());
  EXPECT_EQ(only<action::StartProcess>(actions).size(), 1);
  EXPECT_EQ(only<action::Handle>(actions).size(), 1);
  state.process_ended(RunId(7), "killed by SIGKILL", kNow);
  EXPECT_EQ(only<action::Fail>(state.take_actions()).size(), 1);
}

TEST(NodeState, AnotherUploadWaitsForTheOneUnderWay) {
  NodeState state = ready_state();
  state.assign({1, RunId(7), "b", 0}, kNow);
  state.handled(1, kNow);
  state.take_actions();
  state.upload(1, 10);
  state.upload(1, 0);
  EXPECT_EQ(only<action::StartUpload>(state.take_actions()).size(), 1);
  state.upload_ended(1);
  const auto again = only<action::StartUpload>(state.take_actions());
  ASSERT_EQ(again.size(), 1);
  EXPECT_EQ(again[0].offset, 0);
  state.done(1, kNow);
  EXPECT_EQ(only<action::StopUpload>(state.take_actions()).size(), 1);
}

TEST(NodeState, AfterAReconnectKeptRepliesAreSentAgainAndTheUnwantedDropped) {
  NodeState state = ready_state();
  for (uint64_t i = 1; i <= 3; ++i) state.assign({i, RunId(i), "b", 0}, kNow);
  state.handled(1, kNow);
  state.take_actions();
  const auto held = state.holding();
  EXPECT_EQ(held, (std::vector<uint64_t>{1, 2, 3}));
  const std::vector<uint64_t> keep = {1, 3};
  state.connected(held, keep, kNow);
  const auto actions = state.take_actions();
  const auto sent = only<action::SendResult>(actions);
  ASSERT_EQ(sent.size(), 1);
  EXPECT_EQ(sent[0].instruction, 1);
  EXPECT_FALSE(state.stage(2).has_value());
  EXPECT_TRUE(state.stage(3).has_value());
}

TEST(NodeState, ADrainingNodeFinishesWhatRunsAndRefusesTheRest) {
  NodeState state = ready_state();
  state.assign({1, RunId(7), "b", 0}, kNow);
  state.assign({2, RunId(7), "b", 0}, kNow);
  state.take_actions();
  state.drain(kNow);
  state.assign({3, RunId(7), "b", 0}, kNow);
  const auto failed = only<action::Fail>(state.take_actions());
  ASSERT_EQ(failed.size(), 2);
  state.handled(1, kNow);
  for (uint64_t i = 1; i <= 3; ++i) state.done(i, kNow);
  EXPECT_TRUE(state.is_idle());
}

TEST(NodeState, MoreThanItsLimitIsAnsweredWithAnError) {
  NodeState state = ready_state({.instructions_max = 2});
  for (uint64_t i = 1; i <= 9; ++i) state.assign({i, RunId(7), "b", 0}, kNow);
  EXPECT_EQ(only<action::Fail>(state.take_actions()).size(), 2);
  EXPECT_EQ(state.holding().size(), 4) << "the rest is not even kept";
}

TEST(NodeState, ProcessesEndOnceIdleForTooLong) {
  NodeState state = ready_state({.idle_max = milliseconds(100)});
  state.assign({1, RunId(7), "b", 0}, kNow);
  state.take_actions();
  state.tick(milliseconds(500));
  EXPECT_TRUE(state.take_actions().empty()) << "it works";
  state.handled(1, milliseconds(500));
  state.take_actions();
  state.tick(milliseconds(599));
  EXPECT_TRUE(state.take_actions().empty());
  state.tick(milliseconds(600));
  EXPECT_EQ(only<action::EndProcess>(state.take_actions()).size(), 1);
}

// Carries actions out as a node would, as far as they can be seen from here, and holds each to what
// it may be.
class Model {
 public:
  explicit Model(NodeLimits limits) : limits_(limits), state_(limits) {}

  void step(Rng& rng) {
    const uint64_t instruction = 1 + rng.below(12);
    const RunId run(1 + instruction % 4);
    now_ += milliseconds(rng.below(50));
    switch (rng.below(11)) {
      case 0:
      case 1:
        if (!known_.insert(instruction).second) break;
        state_.assign({instruction, run, rng.below(2) ? "b" : "c", rng.below(3)}, now_);
        break;
      case 2: {
        const std::string bundle = rng.below(2) ? "b" : "c";
        if (fetching_bundles_.erase(bundle)) {
          state_.bundle_fetched(bundle, rng.below(4) ? "" : "bad", now_);
        }
        break;
      }
      case 3:
        if (!fetching_blobs_.empty()) {
          const uint64_t blob = *fetching_blobs_.begin();
          fetching_blobs_.erase(blob);
          const bool good = rng.below(4) != 0;
          if (good) blobs_here_.insert(blob);
          state_.blob_fetched(blob, good ? "" : "bad", now_);
        }
        break;
      case 4:
      case 5:
        if (running_.contains(run)) {
          const uint64_t ran = running_.at(run);
          running_.erase(run);
          state_.handled(ran, now_);
        }
        break;
      case 6:
        if (processes_.erase(run)) {
          running_.erase(run);
          ending_.erase(run);
          state_.process_ended(run, "crashed", now_);
        }
        break;
      case 7:
        state_.cancel(instruction, now_);
        break;
      case 8:
        state_.upload(instruction, rng.below(100));
        break;
      case 9: {
        const auto held = state_.holding();
        std::vector<uint64_t> keep;
        for (const uint64_t id : held) {
          if (rng.below(4)) keep.push_back(id);
        }
        state_.connected(held, keep, now_);
        break;
      }
      case 10:
        rng.below(8) ? state_.tick(now_) : state_.run_ended(run, now_);
        break;
    }
    carry_out();
  }

  // Whatever the state, all work ends when everything that is under way does.
  void finish() {
    for (int i = 0; i != 200; ++i) {
      for (const auto& bundle : std::set(fetching_bundles_)) {
        fetching_bundles_.erase(bundle);
        state_.bundle_fetched(bundle, "", now_);
      }
      for (const uint64_t blob : std::set(fetching_blobs_)) {
        fetching_blobs_.erase(blob);
        blobs_here_.insert(blob);
        state_.blob_fetched(blob, "", now_);
      }
      carry_out();
      for (const RunId run : std::set(ending_)) {
        processes_.erase(run);
        ending_.erase(run);
        running_.erase(run);
        state_.process_ended(run, "ended", now_);
        carry_out();
      }
      for (const auto& [run, instruction] : std::map(running_)) {
        running_.erase(run);
        state_.handled(instruction, now_);
        carry_out();
      }
    }
    RC_ASSERT(state_.count(Stage::kKept) == state_.holding().size());
    for (const uint64_t id : state_.holding()) state_.done(id, now_);
    carry_out();
    RC_ASSERT(state_.is_idle());
    RC_ASSERT(fetching_blobs_.empty() && blobs_here_.empty());
    RC_ASSERT(uploads_.empty());
  }

 private:
  void carry_out() {
    for (const Action& action : state_.take_actions()) {
      std::visit([this](const auto& it) { apply(it); }, action);
      RC_ASSERT(processes_.size() <= limits_.apps_max);
    }
    RC_ASSERT(state_.process_count() == processes_.size());
  }
  void apply(const action::FetchBundle& it) {
    RC_ASSERT(fetching_bundles_.insert(it.sha256).second);
  }
  void apply(const action::FetchBlob& it) {
    RC_ASSERT(!blobs_here_.contains(it.blob));
    RC_ASSERT(fetching_blobs_.insert(it.blob).second);
  }
  void apply(const action::DropBlob& it) {
    RC_ASSERT(fetching_blobs_.erase(it.blob) + blobs_here_.erase(it.blob) <= 1);
  }
  void apply(const action::StartProcess& it) { RC_ASSERT(processes_.insert(it.run).second); }
  void apply(const action::Handle& it) {
    const RunId run(1 + it.instruction % 4);
    RC_ASSERT(processes_.contains(run) && !ending_.contains(run));
    RC_ASSERT(running_.emplace(run, it.instruction).second);
  }
  void apply(const action::EndProcess& it) {
    RC_ASSERT(processes_.contains(it.run));
    RC_ASSERT(ending_.insert(it.run).second);
    if (!it.at_once) RC_ASSERT(!running_.contains(it.run));
    running_.erase(it.run);
  }
  void apply(const action::SendResult& it) {
    RC_ASSERT(state_.stage(it.instruction) == Stage::kKept);
  }
  void apply(const action::Fail& it) { RC_ASSERT(!it.reason.empty()); }
  void apply(const action::StartUpload& it) { RC_ASSERT(uploads_.insert(it.instruction).second); }
  void apply(const action::StopUpload& it) { RC_ASSERT(uploads_.erase(it.instruction) == 1); }
  void apply(const action::Forget& it) {
    RC_ASSERT(known_.erase(it.instruction) == 1);
    RC_ASSERT(!uploads_.contains(it.instruction));
  }

  const NodeLimits limits_;
  NodeState state_;
  milliseconds now_{0};
  std::set<uint64_t> known_, fetching_blobs_, blobs_here_, uploads_;
  std::set<std::string> fetching_bundles_;
  std::set<RunId> processes_, ending_;
  std::map<RunId, uint64_t> running_;
};

TEST(NodeState, AnyOrderOfEventsKeepsItsPromises) {
  const bool held = rc::check([] {
    const auto seed = *rc::gen::arbitrary<uint64_t>();
    RC_LOG() << "seed " << seed << "\n";
    Rng rng(seed);
    Model model(
        {.instructions_max = 8, .apps_max = 1 + rng.below(3), .idle_max = milliseconds(90)});
    for (int i = 0; i != 300; ++i) model.step(rng);
    model.finish();
  });
  EXPECT_TRUE(held);
}

}  // namespace
}  // namespace umbel::supernode

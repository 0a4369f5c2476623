#include "umbel/supernode/kept_states.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "umbel/base/rng.h"
#include "umbel/supernode/temporary_folder_test.h"

namespace umbel::supernode {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

wire::RunInfo run_info(uint64_t seed = 1) {
  return {.id = RunId(7),
          .seed = seed,
          .nodes = 3,
          .config = {{"rounds", 3}},
          .origins = {},
          .bundle = {}};
}
RecordDict of(int64_t x) {
  return {{"head", ArrayRecord{{"w", Array::of<int64_t>({x, -x})}}},
          {"seen", MetricRecord{{"x", x}}}};
}
Metadata message(uint64_t id, uint64_t round) {
  return {.id = MessageId(id), .type = "train", .round = round};
}

class KeptStatesTest : public ::testing::Test {
 protected:
  KeptStates open(uint64_t seed = 1) {
    KeptStates states;
    states.open(folder.path() / "clients", run_info(seed));
    return states;
  }
  fs::path file() const { return folder.path() / "clients" / "run-7" / "client-2.state"; }
  TemporaryFolder folder;
};

TEST_F(KeptStatesTest, WhatIsKeptSurvivesTheProcess) {
  KeptStates first = open();
  EXPECT_EQ(or_throw(first.before(2, message(1, 1))), RecordDict());
  ASSERT_TRUE(first.keep(2, message(1, 1), of(5)).ok());
  EXPECT_EQ(or_throw(first.before(2, message(2, 2))), of(5));
  EXPECT_EQ(or_throw(first.before(1, message(3, 2))), RecordDict()) << "another client";
  KeptStates second = open();
  EXPECT_EQ(or_throw(second.before(2, message(2, 2))), of(5));
  KeptStates other = open(/*seed=*/2);
  EXPECT_EQ(or_throw(other.before(2, message(2, 2))), RecordDict()) << "another run";
}

TEST_F(KeptStatesTest, FilesAreTheOwnersAlone) {
  KeptStates states = open();
  ASSERT_TRUE(states.keep(2, message(1, 1), of(5)).ok());
  struct stat status {};
  ASSERT_EQ(stat(file().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600);
  ASSERT_EQ(stat(file().parent_path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700);
}

TEST_F(KeptStatesTest, ARoundThatIsBegunAgainBeginsFromTheSameState) {
  KeptStates states = open();
  const auto step = [&](KeptStates& it, uint64_t id, uint64_t round, int64_t after) {
    RecordDict before = or_throw(it.before(2, message(id, round)));
    EXPECT_TRUE(it.keep(2, message(id, round), of(after)).ok());
    return before;
  };
  EXPECT_EQ(step(states, 1, 1, 10), RecordDict());
  EXPECT_EQ(step(states, 4, 2, 20), of(10));
  EXPECT_EQ(step(states, 5, 2, 21), of(20));
  KeptStates again = open();  // after a crash the hub asks for round 2 again
  EXPECT_EQ(step(again, 4, 2, 20), of(10));
  EXPECT_EQ(step(again, 5, 2, 21), of(20));
  EXPECT_EQ(step(again, 9, 3, 30), of(21));
  EXPECT_EQ(step(again, 1, 1, 0), of(30)) << "a round long over cannot be begun again";
}

TEST_F(KeptStatesTest, ADamagedFileIsAnErrorThatNamesIt) {
  KeptStates states = open();
  ASSERT_TRUE(states.keep(2, message(1, 1), of(5)).ok());
  std::string whole;
  {
    std::ifstream in(file(), std::ios::binary);
    whole.assign(std::istreambuf_iterator<char>(in), {});
  }
  for (size_t at = 0; at < whole.size(); at += 7) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    std::ofstream(file(), std::ios::binary) << bytes;
    KeptStates again = open();
    const auto state = again.before(2, message(2, 2));
    EXPECT_EQ(state.status().code(), absl::StatusCode::kDataLoss) << "byte " << at;
    EXPECT_THAT(message_of(state.status()), HasSubstr(file().string()));
  }
  for (size_t size = 0; size < whole.size(); size += 11) {
    std::ofstream(file(), std::ios::binary) << whole.substr(0, size);
    KeptStates again = open();
    EXPECT_FALSE(again.before(2, message(2, 2)).ok()) << size << " bytes";
  }
  fs::remove(file());
  KeptStates again = open();
  EXPECT_EQ(or_throw(again.before(2, message(2, 2))), RecordDict()) << "it begins anew";
}

TEST_F(KeptStatesTest, NothingStaysOfARunThatIsOver) {
  KeptStates states = open();
  ASSERT_TRUE(states.keep(2, message(1, 1), of(5)).ok());
  remove_states(folder.path() / "clients", RunId(8));
  EXPECT_TRUE(fs::exists(file()));
  remove_states(folder.path() / "clients", RunId(7));
  EXPECT_FALSE(fs::exists(file().parent_path()));
  KeptStates again = open();
  EXPECT_EQ(or_throw(again.before(2, message(2, 2))), RecordDict());
}

TEST_F(KeptStatesTest, WhatAnOldRunLeftGoesAndAYoungOnesStays) {
  const fs::path clients = folder.path() / "clients";
  KeptStates states = open();
  ASSERT_TRUE(states.keep(2, message(1, 1), of(5)).ok());
  fs::create_directories(clients / "run-1");
  fs::last_write_time(clients / "run-1",
                      fs::file_time_type::clock::now() - std::chrono::hours(100));
  prune_states(clients, std::chrono::hours(50));
  EXPECT_FALSE(fs::exists(clients / "run-1"));
  EXPECT_TRUE(fs::exists(file()));
}

TEST_F(KeptStatesTest, ClientsThatKeepNothingCostNothing) {
  KeptStates states = open();
  for (uint64_t round = 1; round != 4; ++round) {
    EXPECT_EQ(or_throw(states.before(2, message(round, round))), RecordDict());
    ASSERT_TRUE(states.keep(2, message(round, round), {}).ok());
  }
  EXPECT_FALSE(fs::exists(folder.path() / "clients"));
  ASSERT_TRUE(states.keep(2, message(4, 4), of(1)).ok());
  EXPECT_TRUE(fs::exists(file()));
  ASSERT_TRUE(states.keep(2, message(5, 5), {}).ok());
  ASSERT_TRUE(states.keep(2, message(6, 6), {}).ok());
  EXPECT_FALSE(fs::exists(file())) << "no more to keep";
}

// Whatever crashes in between: states after whole rounds are those of a run without crashes.
TEST_F(KeptStatesTest, CrashesChangeNoState) {
  const auto next = [](const RecordDict& state, uint64_t id) {
    const auto x = state.empty() ? 0 : std::get<MetricRecord>(state.at("seen")).integer("x");
    return of((3 * x + static_cast<int64_t>(id)) % 10'007);
  };
  for (uint64_t seed = 1; seed != 9; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    KeptStates states = open(seed);
    RecordDict expected;
    uint64_t id = 1;
    for (uint64_t round = 1; round != 6; ++round) {
      const uint64_t messages = 1 + rng.below(3);
      for (uint64_t crashes = rng.below(3) + 1; crashes != 0; --crashes) {
        // The last time, all of the round's messages are handled; before it some of them.
        const uint64_t handled = crashes == 1 ? messages : rng.below(messages + 1);
        for (uint64_t i = id; i != id + handled; ++i) {
          const RecordDict before = or_throw(states.before(2, message(i, round)));
          ASSERT_TRUE(states.keep(2, message(i, round), next(before, i)).ok());
        }
        if (rng.below(2) == 0) states = open(seed);  // the node's crash, or the hub's alone
      }
      for (const uint64_t end = id + messages; id != end; ++id) expected = next(expected, id);
      ASSERT_EQ(or_throw(states.before(2, message(id, round + 1))), expected);
    }
  }
}

}  // namespace
}  // namespace umbel::supernode

#include "umbel/main/local_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "umbel/app/run_rounds.h"
#include "umbel/record/safetensors.h"
#include "umbel/strategy/fed_avg.h"

namespace umbel {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

// A folder for a run and a file that its events go to.
class LocalRunTest : public ::testing::Test {
 protected:
  LocalRunTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "umbel-run-XXXXXX").string();
    folder = ::mkdtemp(pattern.data());
    file = std::fopen((folder / "events").c_str(), "w+");
    spec.run.id = RunId(3);
    spec.run.nodes = 6;
    spec.threads = 2;
    spec.output = folder.string();
    client.train([](const Message& m, Context&) {
      return m.reply(m.arrays(), {{"num-examples", 2}, {"loss", 0.5}});
    });
  }
  ~LocalRunTest() override {
    std::fclose(file);
    std::filesystem::remove_all(folder);
  }

  std::vector<Json> events_written() const {
    std::ifstream in(folder / "events");
    std::vector<Json> events;
    for (std::string line; std::getline(in, line);) events.push_back(Json::parse(line));
    return events;
  }
  // Runs `main` and returns the last event.
  Json last(ServerApp::Main main, int exit_code) {
    Events events(::fileno(file));
    LocalRun run(spec, client, events);
    EXPECT_EQ(run.run(ServerApp().main(std::move(main))), exit_code);
    EXPECT_TRUE(run.shut_down());
    const std::vector<Json> all = events_written();
    EXPECT_EQ(all.front()["event"], "started");
    EXPECT_EQ(all.back()["event"], "finished");
    EXPECT_EQ(all.back()["exit-code"], exit_code);
    return all.back();
  }
  static RoundsResult rounds(Grid& grid, Context& context, uint64_t n) {
    return run_rounds(grid, context, fed_avg(), {{"w", Array::of<float>({1, 2})}}, {.rounds = n});
  }

  std::filesystem::path folder;
  FILE* file;
  RunSpec spec;
  ClientApp client;
};

TEST_F(LocalRunTest, ACompletedRunKeepsItsModel) {
  const Json finished = last([](Grid& g, Context& c) { rounds(g, c, 3); }, 0);
  EXPECT_EQ(finished["status"], "completed");
  EXPECT_EQ(finished["rounds"], 3);
  EXPECT_EQ(finished["clients"], 18);
  EXPECT_EQ(finished["failures"], 0);
  EXPECT_EQ(finished["metrics"]["train-loss"], 0.5);
  const ArrayRecord kept = or_throw(read_safetensors(folder / "model.safetensors"));
  EXPECT_EQ(finished["model-sha256"], safetensors_sha256(kept));
  int told = 0;
  for (const Json& event : events_written()) {
    if (event["event"] == "round") EXPECT_EQ(event["round"], ++told);
    if (event["event"] == "artifact") {
      EXPECT_EQ(event["bytes"], std::filesystem::file_size(folder / "model.safetensors"));
    }
  }
  EXPECT_EQ(told, 3);
}

TEST_F(LocalRunTest, TheAppsOwnModelIsNotReplaced) {
  const ArrayRecord own{{"w", Array::of<float>({7})}};
  const Json finished = last(
      [&](Grid& g, Context& c) {
        rounds(g, c, 1);
        c.save("model.safetensors", own);
      },
      0);
  EXPECT_EQ(finished["model-sha256"], safetensors_sha256(own));
}

TEST_F(LocalRunTest, ASecondSeriesOfRoundsGoesOnWithTheNumbers) {
  const Json finished = last(
      [](Grid& g, Context& c) {
        rounds(g, c, 2);
        rounds(g, c, 3);
      },
      0);
  EXPECT_EQ(finished["rounds"], 5);
  std::vector<int> told;
  for (const Json& event : events_written()) {
    if (event["event"] == "round") told.push_back(event["round"]);
  }
  EXPECT_EQ(told, (std::vector<int>{1, 2, 3, 4, 5}));
}

TEST_F(LocalRunTest, AModelSavedBeforeTheRoundsIsNotTheResult) {
  const Json finished = last(
      [&](Grid& g, Context& c) {
        c.save("model.safetensors", {{"w", Array::of<float>({7})}});
        rounds(g, c, 1);
      },
      0);
  const ArrayRecord kept = or_throw(read_safetensors(folder / "model.safetensors"));
  EXPECT_EQ(finished["model-sha256"], safetensors_sha256(kept));
  EXPECT_NE(kept, (ArrayRecord{{"w", Array::of<float>({7})}}));
}

TEST_F(LocalRunTest, WhatFailsAfterClientsTrainedIsNoConfigurationError) {
  const Json finished = last(
      [](Grid& g, Context& c) {
        rounds(g, c, 1);
        c.save("../elsewhere.safetensors", {});
      },
      1);
  EXPECT_THAT(finished["error"].get<std::string>(), HasSubstr("plain file name"));
}

TEST_F(LocalRunTest, AWrongConfigurationIsToldApartFromAFailure) {
  spec.run.config = RunConfig({{"rounds", 0}}, {"umbel.toml:4"});
  const Json wrong =
      last([](Grid&, Context& c) { c.run_config().integer("rounds", at_least(1)); }, 4);
  EXPECT_EQ(wrong["status"], "failed");
  EXPECT_EQ(wrong["error"], "umbel.toml:4: rounds = 0: expected at least 1");
}

TEST_F(LocalRunTest, WhatTheServerAppThrowsIsTheError) {
  const Json thrown = last(
      [](Grid& g, Context& c) {
        rounds(g, c, 1);
        throw std::runtime_error("no more paper");
      },
      1);
  EXPECT_EQ(thrown["error"], "the ServerApp threw: no more paper");
  EXPECT_EQ(thrown["rounds"], 1);
  EXPECT_FALSE(std::filesystem::exists(folder / "model.safetensors"));
  EXPECT_TRUE(read_safetensors(folder / "model-round-1.safetensors").ok()) << "the last good model";
  EXPECT_EQ(thrown["model-sha256"], "");
}

TEST_F(LocalRunTest, ThrowingSomethingElseIsAnErrorToo) {
  EXPECT_THAT(last([](Grid&, Context&) { throw 3; }, 1)["error"].get<std::string>(),
              HasSubstr("not a std::exception"));
}

TEST_F(LocalRunTest, AServerAppWithoutMainFails) {
  EXPECT_THAT(last(nullptr, 1)["error"].get<std::string>(), HasSubstr("no main function"));
}

TEST_F(LocalRunTest, AStoppedRunSaysSo) {
  Events events(::fileno(file));
  LocalRun run(spec, client, events);
  const auto main = [&](Grid& g, Context& c) {
    rounds(g, c, 1);
    std::jthread stopper([&] { run.request_stop(); });
    rounds(g, c, 999'999'000);
  };
  EXPECT_EQ(run.run(ServerApp().main(main)), 143);
  const Json finished = events_written().back();
  EXPECT_EQ(finished["status"], "stopped");
  EXPECT_THAT(finished["error"].get<std::string>(), HasSubstr("stopped"));
}

TEST_F(LocalRunTest, AServerAppThatIsCancelledIsAStoppedRun) {
  const auto leave = [](Grid&, Context&) { throw Error(absl::CancelledError("somebody left")); };
  const Json finished = last(leave, 143);
  EXPECT_EQ(finished["status"], "stopped");
  EXPECT_EQ(finished["error"], "somebody left");
}

TEST_F(LocalRunTest, ArtifactsStayInTheirFolder) {
  const Json finished = last(
      [](Grid&, Context& c) {
        const ArrayRecord arrays{{"w", Array::of<float>({7})}};
        for (const char* name : {"", "../x.safetensors", "a/b.safetensors", ".safetensors",
                                 "model.txt", "a\nb.safetensors", "/tmp/x.safetensors"}) {
          EXPECT_THROW(c.save(name, arrays), Error) << name;
        }
        c.save("best.safetensors", arrays);
      },
      0);
  EXPECT_EQ(finished["model-sha256"], "");
  EXPECT_TRUE(std::filesystem::exists(folder / "best.safetensors"));
}

TEST_F(LocalRunTest, AFolderThatCannotBeWrittenFailsTheRun) {
  spec.output = (folder / "absent").string();
  const Json finished = last([](Grid& g, Context& c) { rounds(g, c, 1); }, 1);
  EXPECT_THAT(finished["error"].get<std::string>(), HasSubstr("absent"));
}

TEST_F(LocalRunTest, AProgramThatIsStartedAgainGoesOnAndCountsAllItsRounds) {
  spec.checkpoints = true;
  const auto main = [](bool crash) {
    return [crash](Grid& g, Context& c) {
      rounds(g, c, 2);
      RoundsOptions options{.rounds = 3};
      options.evaluate = [crash](uint64_t round, const ArrayRecord&) {
        if (crash && round == 5) std::_Exit(9);
        return MetricRecord{{"round", round}};
      };
      run_rounds(g, c, fed_avg(), {{"w", Array::of<float>({1, 2})}}, options);
    };
  };
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  // The child makes a folder of its own first; it is told this one.
  if (const char* told = std::getenv("UMBEL_TEST_FOLDER")) spec.output = told;
  ::setenv("UMBEL_TEST_FOLDER", spec.output.c_str(), 1);
  EXPECT_EXIT(
      {
        Events events(-1);
        LocalRun run(spec, client, events);
        run.run(ServerApp().main(main(true)));
      },
      ::testing::ExitedWithCode(9), "");
  ::unsetenv("UMBEL_TEST_FOLDER");
  EXPECT_TRUE(std::filesystem::exists(folder / ".checkpoint-1"));
  const Json finished = last(main(false), 0);
  EXPECT_EQ(finished["rounds"], 5);
  EXPECT_EQ(finished["clients"], 30);
  EXPECT_EQ(finished["metrics"]["round"], 5);
  std::vector<std::string> told;
  for (const Json& event : events_written()) {
    if (event["event"] == "resumed" || event["event"] == "round") {
      told.push_back(event["event"].get<std::string>() + event["round"].dump());
    }
  }
  EXPECT_EQ(told, (std::vector<std::string>{"resumed2", "resumed4", "round5"}));
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    EXPECT_FALSE(entry.path().filename().string().starts_with(".checkpoint")) << entry.path();
  }
}

TEST_F(LocalRunTest, WithoutCheckpointsNoneAreKept) {
  (void)last(
      [this](Grid& g, Context& c) {
        rounds(g, c, 2);
        EXPECT_FALSE(std::filesystem::exists(folder / ".checkpoint-1"));
      },
      0);
}

TEST_F(LocalRunTest, EventsAreJsonWhateverTheAppSays) {
  Events events(::fileno(file));
  events.log(LogLevel::kWarn, NodeId(4), "bad \xff utf-8 \"quoted\"\n\x01");
  events.log(LogLevel::kInfo, std::nullopt, std::string(1 << 20, 'x'));
  events.record(
      "skew \xfe",
      {{"nan", std::nan("")}, {"list", std::vector<double>{1, HUGE_VAL}}, {"n", INT64_MIN}});
  events.progress({1, "train", 0, 10, HUGE_VAL});
  const std::vector<Json> all = events_written();
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0]["node"], 4);
  EXPECT_EQ(all[0]["side"], "client");
  EXPECT_EQ(all[0]["message"], "bad \xef\xbf\xbd utf-8 \"quoted\"\n\x01");
  EXPECT_TRUE(all[1]["node"].is_null());
  EXPECT_EQ(all[1]["message"].get<std::string>().size(), 65536u);
  EXPECT_TRUE(all[2]["metrics"]["nan"].is_null());
  EXPECT_EQ(all[2]["metrics"]["list"], (Json{1.0, nullptr}));
  EXPECT_EQ(all[2]["metrics"]["n"], INT64_MIN);
  EXPECT_TRUE(all[3]["clients-per-second"].is_null());
}

TEST_F(LocalRunTest, WithoutADescriptorNothingIsWritten) {
  Events(-1).rounds(3);
  EXPECT_TRUE(events_written().empty());
}

TEST_F(LocalRunTest, EventsOfManyThreadsDoNotMix) {
  Events events(::fileno(file));
  {
    std::vector<std::jthread> threads;
    for (uint64_t t = 0; t != 4; ++t) {
      threads.emplace_back([&events, t] {
        for (int i = 0; i != 100; ++i)
          events.log(LogLevel::kInfo, NodeId(t), std::string(500, 'y'));
      });
    }
  }
  EXPECT_EQ(events_written().size(), 400u);
}

}  // namespace
}  // namespace umbel

#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <set>
#include <thread>

#include "umbel/app/client_app.h"
#include "umbel/app/run_rounds.h"
#include "umbel/app/silent_runtime.h"
#include "umbel/record/safetensors.h"
#include "umbel/simulation/simulation.h"
#include "umbel/strategy/fed_adam.h"
#include "umbel/strategy/fed_avg.h"

// What the tests of the simulation share.
namespace umbel {

using ::testing::HasSubstr;
using Code = MessageError::Code;
using std::chrono::milliseconds;

// Opens once; whoever waits passes then.
class Gate {
 public:
  void open() {
    absl::MutexLock lock(&mutex_);
    open_ = true;
  }
  void wait() {
    absl::MutexLock lock(&mutex_);
    ++waiting_;
    mutex_.Await(absl::Condition(&open_));
  }
  void await_waiting(int clients) {
    absl::MutexLock lock(&mutex_);
    const auto there = [&] { return waiting_ >= clients; };
    mutex_.Await(absl::Condition(&there));
  }

 private:
  absl::Mutex mutex_;
  bool open_ = false;
  int waiting_ = 0;
};

inline ArrayRecord model(size_t n, double x = 0) {
  return {{"w", Array::copy_of<float>(std::vector<float>(n, static_cast<float>(x)),
                                      {static_cast<int64_t>(n)})}};
}

class SimulationTest : public ::testing::Test {
 protected:
  SimulationTest() { run.nodes = 8; }
  // A run of its own.
  Simulation& start(size_t threads) {
    simulation.reset();
    runtime = std::make_unique<SilentRuntime>();
    run.runtime = runtime.get();
    simulation = std::make_unique<Simulation>(app, run, SimulationOptions{.threads = threads});
    return *simulation;
  }
  Broadcast broadcast(std::vector<uint64_t> nodes, std::string type = "train") const {
    return {std::move(type), 1, std::move(nodes), content};
  }
  static AggregationPlan plan() { return {std::make_shared<ArrayRecord>(model(2)), {}}; }

  std::unique_ptr<SilentRuntime> runtime;
  umbel::Run run{.id = RunId(1), .seed = 42};
  ClientApp app;
  std::shared_ptr<const RecordDict> content = make_content(model(2, 1), {{"round", 1}});
  Gate gate;  // outlives the threads that wait at it
  std::unique_ptr<Simulation> simulation;
};

inline Message trained(const Message& m, float x, int64_t examples = 1) {
  return m.reply({{"w", Array::of<float>({x, x})}}, {{"num-examples", examples}});
}

}  // namespace umbel

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "umbel/base/status.h"
#include "umbel/record/record.h"

namespace umbel {

enum class Compare : uint8_t { kAtLeast, kAtMost };

// Stop once a metric is good enough: {"accuracy", Compare::kAtLeast, 0.84}.
struct Target {
  std::string metric;
  Compare compare = Compare::kAtLeast;
  double value = 0;
};

enum class Better : uint8_t { kHigher, kLower };

// Stop once a metric has stopped getting better.
struct Plateau {
  std::string metric;
  // This many measurements in a row (rounds that have the metric) without an improvement.
  size_t patience = 10;
  // An improvement is better than the best so far by more than this.
  double min_delta = 0;
  Better better = Better::kHigher;
};

// Any of these ends the run; none of them is needed.
struct StopRules {
  std::optional<uint64_t> rounds = {};  // after the round with this number
  std::vector<Target> targets = {};
  std::vector<Plateau> plateaus = {};
};

// Decides after each round whether the run is over.  A value without a clock: after a restart,
// feeding it the finished rounds again brings it back to where it was.
class Stopping {
 public:
  explicit Stopping(StopRules rules = {});

  // INVALID_ARGUMENT for a rule without metric, with a value that is not finite, or patience 0.
  Status validate() const;

  // Why to stop after this round, or nothing.  `evaluated` says that this round measured the model,
  // so that a rule's metric that no round had so far is taken for a misspelling: NOT_FOUND, with
  // the names there are, and nothing changed.  INVALID_ARGUMENT if the metric is a list.  NaN
  // reaches no target and is no improvement.
  Result<std::optional<std::string>> after_round(uint64_t round, const MetricRecord& metrics,
                                                 bool evaluated = true);

  const StopRules& rules() const { return rules_; }

  // What it remembers of the rounds so far, to go on from in another process.
  struct Best {
    std::optional<double> value;
    uint64_t round = 0;
    size_t stale = 0;  // measurements since
    friend bool operator==(const Best&, const Best&) = default;
  };
  struct Memory {
    std::vector<Best> best;           // of rules().plateaus
    std::vector<std::string> unseen;  // metrics of rules that no round had yet
    friend bool operator==(const Memory&, const Memory&) = default;
  };
  Memory memory() const { return {best_, unseen_}; }
  // INVALID_ARGUMENT, and nothing changed, if it cannot be the memory of these rules.
  Status restore(Memory memory);

 private:
  // The reason to stop by rules_.plateaus[index] after a measurement, or nothing.
  std::optional<std::string> measure(size_t index, uint64_t round, double value);

  StopRules rules_;
  std::vector<Best> best_;           // of rules_.plateaus
  std::vector<std::string> unseen_;  // metrics of rules that no round had yet
};

}  // namespace umbel

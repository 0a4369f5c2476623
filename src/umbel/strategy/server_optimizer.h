#pragma once

#include <string>
#include <variant>

#include "umbel/base/status.h"
#include "umbel/record/record.h"
#include "umbel/strategy/adagrad_step.h"
#include "umbel/strategy/adam_step.h"
#include "umbel/strategy/average_step.h"
#include "umbel/strategy/momentum_step.h"
#include "umbel/strategy/yogi_step.h"

namespace umbel {

// The formula that turns delta = mean - x, element by element, into a step of the model.
using ServerStep = std::variant<AverageStep, MomentumStep, AdamStep, YogiStep, AdagradStep>;

// Makes the next global model from this one and the mean of the clients' models.  A value: a
// formula and its moments, which are kept as float64 (8 bytes an element and moment).
//
// Real and complex floating arrays take the step, complex numbers as pairs of reals; each element
// is computed in double and rounded once to its dtype.  Integer and bool arrays become the mean.
// Elements do not depend on each other, so the same inputs give the same bits everywhere.
class ServerOptimizer {
 public:
  explicit ServerOptimizer(ServerStep step) : step_(step) {}
  static ServerOptimizer average(double learning_rate = 1) {
    return ServerOptimizer(AverageStep{.learning_rate = learning_rate});
  }
  static ServerOptimizer momentum(MomentumStep step = {}) { return ServerOptimizer(step); }
  static ServerOptimizer adam(AdamStep step = {}) { return ServerOptimizer(step); }
  static ServerOptimizer yogi(YogiStep step = {}) { return ServerOptimizer(step); }
  static ServerOptimizer adagrad(AdagradStep step = {}) { return ServerOptimizer(step); }

  // INVALID_ARGUMENT unless rates and tau are finite and above 0 and betas in [0, 1).
  Status validate() const;

  // The next model.  INVALID_ARGUMENT, and nothing changed, if the layouts of `global`, `mean` and
  // the moments disagree.  Averaging with rate 1 returns `mean` itself: the same buffers.
  Result<ArrayRecord> apply(const ArrayRecord& global, const ArrayRecord& mean);
  // The same where `mean` has only some of the arrays, in the model's order: the others, and their
  // moments, stay as they are.
  Result<ArrayRecord> apply_some(const ArrayRecord& global, const ArrayRecord& mean);

  // The moments: "m/NAME" and, where the formula has it, "v/NAME" for every floating array; complex
  // arrays have a last extent of 2 more.  Empty before the first apply().
  const ArrayRecord& state() const { return state_; }
  // Continues from moments of an earlier state().  INVALID_ARGUMENT, and nothing changed, if they
  // cannot be this formula's.  Whether they fit the model is seen by the next apply().
  Status restore(ArrayRecord state);

  std::string describe() const;  // "adam"

 private:
  ServerStep step_;
  ArrayRecord state_;
};

}  // namespace umbel

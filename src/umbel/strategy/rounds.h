#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "umbel/base/status.h"
#include "umbel/record/record.h"
#include "umbel/strategy/exchange.h"
#include "umbel/strategy/folded.h"
#include "umbel/strategy/stopping.h"
#include "umbel/strategy/strategy.h"

namespace umbel {

// How long a run is: `rounds` rounds, fewer if a target or plateau ends it; and what of the model
// travels in them.
struct RunLimits {
  uint64_t rounds = 1;
  uint64_t first_round = 1;  // later where a run is continued after round first_round-1
  std::vector<Target> targets = {};
  std::vector<Plateau> plateaus = {};
  Roles roles = {};
  Payload payload = {};
  // For samplers that go by attributes; used by make() alone.
  const Traits* traits = nullptr;
};

// What to ask of whom.  The content is the model, or what of it travels, and a config with "round";
// one content, shared.
struct Ask {
  enum class Kind : uint8_t { kTrain, kEvaluate };
  Kind kind = Kind::kTrain;
  uint64_t round = 0;
  std::vector<uint64_t> clients = {};  // ascending, never empty
  std::shared_ptr<const RecordDict> content = nullptr;
  // The names, dtypes and shapes of the arrays that a reply must have; nullptr: metrics alone.
  std::shared_ptr<const ArrayRecord> reply_layout = nullptr;
};

// All that a run remembers between two rounds.
struct RoundsMemory {
  uint64_t round = 1;  // the next one, or the last if it is over
  bool over = false;
  int skipped_in_a_row = 0;
  Stopping::Memory stopping = {};
  ArrayRecord global = {};
  ArrayRecord optimizer = {};  // ServerOptimizer::state()
};

// A run that leaves the model as it was so many rounds in a row has failed.
inline constexpr int kSkippedInARowMax = 3;

// The rounds of a run as a pure state machine: it says what to do next as a value, takes what came
// of it as events, and holds the global model.  Both runtimes drive it, so that the same seed and
// the same replies give the same models in both:
//
//   while (!rounds.over()) {
//     while (auto ask = rounds.next()) {                         // train, then maybe evaluate
//       ask->kind == kTrain ? rounds.train_done(fold(*ask)) : rounds.evaluate_done(fold(*ask));
//     }
//     rounds.round_finished(metrics of the round);
//   }
//
// An event out of turn (a second train_done, an evaluate_done before it, ...) is
// FAILED_PRECONDITION and changes nothing.  No threads, clocks or locks: one caller at a time.
class Rounds {
 public:
  // INVALID_ARGUMENT if the strategy does not fit the population, the limits make no sense, or
  // roles and payload do not fit the initial model (Exchange::make).
  // To continue a run under other limits, hand in the last round's model, a strategy whose
  // optimizer was restored, the same seed, and limits.first_round.
  static Result<Rounds> make(Strategy strategy, ArrayRecord initial, uint64_t population,
                             uint64_t seed, RunLimits limits);

  // The next thing to ask; nothing if this round only waits for round_finished(), or the run is
  // over.  Clients are drawn from derive_seed(seed, {round, kind}).
  // With a pool, of as many clients as the population, they are drawn from those who are available
  // there: fewer than the strategy has it if there are not more.
  Result<std::optional<Ask>> next(const Pool* pool = nullptr);
  // How many clients the sampler of the current phase has it, whether or not they were there.
  uint64_t wanted() const { return current_.wanted; }

  // The train replies are in.  With fewer than the quorum the round is skipped: the model stays as
  // it was and nothing is evaluated.  INVALID_ARGUMENT, and nothing changed, if the mean does not
  // have Ask::reply_layout or more replied than were asked.
  Status train_done(const Folded& folded);
  Status evaluate_done(const Folded& folded);

  // Ends the round, given all that was measured in it, here or by clients.  Returns why the run is
  // over, or nothing if there is another round.  An error other than FAILED_PRECONDITION ends the
  // run as failed: ABORTED after kSkippedInARowMax skipped rounds, or Stopping's error.
  Result<std::optional<std::string>> round_finished(const MetricRecord& metrics);

  // Between rounds, or at the end of a run that did not fail: what another process needs to go on,
  // with the same strategy, population, seed and limits.  The remaining rounds are then the same
  // bit by bit.
  RoundsMemory memory() const;
  // For rounds that make() has just made.  INVALID_ARGUMENT, and nothing changed, if it cannot be
  // the memory of this run: another layout, optimizer, other rules, a round outside the limits.
  Status restore(RoundsMemory memory);

  bool over() const { return phase_ == Phase::kOver; }
  const Status& failure() const { return failure_; }     // OK unless the run failed
  uint64_t round() const { return round_; }              // the current one, or the last if over
  const ArrayRecord& global() const { return global_; }  // private tensors are not among it
  const Exchange& exchange() const { return exchange_; }
  const Strategy& strategy() const { return strategy_; }  // with its optimizer's state
  // Why the current round left the model as it was; nothing if it did not.
  const std::optional<std::string>& skipped() const { return current_.skipped; }
  // True once this round trained, and will be or was evaluated: by clients if the strategy has
  // that, and here if the app does.
  bool evaluation_due() const;

 private:
  enum class Phase : uint8_t { kTrainDue, kTraining, kEvaluateDue, kEvaluating, kClosing, kOver };

  Rounds(Strategy strategy, Exchange exchange, ArrayRecord global, uint64_t population,
         uint64_t seed, Stopping stopping);
  Status require_phase(Phase phase, std::string_view event) const;
  Status require_counts(const Folded& folded) const;
  Result<Sampler::Drawn> draw(Ask::Kind kind, const Pool* pool) const;
  Ask ask(Ask::Kind kind, std::vector<uint64_t> clients);
  Result<std::optional<std::string>> fail(Status status);

  Strategy strategy_;
  Exchange exchange_;
  ArrayRecord global_;
  uint64_t population_;
  uint64_t seed_;
  Stopping stopping_;

  // What is known of one round and forgotten with it.
  struct Current {
    uint64_t asked = 0;      // clients of the phase that is out
    uint64_t wanted = 0;     // and how many the sampler would have it
    bool evaluated = false;  // the model was measured, as far as is known here
    std::optional<std::string> skipped = {};
  };

  Phase phase_ = Phase::kTrainDue;
  uint64_t round_ = 1;
  Current current_;
  int skipped_in_a_row_ = 0;
  Status failure_;
};

}  // namespace umbel

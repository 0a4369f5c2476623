// Rounds against a model of it that is small enough to be seen to be right, over random sequences
// of events in and out of turn.

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "umbel/strategy/fed_avg.h"
#include "umbel/strategy/rounds.h"

namespace umbel {
namespace {

constexpr uint64_t kTrained = 4;    // clients asked to train
constexpr uint64_t kEvaluated = 3;  // clients asked to evaluate
constexpr uint64_t kQuorum = 2;     // half of those that train
constexpr uint64_t kRounds = 8;

enum class Kind { kNext, kTrainDone, kEvaluateDone, kFinish };

struct Event {
  Kind kind;
  uint64_t replies;
  uint64_t failures;
  double mean;
};

std::ostream& operator<<(std::ostream& out, const Event& event) {
  static constexpr const char* kNames[] = {"next", "train_done", "evaluate_done", "finish"};
  return out << kNames[static_cast<int>(event.kind)] << "(" << event.replies << " replies, "
             << event.failures << " failures, mean " << event.mean << ")";
}

// What is due, in the model's words: asking to train (T), its replies (t), asking to evaluate (E),
// its replies (e), the end of the round (f), nothing (.).
struct Model {
  char due = 'T';
  uint64_t round = 1;
  double value = 0;
  int skipped_in_a_row = 0;
  bool skipped = false;
  bool failed = false;

  using Code = absl::StatusCode;

  Code apply(const Event& event) {
    switch (event.kind) {
      case Kind::kNext:
        return next();
      case Kind::kTrainDone:
        return train_done(event);
      case Kind::kEvaluateDone:
        if (due != 'e') return Code::kFailedPrecondition;
        if (event.replies + event.failures > kEvaluated) return Code::kInvalidArgument;
        due = 'f';
        return Code::kOk;
      case Kind::kFinish:
        break;
    }
    return finish();
  }

  Code next() {
    if (due == 't' || due == 'e') return Code::kFailedPrecondition;
    if (due == 'T') due = 't';
    if (due == 'E') due = 'e';
    return Code::kOk;
  }

  Code train_done(const Event& event) {
    if (due != 't') return Code::kFailedPrecondition;
    if (event.replies + event.failures > kTrained) return Code::kInvalidArgument;
    skipped = event.replies < kQuorum;
    skipped_in_a_row = skipped ? skipped_in_a_row + 1 : 0;
    if (!skipped) value = event.mean;
    due = skipped || round % 2 == 1 ? 'f' : 'E';  // evaluate_every is 2, kRounds is even
    return Code::kOk;
  }

  Code finish() {
    if (due != 'f') return Code::kFailedPrecondition;
    failed = skipped_in_a_row == 3;
    due = failed || round == kRounds ? '.' : 'T';
    if (failed) return Code::kAborted;
    if (due == 'T') {
      ++round;
      skipped = false;
    }
    return Code::kOk;
  }
};

// Gives the event to the machine; what it asks for must be what was due.
absl::StatusCode apply(Rounds& rounds, const Event& event, char due) {
  const Folded folded{.arrays = {{"w", Array::of<double>({event.mean})}},
                      .replies = event.replies,
                      .failures = event.failures};
  switch (event.kind) {
    case Kind::kNext: {
      const Result<std::optional<Ask>> ask = rounds.next();
      if (ask.ok()) RC_ASSERT(ask->has_value() == (due == 'T' || due == 'E'));
      if (!ask.ok() || !*ask) return ask.status().code();
      RC_ASSERT((*ask)->round == rounds.round());
      RC_ASSERT(((*ask)->kind == Ask::Kind::kTrain) == (due == 'T'));
      RC_ASSERT((*ask)->clients.size() == (due == 'T' ? kTrained : kEvaluated));
      return absl::StatusCode::kOk;
    }
    case Kind::kTrainDone:
      return rounds.train_done(folded).code();
    case Kind::kEvaluateDone:
      return rounds.evaluate_done(folded).code();
    case Kind::kFinish:
      break;
  }
  return rounds.round_finished({}).status().code();
}

rc::Gen<Event> events() {
  return rc::gen::construct<Event>(
      rc::gen::element(Kind::kNext, Kind::kTrainDone, Kind::kEvaluateDone, Kind::kFinish),
      rc::gen::inRange<uint64_t>(0, 5), rc::gen::inRange<uint64_t>(0, 2),
      rc::gen::cast<double>(rc::gen::inRange(1, 1000)));
}

RC_GTEST_PROP(RoundsModel, EveryEventDoesWhatTheModelDoesAndNoMore, ()) {
  const Strategy strategy = fed_avg({.clients_train = kTrained,
                                     .clients_evaluate = kEvaluated,
                                     .quorum = 0.5,
                                     .evaluate_every = 2});
  Result<Rounds> rounds =
      Rounds::make(strategy, {{"w", Array::of<double>({0})}}, 50, 1, {.rounds = kRounds});
  RC_ASSERT(rounds.ok());
  Model model;
  const auto sequence = *rc::gen::scale(3.0, rc::gen::container<std::vector<Event>>(events()));
  for (const Event& event : sequence) {
    const char due = model.due;
    RC_ASSERT(apply(*rounds, event, due) == model.apply(event));
    RC_ASSERT(rounds->round() == model.round);
    RC_ASSERT(rounds->global()["w"].view<double>()[0] == model.value);
    RC_ASSERT(rounds->skipped().has_value() == model.skipped);
    RC_ASSERT(rounds->over() == (model.due == '.'));
    RC_ASSERT(rounds->failure().ok() == !model.failed);
  }
  RC_CLASSIFY(model.failed, "failed");
  RC_CLASSIFY(rounds->over() && !model.failed, "all rounds done");
  RC_CLASSIFY(model.round > 2, "more than two rounds");
}

}  // namespace
}  // namespace umbel

#include "umbel/strategy/rounds.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "umbel/base/check.h"
#include "umbel/base/rng.h"
#include "umbel/record/message.h"

namespace umbel {

namespace {

constexpr uint64_t kRoundsMax = 1'000'000'000;

// The least number of replies that make `share` of `asked`; the slack forgives what a share such
// as 0.07 loses in binary (0.07 * 100 is a little more than 7).
uint64_t replies_needed(double share, uint64_t asked) {
  const double needed = std::ceil(share * static_cast<double>(asked) * (1 - 1e-12));
  return std::max<uint64_t>(1, static_cast<uint64_t>(needed));
}

}  // namespace

Result<Rounds> Rounds::make(Strategy strategy, ArrayRecord initial, uint64_t population,
                            uint64_t seed, RunLimits limits) {
  UMBEL_RETURN_IF_ERROR(strategy.validate(population, limits.traits));
  if (limits.first_round == 0 || limits.first_round > limits.rounds || limits.rounds > kRoundsMax) {
    return invalid_argument("run: rounds {} to {}, expected to begin at 1 and to end by 10^9",
                            limits.first_round, limits.rounds);
  }
  Stopping stopping({.rounds = limits.rounds,
                     .targets = std::move(limits.targets),
                     .plateaus = std::move(limits.plateaus)});
  UMBEL_RETURN_IF_ERROR(stopping.validate());
  UMBEL_ASSIGN_OR_RETURN(Exchange exchange, Exchange::make(std::move(limits.roles),
                                                           std::move(limits.payload), initial));
  ArrayRecord global = exchange.global(initial);
  Rounds rounds(std::move(strategy), std::move(exchange), std::move(global), population, seed,
                std::move(stopping));
  rounds.round_ = limits.first_round;
  return rounds;
}

Rounds::Rounds(Strategy strategy, Exchange exchange, ArrayRecord global, uint64_t population,
               uint64_t seed, Stopping stopping)
    : strategy_(std::move(strategy)),
      exchange_(std::move(exchange)),
      global_(std::move(global)),
      population_(population),
      seed_(seed),
      stopping_(std::move(stopping)) {}

Result<std::optional<Ask>> Rounds::next(const Pool* pool) {
  const bool training = phase_ == Phase::kTrainDue;
  if (phase_ == Phase::kClosing || phase_ == Phase::kOver) return std::optional<Ask>();
  if (!training) UMBEL_RETURN_IF_ERROR(require_phase(Phase::kEvaluateDue, "next"));

  const Ask::Kind kind = training ? Ask::Kind::kTrain : Ask::Kind::kEvaluate;
  UMBEL_ASSIGN_OR_RETURN(Sampler::Drawn drawn, draw(kind, pool));
  current_.wanted = drawn.wanted;
  if (!drawn.clients.empty()) return std::optional(ask(kind, std::move(drawn.clients)));
  // A draw may pick nobody (Poisson).  That is nobody's fault: it does not count as a failure.
  if (training) current_.skipped = "the sampler picked nobody";
  phase_ = Phase::kClosing;
  return std::optional<Ask>();
}

Status Rounds::train_done(const Folded& folded) {
  UMBEL_RETURN_IF_ERROR(require_phase(Phase::kTraining, "train_done"));
  UMBEL_RETURN_IF_ERROR(require_counts(folded));
  const uint64_t needed = replies_needed(strategy_.quorum, current_.asked);
  if (folded.replies < needed) {
    current_.skipped = fmt::format("{} of {} replies counted, at least {} must; {} failed",
                                   folded.replies, current_.asked, needed, folded.failures);
    ++skipped_in_a_row_;
    phase_ = Phase::kClosing;
    return absl::OkStatus();
  }
  UMBEL_ASSIGN_OR_RETURN(global_,
                         exchange_.apply(strategy_.optimizer, global_, folded.arrays, round_));
  skipped_in_a_row_ = 0;
  phase_ = Phase::kClosing;
  if (evaluation_due()) {
    current_.evaluated = strategy_.evaluate.picks_nobody();
    if (!current_.evaluated) phase_ = Phase::kEvaluateDue;
  }
  return absl::OkStatus();
}

Status Rounds::evaluate_done(const Folded& folded) {
  UMBEL_RETURN_IF_ERROR(require_phase(Phase::kEvaluating, "evaluate_done"));
  UMBEL_RETURN_IF_ERROR(require_counts(folded));
  current_.evaluated = folded.replies > 0;
  phase_ = Phase::kClosing;
  return absl::OkStatus();
}

Result<std::optional<std::string>> Rounds::round_finished(const MetricRecord& metrics) {
  UMBEL_RETURN_IF_ERROR(require_phase(Phase::kClosing, "round_finished"));
  if (skipped_in_a_row_ >= kSkippedInARowMax) {
    return fail(absl::AbortedError(fmt::format("{} rounds in a row were skipped; round {}: {}",
                                               skipped_in_a_row_, round_, *current_.skipped)));
  }
  // A round that left the model alone measured nothing new.
  Result<std::optional<std::string>> reason = stopping_.after_round(
      round_, current_.skipped ? MetricRecord() : metrics, current_.evaluated);
  if (!reason.ok()) return fail(reason.status());
  if (*reason) {
    phase_ = Phase::kOver;
    return reason;
  }
  ++round_;
  phase_ = Phase::kTrainDue;
  current_ = {};
  return reason;
}

RoundsMemory Rounds::memory() const {
  UMBEL_CHECK(phase_ == Phase::kTrainDue || (phase_ == Phase::kOver && failure_.ok()));
  return {.round = round_,
          .over = over(),
          .skipped_in_a_row = skipped_in_a_row_,
          .stopping = stopping_.memory(),
          .global = global_,
          .optimizer = strategy_.optimizer.state()};
}

Status Rounds::restore(RoundsMemory memory) {
  UMBEL_RETURN_IF_ERROR(require_phase(Phase::kTrainDue, "restore"));
  if (memory.round < round_ || memory.round > *stopping_.rules().rounds) {
    return invalid_argument("round {}, the run has rounds {} to {}", memory.round, round_,
                            *stopping_.rules().rounds);
  }
  if (memory.skipped_in_a_row < 0 || memory.skipped_in_a_row >= kSkippedInARowMax) {
    return invalid_argument("{} rounds skipped in a row", memory.skipped_in_a_row);
  }
  UMBEL_RETURN_IF_ERROR(require_layout(memory.global, global_));
  ServerOptimizer optimizer = strategy_.optimizer;
  UMBEL_RETURN_IF_ERROR(optimizer.restore(std::move(memory.optimizer)));
  UMBEL_RETURN_IF_ERROR(stopping_.restore(std::move(memory.stopping)));
  strategy_.optimizer = std::move(optimizer);
  global_ = std::move(memory.global);
  round_ = memory.round;
  skipped_in_a_row_ = memory.skipped_in_a_row;
  if (memory.over) phase_ = Phase::kOver;
  return absl::OkStatus();
}

bool Rounds::evaluation_due() const {
  const bool trained =
      phase_ != Phase::kTrainDue && phase_ != Phase::kTraining && !current_.skipped;
  const bool last = round_ == stopping_.rules().rounds;
  return trained && (last || round_ % strategy_.evaluate_every == 0);
}

Status Rounds::require_phase(Phase phase, std::string_view event) const {
  static constexpr std::string_view kPhases[] = {"the clients to train are to be asked",
                                                 "the train replies are awaited",
                                                 "the clients to evaluate are to be asked",
                                                 "the evaluate replies are awaited",
                                                 "the round is to be finished",
                                                 "the run is over"};
  if (phase_ == phase) return absl::OkStatus();
  return failed_precondition("round {}: {} is out of turn, {}", round_, event,
                             kPhases[static_cast<size_t>(phase_)]);
}

Status Rounds::require_counts(const Folded& folded) const {
  if (folded.replies <= current_.asked && folded.failures <= current_.asked - folded.replies) {
    return absl::OkStatus();
  }
  return invalid_argument("round {}: {} replies and {} failures of {} clients that were asked",
                          round_, folded.replies, folded.failures, current_.asked);
}

Result<Sampler::Drawn> Rounds::draw(Ask::Kind kind, const Pool* pool) const {
  if (pool != nullptr && pool->clients != population_) {
    return invalid_argument("a pool of {} clients, the population has {}", pool->clients,
                            population_);
  }
  const Sampler& sampler = kind == Ask::Kind::kTrain ? strategy_.train : strategy_.evaluate;
  return sampler.draw(pool ? *pool : Pool{population_, nullptr, {}},
                      derive_seed(seed_, {round_, static_cast<uint64_t>(kind)}));
}

Ask Rounds::ask(Ask::Kind kind, std::vector<uint64_t> clients) {
  const bool training = kind == Ask::Kind::kTrain;
  ConfigRecord config = training ? strategy_.client_config : strategy_.evaluate_config;
  config.set(kRoundKey, round_);
  for (const std::string& key : strategy_.round_keys) config.set(key, round_);
  Ask ask{.kind = kind, .round = round_, .clients = std::move(clients)};
  for (const auto& [key, value] : exchange_.config(global_, round_, training)) {
    config.set(key, value);
  }
  if (training) {
    ask.reply_layout = std::make_shared<const ArrayRecord>(exchange_.up(global_, round_));
  }
  ask.content = make_content(exchange_.down(global_, round_, training), std::move(config));
  current_.asked = ask.clients.size();
  phase_ = training ? Phase::kTraining : Phase::kEvaluating;
  return ask;
}

Result<std::optional<std::string>> Rounds::fail(Status status) {
  failure_ = status;
  phase_ = Phase::kOver;
  return status;
}

}  // namespace umbel

#include "umbel/strategy/rounds.h"

#include <gtest/gtest.h>

#include "umbel/base/rng.h"
#include "umbel/record/message.h"
#include "umbel/strategy/fed_adam.h"
#include "umbel/strategy/fed_avg.h"
#include "umbel/strategy/fed_prox.h"

namespace umbel {
namespace {

constexpr uint64_t kPopulation = 100;
constexpr uint64_t kSeed = 7;

ArrayRecord model(double value) { return {{"w", Array::of<double>({value})}}; }

Rounds make(Strategy strategy, RunLimits limits, double initial = 0, uint64_t seed = kSeed) {
  return or_throw(
      Rounds::make(std::move(strategy), model(initial), kPopulation, seed, std::move(limits)));
}

std::string make_error(Strategy strategy, RunLimits limits) {
  return message_of(
      Rounds::make(std::move(strategy), model(0), kPopulation, kSeed, std::move(limits)).status());
}

Ask next(Rounds& rounds) {
  std::optional<Ask> ask = or_throw(rounds.next());
  EXPECT_TRUE(ask);
  return ask ? *std::move(ask) : Ask();
}

Folded mean(double value, uint64_t replies, uint64_t failures = 0) {
  return {.arrays = model(value), .replies = replies, .failures = failures};
}

// One round of whoever is asked, all of whom answer; gives why the run ended.
std::optional<std::string> play(Rounds& rounds, double value, const MetricRecord& metrics = {}) {
  while (const std::optional<Ask> ask = or_throw(rounds.next())) {
    const uint64_t replies = ask->clients.size();
    or_throw(ask->kind == Ask::Kind::kTrain ? rounds.train_done(mean(value, replies))
                                            : rounds.evaluate_done({.replies = replies}));
  }
  return or_throw(rounds.round_finished(metrics));
}

TEST(Rounds, MessagesHaveTheirKindsConfigAndTheRoundUnderEveryKey) {
  Strategy strategy = fed_avg({.clients_train = 1, .clients_evaluate = 1});
  strategy.client_config.set("rate", 0.5);
  strategy.evaluate_config.set("batch", 8);
  strategy.round_keys = {"server-round"};
  Rounds rounds = make(strategy, {.rounds = 1});
  EXPECT_EQ(std::get<ConfigRecord>(next(rounds).content->at("config")),
            (ConfigRecord{{"rate", 0.5}, {"round", 1}, {"server-round", 1}}));
  or_throw(rounds.train_done(mean(1, 1)));
  EXPECT_EQ(std::get<ConfigRecord>(next(rounds).content->at("config")),
            (ConfigRecord{{"batch", 8}, {"round", 1}, {"server-round", 1}}));

  strategy.evaluate_config.set("server-round", 3);
  EXPECT_EQ(
      make_error(strategy, {.rounds = 1}),
      "strategy fed-avg: evaluate_config has \"server-round\", which every message has anyway");
}

TEST(Rounds, TrainsEvaluatesAndEndsAfterTheLastRound) {
  Rounds rounds = make(fed_avg({.clients_train = 4, .clients_evaluate = 2}), {.rounds = 2});
  for (uint64_t round = 1; round <= 2; ++round) {
    EXPECT_EQ(rounds.round(), round);
    const Ask train = next(rounds);
    EXPECT_EQ(train.kind, Ask::Kind::kTrain);
    EXPECT_EQ(train.round, round);
    EXPECT_EQ(train.clients.size(), 4u);
    or_throw(rounds.train_done(mean(10 * round, 4)));
    EXPECT_EQ(rounds.global(), model(10 * round));
    const Ask evaluate = next(rounds);
    EXPECT_EQ(evaluate.kind, Ask::Kind::kEvaluate);
    EXPECT_EQ(evaluate.clients.size(), 2u);
    or_throw(rounds.evaluate_done({.replies = 2}));
    EXPECT_EQ(or_throw(rounds.next()), std::nullopt);
    EXPECT_EQ(or_throw(rounds.round_finished({})).has_value(), round == 2);
  }
  EXPECT_TRUE(rounds.over());
  EXPECT_TRUE(rounds.failure().ok());
  EXPECT_EQ(or_throw(rounds.next()), std::nullopt);
}

TEST(Rounds, ContentIsTheModelItselfAndTheConfigOfTheRound) {
  Rounds rounds = make(fed_prox({.clients_evaluate = 1, .proximal_mu = 0.5}), {.rounds = 1}, 3);
  const Ask train = next(rounds);
  const auto* arrays = first_of<ArrayRecord>(*train.content);
  ASSERT_TRUE(arrays);
  EXPECT_EQ((*arrays)["w"].buffer().data(), rounds.global()["w"].buffer().data());
  EXPECT_EQ(*first_of<ConfigRecord>(*train.content),
            (ConfigRecord{{"proximal-mu", 0.5}, {"round", 1}}));
  or_throw(rounds.train_done(mean(4, 1)));
  const Ask evaluate = next(rounds);
  EXPECT_EQ(*first_of<ArrayRecord>(*evaluate.content), model(4));
  EXPECT_EQ(*first_of<ConfigRecord>(*evaluate.content), (ConfigRecord{{"round", 1}}));
}

TEST(Rounds, ClientsAreDrawnFromSeedRoundAndPhase) {
  const Strategy strategy = fed_avg({.clients_train = 10, .clients_evaluate = 10});
  Rounds rounds = make(strategy, {.rounds = 3});
  const Ask train = next(rounds);
  EXPECT_EQ(train.clients, *strategy.train.sample(kPopulation, derive_seed(kSeed, {1, 0})));
  or_throw(rounds.train_done(mean(1, 10)));
  const Ask evaluate = next(rounds);
  EXPECT_EQ(evaluate.clients, *strategy.evaluate.sample(kPopulation, derive_seed(kSeed, {1, 1})));
  EXPECT_NE(train.clients, evaluate.clients);
}

TEST(Rounds, EvaluatesEverySoManyRoundsAndAfterTheLast) {
  Rounds rounds = make(fed_avg({.clients_evaluate = 1, .evaluate_every = 2}), {.rounds = 5});
  std::vector<uint64_t> evaluated;
  while (!rounds.over()) {
    const uint64_t round = rounds.round();
    or_throw(rounds.train_done(mean(1, next(rounds).clients.size())));
    if (rounds.evaluation_due()) evaluated.push_back(round);
    play(rounds, 1);
  }
  EXPECT_EQ(evaluated, (std::vector<uint64_t>{2, 4, 5}));
}

TEST(Rounds, BelowQuorumTheModelStaysAndTheRoundIsSkipped) {
  Rounds rounds =
      make(fed_avg({.clients_train = 10, .clients_evaluate = 5, .quorum = 0.5}), {.rounds = 2}, 3);
  next(rounds);
  or_throw(rounds.train_done(mean(9, 4, 6)));
  EXPECT_EQ(rounds.global(), model(3));
  EXPECT_EQ(rounds.skipped(), "4 of 10 replies counted, at least 5 must; 6 failed");
  EXPECT_FALSE(rounds.evaluation_due());
  EXPECT_EQ(or_throw(rounds.next()), std::nullopt);
  EXPECT_EQ(or_throw(rounds.round_finished({})), std::nullopt);
  EXPECT_EQ(rounds.skipped(), std::nullopt);
  next(rounds);
  or_throw(rounds.train_done(mean(9, 5, 5)));
  EXPECT_EQ(rounds.global(), model(9));
}

TEST(Rounds, QuorumIsNotRaisedByTheBinaryFormOfAShare) {
  Rounds rounds = make(fed_avg({.quorum = 0.07}), {.rounds = 1});  // 0.07 * 100 > 7 in binary
  next(rounds);
  or_throw(rounds.train_done(mean(9, 7)));
  EXPECT_EQ(rounds.skipped(), std::nullopt);
}

TEST(Rounds, ThreeSkippedRoundsInARowFailTheRun) {
  Rounds rounds = make(fed_avg({.clients_train = 10}), {.rounds = 20});
  const auto fail_round = [&] {
    next(rounds);
    or_throw(rounds.train_done({.failures = 10}));
    return rounds.round_finished({});
  };
  EXPECT_TRUE(fail_round().ok());
  EXPECT_TRUE(fail_round().ok());
  play(rounds, 1);  // breaks the row
  EXPECT_TRUE(fail_round().ok());
  EXPECT_TRUE(fail_round().ok());
  const Status status = fail_round().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(message_of(status),
            "3 rounds in a row were skipped; round 6: 0 of 10 replies counted, at least 1 must; 10 "
            "failed");
  EXPECT_TRUE(rounds.over());
  EXPECT_EQ(rounds.failure(), status);
  EXPECT_EQ(rounds.global(), model(1));
}

TEST(Rounds, EmptyDrawsAreLegalRoundsThatFailNothing) {
  Strategy strategy;
  strategy.train = Sampler::poisson(1e-12);
  Rounds rounds = make(strategy, {.rounds = 10}, 3);
  for (int round = 1; round <= 10; ++round) {
    EXPECT_EQ(or_throw(rounds.next()), std::nullopt);
    EXPECT_EQ(rounds.skipped(), "the sampler picked nobody");
    EXPECT_EQ(or_throw(rounds.round_finished({})).has_value(), round == 10);
  }
  EXPECT_TRUE(rounds.failure().ok());
  EXPECT_EQ(rounds.global(), model(3));
}

TEST(Rounds, EmptyEvaluationDrawEndsTheRoundWithoutIt) {
  Strategy strategy;
  strategy.evaluate = Sampler::poisson(1e-12);
  Rounds rounds = make(strategy, {.rounds = 1, .targets = {{"loss", Compare::kAtMost, 1}}});
  EXPECT_EQ(play(rounds, 1), "all 1 rounds are done");
}

TEST(Rounds, AnEvaluationThatNobodyAnswersIsNotTakenForAMisspeltTarget) {
  Rounds rounds = make(fed_avg({.clients_train = 2, .clients_evaluate = 2}),
                       {.rounds = 9, .targets = {{"accuracy", Compare::kAtLeast, 0.84}}});
  next(rounds);
  or_throw(rounds.train_done(mean(1, 2)));
  next(rounds);
  or_throw(rounds.evaluate_done({.failures = 2}));
  EXPECT_EQ(or_throw(rounds.round_finished({})), std::nullopt);
}

TEST(Rounds, TargetEndsTheRun) {
  Rounds rounds =
      make(fed_avg(), {.rounds = 9, .targets = {{"accuracy", Compare::kAtLeast, 0.84}}});
  EXPECT_EQ(play(rounds, 1, {{"accuracy", 0.5}}), std::nullopt);
  EXPECT_EQ(play(rounds, 2, {{"accuracy", 0.9}}),
            "accuracy reached 0.9 in round 2, the target was at least 0.84");
  EXPECT_TRUE(rounds.over());
  EXPECT_EQ(rounds.round(), 2u);
}

TEST(Rounds, MisspeltTargetFailsTheRunInTheFirstEvaluatedRound) {
  Rounds rounds = make(fed_avg({.evaluate_every = 2}),
                       {.rounds = 9, .targets = {{"acc", Compare::kAtLeast, 0.84}}});
  EXPECT_EQ(play(rounds, 1, {{"loss", 1}}), std::nullopt);
  or_throw(rounds.train_done(mean(1, next(rounds).clients.size())));
  EXPECT_EQ(rounds.round_finished({{"loss", 1}}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(rounds.failure().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(rounds.over());
}

TEST(Rounds, SkippedRoundsDoNotCountTowardsAPlateau) {
  Rounds rounds = make(fed_avg({.clients_train = 10}),
                       {.rounds = 9, .plateaus = {{.metric = "loss", .patience = 1}}});
  EXPECT_EQ(play(rounds, 1, {{"loss", 1}}), std::nullopt);
  next(rounds);
  or_throw(rounds.train_done({.failures = 10}));
  EXPECT_EQ(or_throw(rounds.round_finished({{"loss", 1}})), std::nullopt);
}

TEST(Rounds, MeanOfAnotherLayoutIsRefusedAndTheRoundWaits) {
  Rounds rounds = make(fed_avg({.clients_train = 2}), {.rounds = 1});
  next(rounds);
  const Status status =
      rounds.train_done({.arrays = {{"w", Array::of<double>({1, 2})}}, .replies = 2});
  EXPECT_EQ(message_of(status), "array \"w\": float64[2], the round expects float64[1]");
  EXPECT_EQ(rounds.global(), model(0));
  EXPECT_TRUE(rounds.train_done(mean(1, 2)).ok());
}

TEST(Rounds, MoreRepliesThanClientsAreRefused) {
  Rounds rounds = make(fed_avg({.clients_train = 2}), {.rounds = 1});
  next(rounds);
  EXPECT_EQ(message_of(rounds.train_done(mean(1, 2, 1))),
            "round 1: 2 replies and 1 failures of 2 clients that were asked");
  EXPECT_FALSE(rounds.train_done(mean(1, 1, UINT64_MAX)).ok());
  EXPECT_EQ(rounds.global(), model(0));
}

TEST(Rounds, AnEventOutOfTurnSaysWhatIsDue) {
  Rounds rounds = make(fed_avg({.clients_train = 2}), {.rounds = 1});
  EXPECT_EQ(message_of(rounds.train_done(mean(1, 2))),
            "round 1: train_done is out of turn, the clients to train are to be asked");
  next(rounds);
  EXPECT_EQ(message_of(rounds.evaluate_done({})),
            "round 1: evaluate_done is out of turn, the train replies are awaited");
  EXPECT_EQ(message_of(rounds.next().status()),
            "round 1: next is out of turn, the train replies are awaited");
}

TEST(Rounds, AContinuedRunGivesTheSameBits) {
  const Strategy strategy = fed_adam({.clients_train = 3});
  // What the clients make of the model depends on who they are and on what they were sent.
  const auto play_round = [](Rounds& rounds) {
    const Ask ask = next(rounds);
    double value = rounds.global()["w"].view<double>()[0];
    for (const uint64_t client : ask.clients) value += 0.37 / static_cast<double>(client + 1);
    or_throw(rounds.train_done(mean(value, ask.clients.size())));
    or_throw(rounds.round_finished({}));
  };
  Rounds whole = make(strategy, {.rounds = 6});
  for (int round = 0; round != 3; ++round) play_round(whole);
  Strategy restored = strategy;
  or_throw(restored.optimizer.restore(whole.strategy().optimizer.state().clone()));
  Rounds rest = or_throw(Rounds::make(restored, whole.global().clone(), kPopulation, kSeed,
                                      {.rounds = 6, .first_round = 4}));
  while (!whole.over()) play_round(whole);
  while (!rest.over()) play_round(rest);
  EXPECT_EQ(rest.global(), whole.global());
  EXPECT_EQ(rest.round(), 6u);
}

TEST(Rounds, MemoryCarriesARunIntoAnotherProcess) {
  const RunLimits limits{.rounds = 6, .plateaus = {{"loss", 3, 0, Better::kLower}}};
  const Strategy strategy = fed_adam({.clients_train = 4});
  const auto metrics = [](int round) { return MetricRecord{{"loss", round < 3 ? 9 - round : 8}}; };
  Rounds whole = make(strategy, limits, 3);
  for (int before = 0; !whole.over(); ++before) {
    SCOPED_TRACE(before);
    Rounds there = make(strategy, limits, 3);
    or_throw(there.restore(whole.memory()));
    Rounds here = whole;
    for (int round = before + 1; !here.over(); ++round) {
      EXPECT_EQ(there.round(), here.round());
      EXPECT_EQ(play(there, 1.0 / round, metrics(round)), play(here, 1.0 / round, metrics(round)));
      EXPECT_EQ(there.global(), here.global());
    }
    EXPECT_TRUE(there.over());
    (void)play(whole, 1.0 / (before + 1), metrics(before + 1));
  }
  EXPECT_EQ(whole.round(), 5u);  // the plateau
  Rounds over = make(strategy, limits, 3);
  or_throw(over.restore(whole.memory()));
  EXPECT_TRUE(over.over());
  EXPECT_EQ(over.global(), whole.global());
}

TEST(Rounds, SkippedRoundsAreRememberedInTheMemory) {
  Rounds rounds = make(fed_avg(), {.rounds = 9});
  for (int i = 0; i != kSkippedInARowMax - 1; ++i) {
    (void)next(rounds);
    or_throw(rounds.train_done({.failures = kPopulation}));
    or_throw(rounds.round_finished({}));
  }
  Rounds there = make(fed_avg(), {.rounds = 9});
  or_throw(there.restore(rounds.memory()));
  (void)next(there);
  or_throw(there.train_done({.failures = kPopulation}));
  EXPECT_EQ(there.round_finished({}).status().code(), absl::StatusCode::kAborted);
}

TEST(Rounds, AnotherRunsMemoryIsRefusedAndChangesNothing) {
  const RunLimits limits{.rounds = 4, .first_round = 2};
  const auto refusal = [&](auto spoil) {
    Rounds source = make(fed_adam(), limits, 3);
    (void)play(source, 1);
    RoundsMemory memory = source.memory();
    spoil(memory);
    Rounds rounds = make(fed_adam(), limits, 3);
    const Status status = rounds.restore(std::move(memory));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(rounds.round(), 2u);
    EXPECT_EQ(rounds.global(), model(3));
    EXPECT_TRUE(rounds.strategy().optimizer.state().empty());
    return message_of(status);
  };
  EXPECT_EQ(refusal([](RoundsMemory& m) { m.round = 1; }), "round 1, the run has rounds 2 to 4");
  EXPECT_EQ(refusal([](RoundsMemory& m) { m.round = 5; }), "round 5, the run has rounds 2 to 4");
  EXPECT_EQ(refusal([](RoundsMemory& m) { m.skipped_in_a_row = 3; }), "3 rounds skipped in a row");
  EXPECT_NE(refusal([](RoundsMemory& m) { m.global = {}; }).find("array \"w\" is missing"),
            std::string::npos);
  EXPECT_NE(refusal([](RoundsMemory& m) { m.optimizer.set("x", Array()); }).find("optimizer state"),
            std::string::npos);
  EXPECT_NE(refusal([](RoundsMemory& m) { m.stopping.best.resize(1); }).find("1 plateaus"),
            std::string::npos);
  EXPECT_NE(refusal([](RoundsMemory& m) { m.stopping.unseen = {"x"}; }).find("no rule is about"),
            std::string::npos);
  Rounds begun = make(fed_adam(), limits, 3);
  const RoundsMemory memory = begun.memory();
  (void)next(begun);
  EXPECT_EQ(begun.restore(memory).code(), absl::StatusCode::kFailedPrecondition);
}

TEST(Rounds, MakeRefusesWhatCouldNotRun) {
  EXPECT_EQ(make_error(fed_avg({.clients_train = 101}), {.rounds = 1}),
            "strategy fed-avg: train: sampler: count 101 of a population of 100: ask fewer "
            "clients, or raise the number of nodes");
  EXPECT_EQ(make_error(fed_avg(), {.rounds = 0}),
            "run: rounds 1 to 0, expected to begin at 1 and to end by 10^9");
  EXPECT_EQ(make_error(fed_avg(), {.rounds = 3, .first_round = 4}),
            "run: rounds 4 to 3, expected to begin at 1 and to end by 10^9");
  EXPECT_EQ(make_error(fed_avg(), {.rounds = UINT64_MAX}),
            "run: rounds 1 to 18446744073709551615, expected to begin at 1 and to end by 10^9");
  EXPECT_EQ(make_error(fed_avg(), {.rounds = 1, .targets = {{"", Compare::kAtLeast, 0}}}),
            "stopping: a rule without a metric");
}

}  // namespace
}  // namespace umbel

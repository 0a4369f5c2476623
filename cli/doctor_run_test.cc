#include "doctor_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <set>

namespace umbel::cli {
namespace {

using Curve = std::function<double(int64_t round)>;

// A run by the curves of its metrics; what is not given is not measured.
struct Story {
  int64_t rounds = 40;
  Curve loss, accuracy, train_loss, federated_accuracy;
  std::vector<RecordEvent> records;
  std::function<void(RoundEvent&)> more_of_round;
  std::function<void(RunSubject&)> more;
};

double falling(int64_t round) { return 0.3 + 2 * std::exp(-static_cast<double>(round) / 5.0); }
double rising(int64_t round) { return 0.9 - 0.8 * std::exp(-static_cast<double>(round) / 4.0); }

Story sound() {
  Story story;
  story.loss = falling;
  story.accuracy = rising;
  story.train_loss = [](int64_t round) { return 0.9 * falling(round); };
  return story;
}

void set(MetricRecord& metrics, const char* name, const Curve& curve, int64_t round) {
  if (curve) metrics.set(name, curve(round));
}

RunSubject subject_of(const Story& story) {
  Run run;
  run.status = "completed";
  run.nodes = 100;
  std::vector<RoundEvent> rounds;
  for (int64_t i = 1; i <= story.rounds; ++i) {
    RoundEvent& round = rounds.emplace_back();
    round.round = i;
    round.seconds = 0.5;
    round.clients = 10;
    set(round.server, "loss", story.loss, i);
    set(round.server, "accuracy", story.accuracy, i);
    set(round.train, "loss", story.train_loss, i);
    set(round.evaluate, "accuracy", story.federated_accuracy, i);
    if (story.more_of_round) story.more_of_round(round);
    run.clients += round.clients;
    run.failures += round.failures;
  }
  RunSubject subject = run_subject(run, rounds, {}, story.records, {});
  if (story.more) story.more(subject);
  return subject;
}

std::set<std::string> found(const Story& story) {
  std::set<std::string> ids;
  for (const Finding& finding : run_rules().check(subject_of(story))) ids.insert(finding.rule);
  return ids;
}

RecordEvent skewed(double skew) {
  return {"data-skew", {{"label-tv-mean", skew}, {"labels-per-client-mean", 2.0}}};
}

// For each rule a run that has what it looks for, and the other rules that see it too.
struct Case {
  Story story;
  std::set<std::string> others;
};

Story with(const std::function<void(Story&)>& change) {
  Story story = sound();
  change(story);
  return story;
}

const std::map<std::string, Case>& cases() {
  static const std::map<std::string, Case> all = {
      {"R01",
       {with([](Story& s) {
          s.more = [](RunSubject& subject) {
            subject.run.status = "failed";
            subject.run.error = "no reply in 3 rounds in a row";
          };
        }),
        {}}},
      {"R02",
       {with([](Story& s) {
          s.loss = [](int64_t r) { return r < 20 ? falling(r) : std::nan(""); };
        }),
        {}}},
      {"R03",
       {with([](Story& s) {
          s.loss = s.train_loss = [](int64_t r) { return 2.3 + 0.1 * std::exp(0.2 * r); };
        }),
        {}}},
      {"R04",
       {with([](Story& s) {
          s.loss = s.train_loss = [](int64_t r) { return 2.302 - 0.0001 * r; };
          s.accuracy = [](int64_t) { return 0.1; };
        }),
        {}}},
      {"R05",
       {with([](Story& s) { s.loss = s.train_loss = [](int64_t r) { return r % 2 ? 1.0 : 2.0; }; }),
        {}}},
      {"R06",
       {with([](Story& s) {
          s.loss = [](int64_t r) { return 1 + 0.0005 * (r - 15.0) * (r - 15.0); };
          s.train_loss = [](int64_t r) { return 1.2 - 0.015 * r; };
        }),
        {}}},
      {"R07", {with([](Story& s) { s.accuracy = [](int64_t r) { return 0.1 + 0.015 * r; }; }), {}}},
      {"R08",
       {with([](Story& s) {
          s.accuracy = [](int64_t r) { return r < 30 ? rising(r) : 0.8; };
          s.train_loss = [](int64_t) { return 0.4; };
        }),
        {}}},
      {"R09", {with([](Story& s) { s.loss = s.accuracy = nullptr; }), {}}},
      {"R10",
       {with([](Story& s) {
          s.train_loss = [](int64_t r) { return 0.1 * falling(r); };
          s.records = {skewed(0.4)};
        }),
        {}}},
      {"R11",
       {with([](Story& s) {
          s.federated_accuracy = [](int64_t r) { return 0.8 - 0.005 * r; };
          s.train_loss = [](int64_t r) { return 1.5 - 0.03 * r; };
        }),
        {}}},
      {"R12",
       {with([](Story& s) {
          s.accuracy = [](int64_t r) { return r % 2 ? 0.5 : 0.4; };
          s.records = {skewed(0.8)};
        }),
        {"R08", "R13"}}},
      {"R13", {with([](Story& s) { s.records = {skewed(0.7)}; }), {}}},
      {"R14",
       {with([](Story& s) {
          s.records = {
              {"data-skew", {{"size-gini", 0.8}, {"size-median", 10.0}, {"size-max", 9000.0}}}};
        }),
        {}}},
      {"R15",
       {with([](Story& s) {
          s.more_of_round = [](RoundEvent& round) {
            round.failures = 2;
            round.failure_samples = {{round.round, "client-failed", "out of memory"}};
          };
        }),
        {}}},
      {"R16",
       {with([](Story& s) {
          s.more_of_round = [](RoundEvent& round) {
            round.failure_samples = {{17, "client-failed", "no such folder"}};
          };
        }),
        {}}},
      {"R17",
       {with([](Story& s) {
          s.more_of_round = [](RoundEvent& round) { round.failures = 1; };
          s.more = [](RunSubject& subject) {
            subject.run.failure_reasons = {{"deadline", subject.run.failures}};
          };
        }),
        {}}},
      {"R18",
       {with([](Story& s) {
          s.more_of_round = [](RoundEvent& round) {
            if (round.round == 7) round.note = "skipped: no client answered";
          };
        }),
        {}}},
      {"R19",
       {with([](Story& s) {
          s.more_of_round = [](RoundEvent& round) {
            if (round.round == 7) round.seconds = 60;
          };
        }),
        {}}},
      {"R20",
       {with([](Story& s) {
          s.records = {{"data", {{"bytes", 1000.0}}}};
          s.more = [](RunSubject& subject) { subject.run.bytes_down = 50'000; };
        }),
        {}}},
      {"R21",
       {with([](Story& s) { s.more = [](RunSubject& subject) { subject.run.nodes = 100'000; }; }),
        {}}},
      {"R22",
       {with([](Story& s) {
          s.records = {{"link", {{"tls", int64_t{0}}}}};
          s.more = [](RunSubject& subject) { subject.run.link = "hospitals"; };
        }),
        {}}},
      {"R23",
       {with([](Story& s) {
          s.records = {{"link", {{"restarts", int64_t{2}}}}};
        }),
        {}}},
  };
  return all;
}

TEST(RunRules, AnAppWithoutAnActionToEvaluateIsToldWhatToAdd) {
  Story story = with([](Story& s) {
    s.more_of_round = [](RoundEvent& round) {
      round.failures = 20;
      round.failure_samples = {
          {1, "unknown-action", "the ClientApp has no action for \"evaluate\"; it has: train"}};
    };
  });
  const auto fact = [&] {
    for (const Finding& finding : run_rules().check(subject_of(story))) {
      if (finding.rule == "R15") return finding.fact;
    }
    return std::string();
  };
  EXPECT_THAT(fact(), testing::HasSubstr("add @client.evaluate() in Python"));
  EXPECT_THAT(fact(), testing::HasSubstr("fraction_evaluate"));
  story.more_of_round = [](RoundEvent& round) {
    round.failures = 20;
    round.failure_samples = {{1, "client-failed", "ValueError: no \"evaluate\""}};
  };
  EXPECT_THAT(fact(), testing::Not(testing::HasSubstr("fraction_evaluate")));
}

TEST(RunDoctor, HasNothingToSayOfASoundRun) { EXPECT_THAT(found(sound()), testing::IsEmpty()); }

TEST(RunDoctor, EachRuleSeesItsOwnAndNoOtherDoes) {
  for (const RuleText& rule : run_rules().texts()) {
    ASSERT_TRUE(cases().contains(rule.id)) << rule.id;
    const Case& one = cases().at(rule.id);
    std::set<std::string> expected = one.others;
    expected.insert(rule.id);
    EXPECT_EQ(found(one.story), expected) << rule.id << ": " << rule.title;
  }
}

TEST(RunDoctor, WhoseAccuracyStillRisesDoesNotOverfit) {
  Story story = cases().at("R06").story;
  ASSERT_TRUE(found(story).contains("R06"));
  story.accuracy = [](int64_t r) { return 0.1 + 0.01 * r; };
  EXPECT_FALSE(found(story).contains("R06"));
}

// Ten train and a hundred evaluate in each round, of whom five come too late.
TEST(RunDoctor, FailuresInEvaluationAreNoneOfThoseWhoTrain) {
  Story story = sound();
  story.federated_accuracy = rising;
  story.more_of_round = [](RoundEvent& round) { round.failures = 5; };
  story.more = [](RunSubject& subject) {
    subject.run.failure_reasons = {{"deadline", subject.run.failures}};
  };
  EXPECT_EQ(subject_of(story).asked.count, 40 * 115);
  EXPECT_FALSE(subject_of(story).asked.exact);
  EXPECT_THAT(found(story), testing::IsEmpty());
  story.federated_accuracy = nullptr;
  EXPECT_EQ(subject_of(story).asked.count, 40 * 15);
  EXPECT_TRUE(subject_of(story).asked.exact);
  EXPECT_EQ(found(story), std::set<std::string>({"R15", "R17"}));
}

TEST(RunDoctor, NoShareOfFailuresIsAboveOne) {
  Story story = sound();
  story.more_of_round = [](RoundEvent& round) {
    round.clients = 0;
    round.failures = 20;
  };
  for (const Finding& finding : run_rules().check(subject_of(story))) {
    if (finding.rule == "R15") EXPECT_THAT(finding.fact, testing::StartsWith("800 of 800 asked"));
  }
  EXPECT_THAT(found(story), testing::Contains("R15"));
}

TEST(RunDoctor, FindingsHaveTheirNumbers) {
  for (const auto& [id, one] : cases()) {
    for (const Finding& finding : run_rules().check(subject_of(one.story))) {
      if (finding.rule != id || id == "R01" || id == "R22" || id == "R02") continue;
      EXPECT_NE(finding.fact.find_first_of("0123456789"), std::string::npos) << id;
    }
  }
}

TEST(RunDoctor, ARunWithoutRoundsOrWithOneHarmsNothing) {
  for (const int64_t rounds : {0, 1, 2, 3, 4, 5, 8}) {
    for (const auto& [id, one] : cases()) {
      Story story = one.story;
      story.rounds = rounds;
      found(story);
    }
  }
}

TEST(RunDoctor, WhatIsNotFiniteIsSaidOnceAndBreaksNoRule) {
  for (const double value : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    Story story = sound();
    story.loss = story.accuracy =
        story.train_loss = [=](int64_t r) { return r == 20 ? value : 1.0; };
    EXPECT_THAT(found(story), testing::Contains("R02"));
  }
}

}  // namespace
}  // namespace umbel::cli

#include <algorithm>
#include <cmath>

#include "doctor_run.h"
#include "text_format.h"

namespace umbel::cli {

namespace {

constexpr size_t kRoundsForTrend = 5;

std::string round_text(const RoundSeries& series, size_t at) {
  return fmt::format("round {:.0f}", series.rounds[at]);
}

// The series that tells best how the global model does, with loss before training's.
const RoundSeries& main_loss(const RunSubject& subject) {
  return subject.loss.empty() ? subject.train_loss : subject.loss;
}

bool has_trend(const RoundSeries& series) {
  return series.size() >= kRoundsForTrend && series.all_finite();
}

bool rises(const RoundSeries& loss) {
  const double least = loss.values[loss.least()];
  return loss.last() > loss.first() && loss.mean(0.75, 1) > 1.5 * std::max(least, 1e-12);
}

void not_finite(const RunSubject& subject, Findings& findings) {
  for (const RoundSeries* series : {&subject.loss, &subject.train_loss}) {
    for (size_t i = 0; i != series->size(); ++i) {
      if (std::isfinite(series->values[i])) continue;
      return findings.add(round_text(*series, i), fmt::format("the {} loss is {}", series->source,
                                                              metric_text(series->values[i])));
    }
  }
}

void diverges(const RunSubject& subject, Findings& findings) {
  const RoundSeries& loss = main_loss(subject);
  if (!has_trend(loss) || !rises(loss)) return;
  const size_t least = loss.least();
  findings.add(round_text(loss, least),
               fmt::format("the {} loss rose from {} here to {} at the end; it began at {}",
                           loss.source, metric_text(loss.values[least]), metric_text(loss.last()),
                           metric_text(loss.first())));
}

// It neither learns nor forgets: the loss stays within 2 % of where it began.
void plateau(const RunSubject& subject, Findings& findings) {
  const RoundSeries& loss = main_loss(subject);
  if (!has_trend(loss) || loss.first() <= 0) return;
  const auto [least, greatest] = std::ranges::minmax(loss.values);
  if (greatest - least > 0.02 * loss.first()) return;
  const RoundSeries& accuracy = subject.accuracy;
  const bool good = !accuracy.empty() && accuracy.all_finite() && accuracy.last() >= 0.9;
  if (good || loss.last() < 0.05) return;  // it was trained before
  findings.add("", fmt::format("the {} loss stays between {} and {} for {} rounds", loss.source,
                               metric_text(least), metric_text(greatest), loss.size()));
}

// In the last half it goes up and down by more than it gets anywhere.
void oscillates(const RunSubject& subject, Findings& findings) {
  const RoundSeries& loss = main_loss(subject);
  if (loss.size() < 8 || !loss.all_finite() || rises(loss)) return;
  const size_t begin = loss.size() / 2;
  double path = 0, level = 0;
  size_t turns = 0;
  for (size_t i = begin; i != loss.size(); ++i) {
    const double step = loss.values[i] - loss.values[i - 1];
    const double before = i + 1 < loss.size() ? loss.values[i + 1] - loss.values[i] : step;
    path += std::fabs(step);
    level += loss.values[i];
    turns += step * before < 0;
  }
  const auto count = static_cast<double>(loss.size() - begin);
  const double swing = path / count, mean = level / count;
  const double progress = std::fabs(loss.last() - loss.values[begin]);
  if (swing < 0.1 * mean || static_cast<double>(turns) < 0.5 * count || path < 3 * progress) return;
  findings.add(fmt::format("from {}", round_text(loss, begin)),
               fmt::format("the {} loss changes by {:.0f} % of itself a round, and turned {} times "
                           "in {} rounds",
                           loss.source, 100 * swing / mean, turns, loss.size() - begin));
}

void overfits(const RunSubject& subject, Findings& findings) {
  const RoundSeries &loss = subject.loss, &train = subject.train_loss;
  if (!has_trend(loss) || !has_trend(train) || loss.size() < 10) return;
  const RoundSeries& accuracy = subject.accuracy;
  const bool still_learns = has_trend(accuracy) && accuracy.size() >= 10 &&
                            accuracy.mean(0.75, 1) > accuracy.mean(0.5, 0.75) + 0.01;
  if (still_learns) return;  // a loss may rise with the certainty of a few answers
  const size_t least = loss.least();
  const bool early = static_cast<double>(least) < 0.7 * static_cast<double>(loss.size());
  const double end = loss.mean(0.9, 1);
  const bool train_fell = train.mean(0.9, 1) < 0.95 * train.mean(0.4, 0.6);
  if (!early || !train_fell || end < 1.1 * loss.values[least] || rises(loss)) return;
  findings.add(round_text(loss, least),
               fmt::format("the {} loss was {} here and is {} at the end, while training's went "
                           "on falling to {}",
                           loss.source, metric_text(loss.values[least]), metric_text(end),
                           metric_text(train.last())));
}

void too_few(const RunSubject& subject, Findings& findings) {
  if (subject.run.status != "completed" || !subject.run.reason.empty()) return;
  const RoundSeries& accuracy = subject.accuracy;
  const RoundSeries& loss = main_loss(subject);
  if (has_trend(accuracy)) {
    const double before = accuracy.mean(0.5, 0.75), after = accuracy.mean(0.75, 1);
    if (after - before < 0.02) return;
    return findings.add("", fmt::format("accuracy rose from {} in the third quarter of {} rounds "
                                        "to {} in the last",
                                        metric_text(before), accuracy.size(), metric_text(after)));
  }
  if (!has_trend(loss) || loss.mean(0.75, 1) > 0.95 * loss.mean(0.5, 0.75)) return;
  findings.add("", fmt::format("the {} loss fell from {} in the third quarter of {} rounds to {} "
                               "in the last",
                               loss.source, metric_text(loss.mean(0.5, 0.75)), loss.size(),
                               metric_text(loss.mean(0.75, 1))));
}

void best_was_earlier(const RunSubject& subject, Findings& findings) {
  const RoundSeries& accuracy = subject.accuracy;
  if (!has_trend(accuracy)) return;
  const size_t best = accuracy.greatest();
  if (accuracy.values[best] - accuracy.last() < 0.03) return;
  findings.add(round_text(accuracy, best),
               fmt::format("accuracy was {} here and is {} at the end",
                           metric_text(accuracy.values[best]), metric_text(accuracy.last())));
}

void never_measured(const RunSubject& subject, Findings& findings) {
  if (subject.rounds.empty()) return;
  for (const RoundEvent& round : subject.rounds) {
    if (!round.server.empty() || !round.evaluate.empty()) return;
  }
  findings.add("", fmt::format("{} rounds without an evaluation", subject.rounds.size()));
}

void failed(const RunSubject& subject, Findings& findings) {
  if (subject.run.status != "failed") return;
  findings.add("",
               subject.run.error.empty() ? "it ended as failed" : terminal_safe(subject.run.error));
}

}  // namespace

std::vector<Rule<RunSubject>> curve_rules() {
  return {
      {"R01", Severity::kError, "the run failed",
       "umbel log RUN shows what the app and its "
       "clients said last",
       failed},
      {"R02", Severity::kError, "the loss is not a number any more",
       "divide learning-rate by 10; look for inputs that are not normalised, and for a division by "
       "a client's number of examples where that can be 0",
       not_finite},
      {"R03", Severity::kError, "the loss diverges",
       "divide learning-rate by 3 (and the server's, if there is one); then lower local-epochs",
       diverges},
      {"R04", Severity::kWarning, "it learns nothing from the start",
       "multiply learning-rate by 10; if that changes nothing, look whether labels belong to their "
       "inputs and whether the client returns what it trained",
       plateau},
      {"R05", Severity::kWarning, "the loss goes up and down without getting anywhere",
       "halve learning-rate, or raise clients-per-round so that the mean is of more clients; with "
       "server momentum lower beta",
       oscillates},
      {"R06", Severity::kWarning, "it overfits",
       "stop earlier, with a Plateau on the loss in RoundsOptions; use less local-epochs or weight "
       "decay",
       overfits},
      {"R07", Severity::kHint, "it was still learning when it ended", "double rounds", too_few},
      {"R08", Severity::kHint, "the last model is not the best one",
       "end the run by a Target or a Plateau, or lower learning-rate towards the end",
       best_was_earlier},
      {"R09", Severity::kWarning, "nothing says how good the model is",
       "C++: give run_rounds() an evaluate function, or the strategy clients_evaluate; Python: "
       "give "
       "strategy.start() an evaluate_fn, or the strategy fraction_evaluate above 0",
       never_measured},
  };
}

}  // namespace umbel::cli

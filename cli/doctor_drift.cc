#include <algorithm>
#include <cmath>

#include "doctor_run.h"
#include "text_format.h"

namespace umbel::cli {

namespace {

constexpr double kSkewed = 0.5;  // mean total variation: half of a client's labels are elsewhere
constexpr size_t kRoundsForTrend = 5;

bool has_trend(const RoundSeries& series) {
  return series.size() >= kRoundsForTrend && series.all_finite();
}

std::string skew_text(const RunSubject& subject) {
  const auto skew = subject.label_skew();
  if (!skew) return "";
  std::string text = fmt::format("; label skew {} of 1", metric_text(*skew));
  if (const auto labels = subject.record("data-skew", "labels-per-client-mean")) {
    text += fmt::format(", {} labels a client", metric_text(*labels));
  }
  return text;
}

// Clients do well on their own data with the models that they return; the mean of these does not.
void drift(const RunSubject& subject, Findings& findings) {
  const RoundSeries &loss = subject.loss, &train = subject.train_loss;
  if (!has_trend(loss) || !has_trend(train)) return;
  const double global = loss.mean(0.75, 1), local = train.mean(0.75, 1);
  const double factor = subject.label_skew().value_or(0) >= kSkewed ? 2 : 4;
  if (global < factor * local || global < 0.1) return;
  findings.add("", fmt::format("in the last quarter the {} loss is {}, {:.1f} times that of the "
                               "clients on their own data, {}{}",
                               loss.source, metric_text(global), global / std::max(local, 1e-12),
                               metric_text(local), skew_text(subject)));
}

// The other sign of drift: what clients have all together gets worse while each gets better.
void opposite_ways(const RunSubject& subject, Findings& findings) {
  const RoundSeries& accuracy =
      subject.federated_accuracy.empty() ? subject.accuracy : subject.federated_accuracy;
  const RoundSeries& train = subject.train_loss;
  if (!has_trend(accuracy) || !has_trend(train)) return;
  const double before = accuracy.mean(0.25, 0.5), after = accuracy.mean(0.75, 1);
  const double train_before = train.mean(0.25, 0.5), train_after = train.mean(0.75, 1);
  if (after > before - 0.02 || train_after > 0.95 * train_before) return;
  findings.add(
      "", fmt::format("{} accuracy fell from {} to {} while the loss on the clients' own "
                      "data fell from {} to {}{}",
                      accuracy.source, metric_text(before), metric_text(after),
                      metric_text(train_before), metric_text(train_after), skew_text(subject)));
}

// Plain averaging on a pathological split: the curve jumps from round to round, with whose labels
// came last, and hardly climbs (McMahan et al. 2017, Hsu et al. 2019).
void stalls(const RunSubject& subject, Findings& findings) {
  const RoundSeries& accuracy = subject.accuracy;
  if (accuracy.size() < 8 || !accuracy.all_finite()) return;
  if (subject.label_skew().value_or(0) < kSkewed) return;
  const size_t begin = accuracy.size() / 2;
  double down = 0, worst = 0;
  for (size_t i = begin; i != accuracy.size(); ++i) {
    const double drop = accuracy.values[i - 1] - accuracy.values[i];
    down += std::max(0.0, drop);
    worst = std::max(worst, drop);
  }
  const double lost = down / static_cast<double>(accuracy.size() - begin);
  if (lost < 0.02 || worst < 0.05) return;
  findings.add("",
               fmt::format("in the second half of the rounds accuracy falls by up to {} from "
                           "one round to the next, and ends at {}{}",
                           metric_text(worst), metric_text(accuracy.last()), skew_text(subject)));
}

void label_skew(const RunSubject& subject, Findings& findings) {
  const auto skew = subject.label_skew();
  if (!skew || *skew < kSkewed) return;
  findings.add("", skew_text(subject).substr(2));
}

void quantity_skew(const RunSubject& subject, Findings& findings) {
  const auto gini = subject.record("data-skew", "size-gini");
  if (!gini || *gini < 0.6) return;
  std::string text = fmt::format("Gini's coefficient of the sizes is {}", metric_text(*gini));
  const auto median = subject.record("data-skew", "size-median");
  const auto most = subject.record("data-skew", "size-max");
  if (median && most) {
    text +=
        fmt::format(": a client has {:.0f} examples in the median, {:.0f} at most", *median, *most);
  }
  findings.add("", text);
}

}  // namespace

std::vector<Rule<RunSubject>> drift_rules() {
  return {
      {"R10", Severity::kWarning, "clients drift apart: each fits its own data, the mean fits none",
       "lower local-epochs or learning-rate; use fed_adam or fed_yogi, or fed_prox with "
       "proximal_mu "
       "0.01 to 1 where clients train long",
       drift},
      {"R11", Severity::kWarning, "clients get better while the federation gets worse",
       "lower local-epochs; use fed_prox with proximal_mu 0.01 to 1; raise clients-per-round",
       opposite_ways},
      {"R12", Severity::kWarning, "the split is so different that averaging stalls",
       "raise clients-per-round; use fed_adam or fed_yogi; lower local-epochs and learning-rate",
       stalls},
      {"R13", Severity::kHint, "clients have very different labels",
       "a global model may be the wrong aim: keep the head private (docs/roles.md), or compare "
       "with "
       "umbel run --twin",
       label_skew},
      {"R14", Severity::kHint, "clients have very different numbers of examples",
       "set weight_max so that a few large clients do not decide alone, and local-steps in place "
       "of "
       "local-epochs so that they do not take longest",
       quantity_skew},
  };
}

}  // namespace umbel::cli

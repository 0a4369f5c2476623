#include <algorithm>
#include <cmath>
#include <map>

#include "doctor_run.h"
#include "text_format.h"

namespace umbel::cli {

namespace {

double share_of(const RunSubject& subject, std::initializer_list<std::string_view> reasons) {
  double count = 0;
  for (const auto& [reason, times] : subject.run.failure_reasons) {
    if (std::ranges::count(reasons, reason) != 0) count += static_cast<double>(times);
  }
  return count / std::max(1.0, subject.asked.count);
}

std::string asked_text(const Asked& asked) {
  return fmt::format("{}{} asked", asked.exact ? "" : "at most ",
                     count_text(static_cast<int64_t>(std::min(asked.count, 9e18))));
}

// Clients were asked to evaluate and none of them knows how to.
bool cannot_evaluate(const RunSubject& subject) {
  bool refused = false;
  for (const RoundEvent& round : subject.rounds) {
    if (!round.evaluate.empty()) return false;
    refused |= std::ranges::any_of(round.failure_samples, [](const FailureSample& sample) {
      return sample.kind == "unknown-action" &&
             sample.reason.find("\"evaluate") != std::string::npos;
    });
  }
  return refused;
}

void failures(const RunSubject& subject, Findings& findings) {
  const double share =
      static_cast<double>(subject.run.failures) / std::max(1.0, subject.asked.count);
  if (share < 0.1) return;
  std::string text =
      fmt::format("{} of {}: {}", count_text(subject.run.failures), asked_text(subject.asked),
                  reasons_summary(subject.run.failure_reasons));
  for (const RoundEvent& round : subject.rounds) {
    if (round.failure_samples.empty()) continue;
    const FailureSample& sample = round.failure_samples.front();
    text += fmt::format("; for example client {}: {}", sample.node,
                        terminal_safe(std::string_view(sample.reason).substr(0, 200)));
    break;
  }
  if (cannot_evaluate(subject)) {
    text +=
        "; the app has no action to evaluate: add @client.evaluate() in Python, "
        ".evaluate(...) to the ClientApp in C++, or set fraction_evaluate (C++: clients_evaluate) "
        "to 0";
  }
  findings.add("", text);
}

// The same clients again and again: of each round a few failures are named.
void dead(const RunSubject& subject, Findings& findings) {
  std::map<int64_t, size_t> times;
  for (const RoundEvent& round : subject.rounds) {
    for (const FailureSample& sample : round.failure_samples) {
      if (sample.node >= 0) ++times[sample.node];
    }
  }
  std::string who;
  size_t count = 0;
  for (const auto& [node, often] : times) {
    if (often < 3 || 2 * often < subject.rounds.size()) continue;
    if (++count <= 5) who += fmt::format("{}client {} in {}", count > 1 ? ", " : "", node, often);
  }
  if (count == 0) return;
  findings.add("", fmt::format("{} of {} rounds{}", who, subject.rounds.size(),
                               count > 5 ? fmt::format(", and {} more", count - 5) : ""));
}

void stragglers(const RunSubject& subject, Findings& findings) {
  const double share = share_of(subject, {"deadline"});
  if (share < 0.05) return;
  findings.add("", fmt::format("{:.0f} % of {} were late for the deadline", 100 * share,
                               asked_text(subject.asked)));
}

void skipped(const RunSubject& subject, Findings& findings) {
  size_t count = 0;
  const RoundEvent* first = nullptr;
  for (const RoundEvent& round : subject.rounds) {
    if (!round.note.starts_with("skipped")) continue;
    if (first == nullptr) first = &round;
    ++count;
  }
  if (count == 0) return;
  findings.add(fmt::format("round {}", first->round),
               fmt::format("{} of {} rounds changed nothing; the first: {}", count,
                           subject.rounds.size(), terminal_safe(first->note)));
}

void uneven_rounds(const RunSubject& subject, Findings& findings) {
  std::vector<double> seconds;
  const RoundEvent* slowest = nullptr;
  for (const RoundEvent& round : subject.rounds) {
    seconds.push_back(round.seconds);
    if (slowest == nullptr || round.seconds > slowest->seconds) slowest = &round;
  }
  if (seconds.size() < 5) return;
  std::ranges::nth_element(seconds, seconds.begin() + static_cast<ptrdiff_t>(seconds.size() / 2));
  const double median = seconds[seconds.size() / 2];
  if (slowest->seconds < 1 || slowest->seconds < 5 * median) return;
  findings.add(fmt::format("round {}", slowest->round),
               fmt::format("it took {}, the median is {}", seconds_text(slowest->seconds),
                           seconds_text(median)));
}

void heavy(const RunSubject& subject, Findings& findings) {
  const auto data = subject.record("data", "bytes");
  const double moved =
      static_cast<double>(subject.run.bytes_down) + static_cast<double>(subject.run.bytes_up);
  if (!data || *data <= 0 || moved < 10 * *data) return;
  findings.add("",
               fmt::format("{} travelled, {:.0f} times the {} of local data",
                           bytes_text(static_cast<int64_t>(std::min(moved, 9e18))), moved / *data,
                           bytes_text(static_cast<int64_t>(std::min(*data, 9e18)))));
}

// Of n clients, c drawn a round, after r rounds a share of 1 - (1 - c / n)^r has taken part once.
void few_take_part(const RunSubject& subject, Findings& findings) {
  const auto nodes = static_cast<double>(subject.run.nodes);
  const auto rounds = static_cast<double>(subject.rounds.size());
  if (nodes < 2 || rounds < 5) return;
  const double drawn = std::min(nodes, static_cast<double>(subject.run.clients) / rounds);
  const double share = 1 - std::pow(1 - drawn / nodes, rounds);
  if (share >= 0.5 || drawn <= 0) return;
  findings.add("", fmt::format("{:.0f} of {} clients trained in a round: after {} rounds about "
                               "{:.0f} % of them have taken part at all",
                               drawn, count_text(subject.run.nodes), rounds, 100 * share));
}

void no_tls(const RunSubject& subject, Findings& findings) {
  if (subject.run.link.empty() || subject.record("link", "tls") != 0) return;
  findings.add("", "link " + subject.run.link);
}

void restarts(const RunSubject& subject, Findings& findings) {
  const auto count = subject.record("link", "restarts");
  if (!count || *count < 1) return;
  findings.add("", fmt::format("{:.0f} restarts of the ServerApp", *count));
}

}  // namespace

std::vector<Rule<RunSubject>> client_rules() {
  return {
      {"R15", Severity::kWarning, "many clients fail",
       "umbel log RUN shows what they said; clients that have nothing to train on count as "
       "failed: a partition with examples_min 1 has none",
       failures},
      {"R16", Severity::kWarning, "the same clients fail again and again",
       "look at their logs, or leave them out until they are well: what they have is never learnt",
       dead},
      {"R17", Severity::kWarning, "clients are too slow for the deadline",
       "lengthen the deadline, set wrap_up so that they reply with what they have, or lower "
       "local-epochs",
       stragglers},
      {"R18", Severity::kWarning, "rounds were skipped",
       "ask more clients a round, or lower the quorum", skipped},
      {"R19", Severity::kHint, "one round took far longer than the others",
       "set a deadline with a quorum, so that a round does not wait for its slowest client",
       uneven_rounds},
      {"R20", Severity::kHint, "much more travelled than the data weigh",
       "raise local-epochs and lower rounds; send a subset of the layers (docs/roles.md); lower "
       "clients-per-round",
       heavy},
      {"R21", Severity::kHint, "most clients never took part",
       "raise rounds or clients-per-round, or stratify the sampling: the model knows a part of the "
       "federation only",
       few_take_part},
      {"R22", Severity::kError, "the run's traffic could be read on the way",
       "remove insecure-no-tls from the link profile and from the hub", no_tls},
      {"R23", Severity::kWarning, "the ServerApp had to be started again",
       "umbel log RUN --side server shows what ended it", restarts},
  };
}

}  // namespace umbel::cli

#include <cmath>

#include "doctor_subject.h"
#include "text_format.h"

namespace umbel::cli {

namespace {

using Names = SettingNames;

const Names kRounds = {"rounds", "num-rounds", "num-server-rounds"};
const Names kAsked = {"clients-per-round", "clients-train"};
const Names kQuorum = {"quorum"};
const Names kDeadline = {"deadline", "deadline-seconds"};
const Names kWrapUp = {"wrap-up", "wrap-up-seconds"};

std::string number_text(double value) { return fmt::format("{}", value); }

// Reports the setting if it is there and `wrong` is true of its number.
template <class Wrong>
void check_number(const Subject& subject, Findings& findings, const Names& names, Wrong wrong) {
  if (!subject.app) return;
  const Setting* setting = subject.app->setting(names);
  const auto value = subject.app->number(names);
  if (!value || !wrong(*value)) return;
  findings.add(setting->origin, fmt::format("{} = {}", setting->key, setting->value.text()));
}

void more_asked(const Subject& subject, Findings& findings) {
  if (!subject.app) return;
  const auto asked = subject.app->number(kAsked);
  const auto nodes = static_cast<double>(subject.app->nodes());
  if (!asked || *asked <= nodes || nodes < 1) return;
  // Who asks the grid how many there are takes no more; run_rounds() refuses to.
  const std::string then =
      subject.app->code_has("node_count")
          ? fmt::format("an app that takes no more than there are asks all {}", nodes)
          : "run_rounds() refuses that, and the run ends";
  findings.add(subject.app->setting(kAsked)->origin,
               fmt::format("{} clients a round of {} nodes: {}", number_text(*asked), nodes, then));
}

void quorum(const Subject& subject, Findings& findings) {
  check_number(subject, findings, kQuorum, [](double share) { return share < 0 || share > 1; });
  if (!subject.app) return;
  const auto asked = subject.app->number(kAsked);
  const Names names = {"min-clients", "min-replies", "min-nodes"};
  const auto least = subject.app->number(names);
  const auto nodes = static_cast<double>(subject.app->nodes());
  const double most = asked ? std::min(*asked, nodes) : nodes;
  if (!least || *least <= most) return;
  findings.add(subject.app->setting(names)->origin,
               fmt::format("{} replies have to come, at most {} clients are asked",
                           number_text(*least), number_text(most)));
}

void one_round(const Subject& subject, Findings& findings) {
  check_number(subject, findings, kRounds, [](double rounds) { return rounds == 1; });
}

void no_count(const Subject& subject, Findings& findings) {
  for (const Names& names : {kRounds, kAsked, Names{"local-epochs", "epochs"}, Names{"batch-size"},
                             Names{"local-steps"}}) {
    check_number(subject, findings, names, [](double count) { return count < 1; });
  }
}

void one_client(const Subject& subject, Findings& findings) {
  check_number(subject, findings, kAsked, [](double asked) { return asked == 1; });
}

void one_node(const Subject& subject, Findings& findings) {
  if (!subject.app || subject.app->nodes() != 1) return;
  findings.add(subject.app->place("simulation", "nodes"), "nodes = 1");
}

void seldom_evaluated(const Subject& subject, Findings& findings) {
  if (!subject.app) return;
  const auto rounds = subject.app->number(kRounds);
  if (!rounds) return;
  check_number(subject, findings, {"evaluate-every"},
               [&](double every) { return every > *rounds; });
}

void wrap_up(const Subject& subject, Findings& findings) {
  if (!subject.app) return;
  const auto deadline = subject.app->number(kDeadline), before = subject.app->number(kWrapUp);
  if (!before || (deadline && *before < *deadline)) return;
  findings.add(subject.app->setting(kWrapUp)->origin,
               deadline ? fmt::format("wrap-up {} s before a deadline of {} s",
                                      number_text(*before), number_text(*deadline))
                        : "a wrap-up without a deadline");
}

void deadline_alone(const Subject& subject, Findings& findings) {
  if (!subject.app || subject.app->setting(kQuorum) != nullptr || subject.app->code_has("quorum")) {
    return;
  }
  const Setting* deadline = subject.app->setting(kDeadline);
  if (deadline != nullptr) {
    return findings.add(deadline->origin, fmt::format("{} = {}, and no quorum", deadline->key,
                                                      deadline->value.text()));
  }
  for (const Source& source : subject.app->sources) {
    const size_t at = source.code.find(".deadline");
    if (at != std::string::npos) {
      return findings.add(source.place(at), "a strategy with a deadline and no quorum");
    }
  }
}

void one_thread(const Subject& subject, Findings& findings) {
  if (!subject.app || !subject.app->manifest.ok() || subject.app->manifest->threads != 1) return;
  findings.add(subject.app->place("simulation", "threads"), "threads = 1");
}

void too_many_rounds(const Subject& subject, Findings& findings) {
  check_number(subject, findings, kRounds, [](double rounds) { return rounds > 10'000; });
}

void share(const Subject& subject, Findings& findings) {
  for (const Names& names : {Names{"test-share"}, Names{"validation-share"}}) {
    check_number(subject, findings, names, [](double value) { return !(value > 0 && value < 1); });
  }
}

void secret(const Subject& subject, Findings& findings) {
  if (!subject.app || !subject.app->manifest.ok()) return;
  for (const Setting& setting : subject.app->manifest->config) {
    for (const char* word : {"password", "passwd", "secret", "token", "api-key", "credential"}) {
      if (setting.key.find(word) == std::string::npos) continue;
      const auto* text = std::get_if<std::string>(&setting.value.base());
      if (text != nullptr && !text->empty()) findings.add(setting.origin, setting.key);
      break;
    }
  }
}

}  // namespace

std::vector<Rule<Subject>> setting_rules() {
  return {
      {"D011", Severity::kError, "a setting looks like a secret",
       "take it out: settings go to the hub and to every node, and stand in the report; a node's "
       "owner gives secrets by --node-config",
       secret},
      {"D015", Severity::kWarning, "more clients are asked in a round than there are",
       "lower clients-per-round, or raise [simulation] nodes", more_asked},
      {"D016", Severity::kError, "the quorum cannot be reached",
       "a quorum is a share from 0 to 1 of the clients asked; a number of replies is at most that "
       "of the clients asked",
       quorum},
      {"D017", Severity::kWarning, "a single round is no federated training",
       "raise rounds: after one round the model is the mean of models that never met", one_round},
      {"D018", Severity::kError, "a number of things is less than 1",
       "rounds, clients-per-round, local-epochs, local-steps and batch-size are at least 1",
       no_count},
      {"D026", Severity::kWarning, "one client a round: its update is the mean",
       "raise clients-per-round: with one, the server sees a single client's update, and the model "
       "follows whoever came last",
       one_client},
      {"D027", Severity::kWarning, "a federation of one",
       "raise [simulation] nodes; for the centralised twin there is umbel run --twin", one_node},
      {"D028", Severity::kWarning, "the model is evaluated less often than there are rounds",
       "lower evaluate-every, so that the curve has points", seldom_evaluated},
      {"D031", Severity::kError, "wrap-up is not shorter than the deadline",
       "wrap-up is how long before the deadline clients are asked to come to an end", wrap_up},
      {"D032", Severity::kWarning, "a deadline without a quorum",
       "set a quorum, such as 0.5: else a round counts with whoever was in time, be it one",
       deadline_alone},
      {"D033", Severity::kHint, "one worker thread",
       "leave out threads, or set 0, for every processor: the model does not depend on it",
       one_thread},
      {"D034", Severity::kError, "a share is not between 0 and 1",
       "test-share and validation-share are shares of the examples, such as 0.2", share},
      {"D048", Severity::kHint, "more rounds than papers need",
       "let the run end by itself, with a target or a plateau (RoundsOptions)", too_many_rounds},
  };
}

}  // namespace umbel::cli

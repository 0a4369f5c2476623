#include <algorithm>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "doctor_run.h"
#include "doctor_subject.h"
#include "find_run.h"
#include "text_format.h"
#include "umbel/base/files.h"

namespace umbel::cli {

namespace {

std::vector<RuleText> all_rules() {
  std::vector<RuleText> all = subject_rules().texts();
  const std::vector<RuleText> of_runs = run_rules().texts();
  all.insert(all.end(), of_runs.begin(), of_runs.end());
  std::ranges::sort(all, {}, &RuleText::id);
  return all;
}

int list_rules(const Output& output) {
  std::vector<std::vector<std::string>> rows = {{"RULE", "SEVERITY", "WHAT IS WRONG"}};
  Json rules = Json::array();
  for (const RuleText& rule : all_rules()) {
    rows.push_back({rule.id, std::string(name_of(rule.severity)), rule.title});
    rules.push_back({{"rule", rule.id},
                     {"severity", name_of(rule.severity)},
                     {"title", rule.title},
                     {"advice", rule.advice}});
  }
  if (output.format() == Format::kText) output.say(text_table(rows));
  output.result({{"rules", rules}});
  return kDone;
}

std::string text_of(const Finding& finding) {
  std::string text =
      fmt::format("{} {}: {}", name_of(finding.severity), finding.rule, finding.title);
  if (!finding.where.empty()) text = terminal_safe(finding.where) + ": " + text;
  if (!finding.fact.empty()) text += "\n    found: " + terminal_safe(finding.fact);
  return text + "\n    try:   " + finding.advice;
}

Json json_of(const Finding& finding) {
  return {{"rule", finding.rule},
          {"severity", name_of(finding.severity)},
          {"title", finding.title},
          {"where", finding.where.empty() ? Json(nullptr) : Json(finding.where)},
          {"found", finding.fact},
          {"advice", finding.advice}};
}

std::string counted(size_t count, const char* one) {
  return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}

// Errors first; within a severity in the rules' order.
int conclude(std::vector<Finding> findings, const std::string& what, size_t rules,
             const Output& output) {
  std::ranges::stable_sort(findings, {}, &Finding::severity);
  const auto of = [&](Severity severity) {
    return static_cast<size_t>(std::ranges::count(findings, severity, &Finding::severity));
  };
  Json list = Json::array();
  for (const Finding& finding : findings) {
    output.say(text_of(finding));
    list.push_back(json_of(finding));
  }
  const size_t errors = of(Severity::kError), warnings = of(Severity::kWarning),
               hints = of(Severity::kHint);
  output.say(findings.empty() ? fmt::format("{}: {} rules, nothing to say", what, rules)
                              : fmt::format("{}: {}, {}, {}", what, counted(errors, "error"),
                                            counted(warnings, "warning"), counted(hints, "hint")));
  output.result({{"subject", what},
                 {"errors", errors},
                 {"warnings", warnings},
                 {"hints", hints},
                 {"findings", list}});
  return errors == 0 ? kDone : kFailed;
}

int check_run(int64_t id, const std::string& link, const Output& output) {
  auto found = find_run(id, link);
  if (!found.ok()) return output.fail_on(link, found.status());
  const auto subject = look_at_run(found->history, found->run);
  if (!subject.ok()) return output.fail(subject.status());
  return conclude(run_rules().check(*subject), fmt::format("run {}", id), run_rules().size(),
                  output);
}

bool is_number(const std::string& text) {
  return !text.empty() && text.size() < 19 &&
         text.find_first_not_of("0123456789") == std::string::npos;
}

}  // namespace

int run_doctor(const DoctorOptions& options, const Output& output) {
  if (options.rules) return list_rules(output);
  if (is_number(options.subject))
    return check_run(std::stoll(options.subject), options.link, output);
  if (!options.link.empty()) {
    return output.fail("LINK: only runs are at a hub; `umbel doctor RUN LINK`", kBadInput);
  }
  Subject subject;
  std::string what;
  const bool site = !options.supernode_config.empty() || !options.superlink_config.empty();
  if (!options.subject.empty() || !site) {
    what = options.subject.empty() ? "." : options.subject;
    std::error_code error;
    if (!std::filesystem::is_directory(what, error)) {
      return output.fail(not_found("{}: no such folder, and no number of a run", what));
    }
    look_at_app(what, subject);
    subject.links = look_at_toml(umbel_home() / "config.toml", true);
  }
  for (const std::string& file : {options.supernode_config, options.superlink_config}) {
    if (!file.empty()) what += (what.empty() ? "" : ", ") + file;
  }
  if (!options.supernode_config.empty()) {
    subject.node = look_at_toml(options.supernode_config, false);
  }
  if (!options.superlink_config.empty()) subject.hub = look_at_hub(options.superlink_config);
  return conclude(subject_rules().check(subject), what, subject_rules().size(), output);
}

}  // namespace umbel::cli

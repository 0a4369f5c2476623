#include <absl/strings/numbers.h>

#include <algorithm>

#include "doctor_subject.h"

namespace umbel::cli {

namespace {

std::vector<std::pair<const Source*, KeyRead>> all_reads(const AppSubject& app) {
  std::vector<std::pair<const Source*, KeyRead>> all;
  for (const Source& source : app.sources) {
    for (const KeyRead& read : key_reads(source)) all.emplace_back(&source, read);
  }
  return all;
}

bool names_setting(const AppSubject& app, std::string_view key) {
  return std::ranges::any_of(app.sources, [&](const Source& source) {
    return std::ranges::any_of(source.literals,
                               [&](const Source::Literal& literal) { return literal.text == key; });
  });
}

void unread(const Subject& subject, Findings& findings) {
  if (!subject.app || !subject.app->manifest.ok() || subject.app->sources.empty()) return;
  for (const Setting& setting : subject.app->manifest->config) {
    if (!names_setting(*subject.app, setting.key)) findings.add(setting.origin, setting.key);
  }
}

void missing(const Subject& subject, Findings& findings) {
  if (!subject.app || !subject.app->manifest.ok()) return;
  const auto reads = all_reads(*subject.app);
  std::vector<std::string_view> excused;  // asked for by contains(), or reported already
  for (const auto& [source, read] : reads) {
    if (read.call == "contains") excused.push_back(read.key);
  }
  for (const auto& [source, read] : reads) {
    if (!read.of_settings || subject.app->setting({read.key}) != nullptr ||
        std::ranges::count(excused, read.key) != 0) {
      continue;
    }
    excused.push_back(read.key);
    findings.add(source->place(read.at), std::string(read.key));
  }
}

bool is_number(const std::string& text) {
  double number = 0;
  return absl::SimpleAtod(text, &number);
}

// Text where a number is read, or in quotes what is a number by its name.
void quoted_number(const Subject& subject, Findings& findings) {
  if (!subject.app || !subject.app->manifest.ok()) return;
  const auto reads = all_reads(*subject.app);
  for (const Setting& setting : subject.app->manifest->config) {
    const auto* text = std::get_if<std::string>(&setting.value.base());
    if (text == nullptr) continue;
    bool as_number = false, as_text = false;
    for (const auto& [source, read] : reads) {
      if (!read.of_settings || read.key != setting.key) continue;
      as_number = as_number || read.call == "integer" || read.call == "real";
      as_text = as_text || read.call == "text";
    }
    const SettingNames names = {
        "rounds",        "clients-per-round", "local-epochs",  "local-steps",     "batch-size",
        "learning-rate", "momentum",          "proximal-mu",   "dirichlet-alpha", "quorum",
        "deadline",      "wrap-up",           "evaluate-every"};
    const bool by_name = is_number(*text) && std::ranges::count(names, setting.key) != 0;
    if (!as_text && (as_number || by_name)) {
      findings.add(setting.origin, fmt::format("{} = {}", setting.key, setting.value.text()));
    }
  }
}

void paths(const Subject& subject, Findings& findings) {
  if (!subject.app || !subject.app->manifest.ok()) return;
  for (const Setting& setting : subject.app->manifest->config) {
    std::vector<std::string> texts;
    if (const auto* text = std::get_if<std::string>(&setting.value.base())) texts = {*text};
    const auto* list = std::get_if<std::vector<std::string>>(&setting.value.base());
    if (list != nullptr) texts = *list;
    if (std::ranges::any_of(texts, is_path_of_one_machine)) {
      findings.add(setting.origin, fmt::format("{} = {}", setting.key, setting.value.text()));
    }
  }
}

}  // namespace

std::vector<Rule<Subject>> config_rules() {
  return {
      {"D045", Severity::kWarning, "no source reads this setting",
       "take it out of [config], or correct its name", unread},
      {"D046", Severity::kError, "a source reads a setting that [config] lacks",
       "add it to [config] of umbel.toml", missing},
      {"D055", Severity::kError, "a setting is text where a number is read",
       "take the quotes away: rounds = 20", quoted_number},
      {"D056", Severity::kWarning, "a path of one machine stands in a setting",
       "leave it to each node's owner, who sets it with --node-config, and read it from "
       "Context::node_config(): settings are the same at every node",
       paths},
  };
}

}  // namespace umbel::cli

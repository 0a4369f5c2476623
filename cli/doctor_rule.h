#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace umbel::cli {

// error: it cannot work, or it gives something away.  warning: it works and is probably not meant.
// hint: worth a thought.
enum class Severity { kError, kWarning, kHint };
std::string_view name_of(Severity severity);

// What a rule says of a subject.
struct Finding {
  std::string rule;
  Severity severity = Severity::kHint;
  std::string title;
  std::string where;  // "umbel.toml:7", "main.cc:12", "round 4"; may be ""
  std::string fact;   // what was found, with its numbers
  std::string advice;
};

// Where a rule's check puts what it finds.
class Findings {
 public:
  void add(std::string where, std::string fact) {
    found_.push_back({std::move(where), std::move(fact)});
  }

 private:
  template <class Subject>
  friend class Rules;
  std::vector<std::pair<std::string, std::string>> found_;
};

// A rule as a value.  A check reads the subject alone and never fails: what is not there is
// nothing to find.
template <class Subject>
struct Rule {
  const char* id;
  Severity severity;
  const char* title;   // what is wrong where it finds something
  const char* advice;  // what to do
  void (*check)(const Subject& subject, Findings& findings);
};

// What `umbel doctor --rules` lists.
struct RuleText {
  std::string id;
  Severity severity;
  std::string title, advice;
};

// Several lists of rules as one.
template <class Subject>
class Rules {
 public:
  explicit Rules(const std::vector<std::vector<Rule<Subject>>>& lists) {
    for (const auto& list : lists) rules_.insert(rules_.end(), list.begin(), list.end());
  }
  std::vector<Finding> check(const Subject& subject) const {
    std::vector<Finding> all;
    for (const Rule<Subject>& rule : rules_) {
      Findings findings;
      rule.check(subject, findings);
      for (auto& [where, fact] : findings.found_) {
        all.push_back({rule.id, rule.severity, rule.title, where, fact, rule.advice});
      }
    }
    return all;
  }
  size_t size() const { return rules_.size(); }
  std::vector<RuleText> texts() const {
    std::vector<RuleText> all;
    for (const Rule<Subject>& rule : rules_) {
      all.push_back({rule.id, rule.severity, rule.title, rule.advice});
    }
    return all;
  }

 private:
  std::vector<Rule<Subject>> rules_;
};

}  // namespace umbel::cli

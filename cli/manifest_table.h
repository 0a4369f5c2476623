#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/base/text.h"
#include "umbel/toml/toml.h"

namespace umbel::cli {

// One table of the file while its keys are taken out; what is left is unknown.
class Table {
 public:
  Table(std::string_view file, const TomlEntry* entry, std::string name)
      : file_(file), entry_(entry), name_(std::move(name)) {}

  Status wrong(const TomlEntry& entry, std::string_view why) const {
    return invalid_argument("{}:{}: [{}] {}: {}", file_, entry.line, name_, escaped(entry.key),
                            why);
  }
  const TomlEntry* take(std::string_view key) {
    known_.emplace_back(key);
    if (entry_ == nullptr) return nullptr;
    for (const TomlEntry& child : entry_->children) {
      if (child.key == key) return &child;
    }
    return nullptr;
  }
  Status take_text(std::string_view key, std::string& text) {
    const TomlEntry* entry = take(key);
    if (entry == nullptr) return absl::OkStatus();
    const auto* value = entry->value ? std::get_if<std::string>(&entry->value->base()) : nullptr;
    if (value == nullptr) return wrong(*entry, "expected text, got " + entry->kind);
    text = *value;
    return absl::OkStatus();
  }
  // Absent keys leave the value; an integer is widened.
  Status take_real(std::string_view key, double& real) {
    const TomlEntry* entry = take(key);
    if (entry == nullptr) return absl::OkStatus();
    if (entry->value) {
      if (const auto* given = std::get_if<double>(&entry->value->base())) {
        real = *given;
        return absl::OkStatus();
      }
      if (const auto* given = std::get_if<int64_t>(&entry->value->base())) {
        real = static_cast<double>(*given);
        return absl::OkStatus();
      }
    }
    return wrong(*entry, "expected a number, got " + entry->kind);
  }
  Status take_integer(std::string_view key, int64_t least, int64_t most, int64_t& integer) {
    const TomlEntry* entry = take(key);
    if (entry == nullptr) return absl::OkStatus();
    const auto* value = entry->value ? std::get_if<int64_t>(&entry->value->base()) : nullptr;
    if (value == nullptr) return wrong(*entry, "expected an integer, got " + entry->kind);
    if (*value < least || *value > most) {
      return wrong(*entry, fmt::format("expected {} to {}, got {}", least, most, *value));
    }
    integer = *value;
    return absl::OkStatus();
  }
  // A text that has to be there and to pass `check`.
  Status take_checked(std::string_view key, std::string& text,
                      const std::function<Status(const std::string&)>& check) {
    UMBEL_RETURN_IF_ERROR(take_text(key, text));
    const TomlEntry* entry = take(key);
    if (entry == nullptr) {
      return invalid_argument("{}:{}: [{}] {}: missing", file_, entry_ ? entry_->line : 1, name_,
                              key);
    }
    if (const Status status = check(text); !status.ok()) return wrong(*entry, message_of(status));
    return absl::OkStatus();
  }
  Status require_no_others() const {
    if (entry_ == nullptr) return absl::OkStatus();
    for (const TomlEntry& child : entry_->children) {
      if (std::find(known_.begin(), known_.end(), child.key) != known_.end()) continue;
      return wrong(child, "unknown key" + did_you_mean(child.key, known_));
    }
    return absl::OkStatus();
  }

 private:
  std::string_view file_;
  const TomlEntry* entry_;
  std::string name_;
  std::vector<std::string> known_;
};

}  // namespace umbel::cli

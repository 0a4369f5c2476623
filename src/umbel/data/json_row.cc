#include "umbel/data/json_row.h"

#include <algorithm>

#include "umbel/base/text.h"
#include "umbel/data/field_text.h"

namespace umbel::data {

template <class... Args>
Status JsonRow::wrong(fmt::format_string<Args...> format, Args&&... args) const {
  return invalid_argument("{}: {}", shown(column_ ? column_->name : ""),
                          fmt::format(format, std::forward<Args>(args)...));
}

JsonRow::Role JsonRow::role_of(std::string_view name) const {
  if (std::ranges::find(options_.ignored, name) != options_.ignored.end()) return Role::kIgnored;
  if (name == options_.label) return Role::kLabel;
  if (!options_.natural_id.empty() && name == options_.natural_id) return Role::kNaturalId;
  return Role::kValue;
}

Status JsonRow::begin() {
  inside_ = true;
  column_ = nullptr;
  depth_ = 0;
  numbers_ = 0;
  for (Column& column : columns_) {
    column.seen = false;
    column.values.clear();
  }
  return absl::OkStatus();
}

Status JsonRow::key(std::string_view name) {
  if (depth_ != 0) return absl::OkStatus();  // within an object that is ignored
  const auto found = by_name_.find(std::string(name));
  if (found == by_name_.end()) {
    if (!first_ && role_of(name) != Role::kIgnored) {
      return invalid_argument("key {}: the objects before have none of that name", shown(name));
    }
    if (columns_.size() == kJsonKeysMax) {
      return resource_exhausted("more than the limit of {} keys", kJsonKeysMax);
    }
    by_name_.emplace(name, columns_.size());
    columns_.push_back({std::string(name), role_of(name)});
    column_ = &columns_.back();
  } else {
    column_ = &columns_[found->second];
    if (column_->seen) return wrong("it is there twice");
  }
  column_->seen = true;
  return absl::OkStatus();
}

Status JsonRow::number(double value) {
  if (++numbers_ > kJsonColumnsMax) {
    return resource_exhausted("more than the limit of {} numbers in an object", kJsonColumnsMax);
  }
  column_->values.push_back(value);
  return absl::OkStatus();
}

Status JsonRow::scalar(std::string_view text, std::optional<double> value) {
  if (ignoring()) return absl::OkStatus();
  if (column_->role == Role::kValue) {
    if (value) return number(*value);
    return wrong("the text {}, expected a number; leave the key out, or ignore it", shown(text));
  }
  if (depth_ != 0) return wrong("a list, expected a text or a number");
  column_->text = text;
  return absl::OkStatus();
}

Status JsonRow::null() { return ignoring() ? absl::OkStatus() : wrong("null, expected a value"); }

Status JsonRow::begin_list() {
  if (!ignoring()) {
    if (column_->role != Role::kValue) return wrong("a list, expected a text or a number");
    column_->is_list = true;
  }
  ++depth_;
  return absl::OkStatus();
}

Status JsonRow::end_list() {
  --depth_;
  return absl::OkStatus();
}

Status JsonRow::begin_inner() {
  if (!ignoring()) return wrong("an object, expected a number or a list of numbers");
  ++depth_;
  return absl::OkStatus();
}

Status JsonRow::end_inner() {
  --depth_;
  return absl::OkStatus();
}

Status JsonRow::check_first() const {
  std::vector<std::string> names;
  bool any = false;
  for (const Column& column : columns_) {
    names.push_back(column.name);
    any |= column.role == Role::kValue && !column.values.empty();
  }
  const auto need = [&](const std::string& name, const char* purpose) -> Status {
    if (name.empty() || by_name_.contains(name)) return absl::OkStatus();
    return invalid_argument("there is no key {} for the {}{}", shown(name), purpose,
                            did_you_mean(name, names));
  };
  UMBEL_RETURN_IF_ERROR(need(options_.label, "label"));
  UMBEL_RETURN_IF_ERROR(need(options_.natural_id, "natural id"));
  for (const std::string& name : options_.ignored) UMBEL_RETURN_IF_ERROR(need(name, "ignored"));
  if (!any) return invalid_argument("there is no number but the label's");
  return absl::OkStatus();
}

Status JsonRow::check_width(const Column& column) const {
  if (column.values.size() == column.width) return absl::OkStatus();
  return invalid_argument("{}: {} numbers, the first object has {}", shown(column.name),
                          column.values.size(), column.width);
}

Status JsonRow::end() {
  inside_ = false;
  if (first_) {
    UMBEL_RETURN_IF_ERROR(check_first());
    for (Column& column : columns_) column.width = column.values.size();
    first_ = false;
  }
  for (const Column& column : columns_) {
    if (column.role == Role::kIgnored) continue;
    if (!column.seen) return invalid_argument("{}: it is missing", shown(column.name));
    UMBEL_RETURN_IF_ERROR(check_width(column));
  }
  for (const Column& column : columns_) {
    Status status;
    if (column.role == Role::kLabel) status = table_.add_label(column.text);
    if (column.role == Role::kNaturalId) status = table_.add_natural_id(column.text);
    for (const double value : column.values) {
      if (status.ok()) status = table_.add_value(value);
    }
    if (!status.ok()) return annotate(status, shown(column.name));
  }
  return absl::OkStatus();
}

Table JsonRow::finish() {
  std::vector<std::string> names;
  for (const Column& column : columns_) {
    if (column.role != Role::kValue) continue;
    for (size_t i = 0; i != column.width; ++i) {
      names.push_back(column.is_list ? fmt::format("{}[{}]", column.name, i) : column.name);
    }
  }
  return table_.finish(std::move(names));
}

}  // namespace umbel::data

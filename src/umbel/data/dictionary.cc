#include "umbel/data/dictionary.h"

#include "umbel/data/field_text.h"

namespace umbel::data {

Result<int32_t> Dictionary::add(std::string_view text) {
  if (const auto found = ids_.find(text); found != ids_.end()) return found->second;
  if (ids_.size() == static_cast<size_t>(size_max_)) {
    return resource_exhausted("more than the limit of {} different ones", size_max_);
  }
  const auto id = static_cast<int32_t>(ids_.size());
  ids_.emplace(text, id);
  return id;
}

std::optional<std::vector<int32_t>> Dictionary::as_numbers() const {
  std::vector<int32_t> values(ids_.size());
  for (const auto& [text, id] : ids_) {
    const auto value = number<int64_t>(text);
    if (!value || *value < 0 || *value >= size_max_) return std::nullopt;
    values[static_cast<size_t>(id)] = static_cast<int32_t>(*value);
  }
  return values;
}

std::vector<int32_t> Dictionary::as_ranks() const {
  std::vector<int32_t> ranks(ids_.size());
  int32_t rank = 0;
  for (const auto& [text, id] : ids_) ranks[static_cast<size_t>(id)] = rank++;
  return ranks;
}

std::vector<std::string> Dictionary::texts() const {
  std::vector<std::string> sorted;
  sorted.reserve(ids_.size());
  for (const auto& [text, id] : ids_) sorted.push_back(text);
  return sorted;
}

}  // namespace umbel::data

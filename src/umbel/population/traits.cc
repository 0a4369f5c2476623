#include "umbel/population/traits.h"

#include <algorithm>

#include "umbel/base/text.h"

namespace umbel {

namespace {

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + escaped(name);
  return text.empty() ? "none" : text;
}

}  // namespace

Result<size_t> find_attribute(const Traits* traits, std::string_view name) {
  if (traits == nullptr) {
    return not_found(
        "attribute \"{}\": not known here: a simulation has attributes in [population.attributes] "
        "of umbel.toml, a federation of real clients has none",
        escaped(name));
  }
  std::vector<std::string> names;
  for (const Attribute& attribute : traits->attributes()) {
    if (attribute.name == name) return names.size();
    names.push_back(attribute.name);
  }
  return not_found("attribute \"{}\": the population has no such attribute, it has: {}{}",
                   escaped(name), listed(names), did_you_mean(name, names));
}

Result<size_t> find_category(const Attribute& attribute, std::string_view category) {
  const auto found = std::ranges::find(attribute.categories, category);
  if (found != attribute.categories.end()) return found - attribute.categories.begin();
  return not_found("attribute \"{}\": no category \"{}\", it has: {}{}", escaped(attribute.name),
                   escaped(category), listed(attribute.categories),
                   did_you_mean(category, attribute.categories));
}

}  // namespace umbel

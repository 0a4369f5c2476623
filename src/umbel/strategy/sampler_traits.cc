#include <algorithm>
#include <cmath>
#include <set>

#include "umbel/base/rng.h"
#include "umbel/strategy/draw.h"
#include "umbel/strategy/sampler.h"

namespace umbel {

namespace {

// The numbers of the categories that are named, in the attribute's order; 0 for the others.
std::vector<double> by_category(const Attribute& attribute,
                                const std::vector<std::pair<std::string, double>>& named) {
  std::vector<double> numbers(attribute.categories.size());
  for (const auto& [category, number] : named) {
    numbers[*find_category(attribute, category)] = number;
  }
  return numbers;
}

}  // namespace

Sampler Sampler::stratified(std::string attribute, size_t clients) {
  return {Kind::kStratified, 0, clients,
          std::make_shared<const Traited>(Traited{std::move(attribute), {}, {}, 0})};
}

Sampler Sampler::quota(std::string attribute, std::vector<std::pair<std::string, size_t>> quotas) {
  Traited traited{std::move(attribute), {}, {}, 0};
  uint64_t clients = 0;
  for (auto& [category, count] : quotas) {
    if (__builtin_add_overflow(clients, count, &clients)) clients = UINT64_MAX;
    traited.categories.emplace_back(std::move(category), static_cast<double>(count));
  }
  return {Kind::kQuota, 0, clients, std::make_shared<const Traited>(std::move(traited))};
}

Sampler Sampler::weighted(std::string attribute, size_t clients,
                          std::vector<std::pair<std::string, double>> weights) {
  return {
      Kind::kWeighted, 0, clients,
      std::make_shared<const Traited>(Traited{std::move(attribute), std::move(weights), {}, 0})};
}

Sampler Sampler::proportional(size_t clients, std::function<double(uint64_t)> size,
                              double size_max) {
  return {Kind::kProportional, 0, clients,
          std::make_shared<const Traited>(Traited{"", {}, std::move(size), size_max})};
}

bool operator==(const Sampler& a, const Sampler& b) {
  if (a.kind_ != b.kind_ || a.share_ != b.share_ || a.clients_ != b.clients_) return false;
  if (a.traited_ == b.traited_) return true;
  return a.kind_ != Sampler::Kind::kProportional &&
         a.traited_->attribute == b.traited_->attribute &&
         a.traited_->categories == b.traited_->categories;
}

Status Sampler::validate_traited(const Traits* traits) const {
  if (kind_ == Kind::kProportional) {
    const double most = traited_->size_max;
    if (traited_->size && most > 0 && std::isfinite(most)) return absl::OkStatus();
    return invalid_argument("sampler: {}: expected a size function and a size_max above 0, got {}",
                            describe(), most);
  }
  const auto found = find_attribute(traits, traited_->attribute);
  if (!found.ok()) return annotate(found.status(), "sampler");
  const Attribute& attribute = traits->attributes()[*found];
  std::set<std::string> named;
  double most = 0;
  for (const auto& [category, number] : traited_->categories) {
    UMBEL_RETURN_IF_ERROR(annotate(find_category(attribute, category).status(), "sampler"));
    if (!named.insert(category).second || !(number >= 0) || !std::isfinite(number)) {
      return invalid_argument("sampler: {}: expected each category once, with 0 or more",
                              describe());
    }
    most = std::max(most, number);
  }
  if (kind_ != Kind::kWeighted || most > 0) return absl::OkStatus();
  return invalid_argument("sampler: {}: expected a weight above 0", describe());
}

Result<std::vector<uint64_t>> Sampler::draw_traited(const Pool& pool, uint64_t seed) const {
  DrawRule rule{.clients = clients_};
  if (kind_ == Kind::kProportional) {
    rule.ratio = [this](uint64_t client) { return traited_->size(client) / traited_->size_max; };
    return draw_by(rule, pool, Rng(seed));
  }
  const size_t index = *find_attribute(pool.traits, traited_->attribute);
  const Attribute& attribute = pool.traits->attributes()[index];
  const std::vector<double> numbers = by_category(attribute, traited_->categories);
  if (kind_ == Kind::kWeighted) {
    const double most = *std::max_element(numbers.begin(), numbers.end());
    rule.ratio = [&](uint64_t client) {
      return numbers[pool.traits->category(client, index)] / most;
    };
    return draw_by(rule, pool, Rng(seed));
  }
  rule.attribute = index;
  if (kind_ == Kind::kQuota) {
    for (const double count : numbers) rule.quotas.push_back(static_cast<uint64_t>(count));
  } else {
    rule.quotas = apportion(clients_, attribute.shares, Rng(derive_seed(seed, "strata")));
  }
  return draw_by(rule, pool, Rng(seed));
}

}  // namespace umbel

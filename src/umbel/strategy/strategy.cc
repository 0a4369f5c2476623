#include "umbel/strategy/strategy.h"

#include <cmath>

#include "umbel/strategy/fed_prox.h"
#include "umbel/strategy/payload.h"

namespace umbel {

namespace {

Status require_fold(const FoldOptions& fold) {
  if (fold.weight_key.empty() && !fold.weight) {
    return invalid_argument("neither a weight_key nor a weight function");
  }
  if (fold.weight_max > 0) return absl::OkStatus();
  return invalid_argument("weight_max = {}, expected above 0", fold.weight_max);
}

// Clients compute with these numbers: what is wrong with them is better said before the first
// round.
Status require_config(std::string_view field, const ConfigRecord& config,
                      std::vector<std::string> round_keys) {
  round_keys.emplace_back(kRoundKey);
  for (const std::string& key : round_keys) {
    if (!config.contains(key)) continue;
    return invalid_argument("{} has \"{}\", which every message has anyway", field, key);
  }
  for (const char* key : {kPayloadKey, kPayloadRateKey, kPayloadArraysKey, kFrozenSha256Key}) {
    if (!config.contains(key)) continue;
    return invalid_argument("{} has \"{}\", by which a payload is asked for", field, key);
  }
  for (const auto& [name, value] : config) {
    const double* number = std::get_if<double>(&value.base());
    if (number && !(std::isfinite(*number) && (name != kProximalMuKey || *number >= 0))) {
      return invalid_argument("{} \"{}\" = {}, expected a finite number{}", field, name, *number,
                              name == kProximalMuKey ? " of at least 0" : "");
    }
  }
  return absl::OkStatus();
}

Status require_valid(const Strategy& strategy, uint64_t population, const Traits* traits) {
  UMBEL_RETURN_IF_ERROR(annotate(strategy.train.validate(population, traits), "train"));
  if (strategy.train.picks_nobody()) {
    return invalid_argument("train: the sampler picks nobody ({})", strategy.train.describe());
  }
  UMBEL_RETURN_IF_ERROR(annotate(strategy.evaluate.validate(population, traits), "evaluate"));
  UMBEL_RETURN_IF_ERROR(require_fold(strategy.fold));
  UMBEL_RETURN_IF_ERROR(strategy.optimizer.validate());
  UMBEL_RETURN_IF_ERROR(
      require_config("client_config", strategy.client_config, strategy.round_keys));
  UMBEL_RETURN_IF_ERROR(
      require_config("evaluate_config", strategy.evaluate_config, strategy.round_keys));
  if (!(strategy.quorum >= 0 && strategy.quorum <= 1)) {
    return invalid_argument("quorum = {}, expected a share from 0 to 1", strategy.quorum);
  }
  if (strategy.deadline) {
    UMBEL_RETURN_IF_ERROR(require_positive("deadline", strategy.deadline->count()));
  }
  if (strategy.wrap_up) {
    UMBEL_RETURN_IF_ERROR(require_positive("wrap_up", strategy.wrap_up->count()));
    if (!strategy.deadline || *strategy.wrap_up >= *strategy.deadline) {
      return invalid_argument(
          "wrap_up = {} s, expected less than the deadline ({})", strategy.wrap_up->count(),
          strategy.deadline ? fmt::format("{} s", strategy.deadline->count()) : "there is none");
    }
  }
  if (strategy.evaluate_every == 0) {
    return invalid_argument("evaluate_every = 0, expected at least 1");
  }
  return absl::OkStatus();
}

}  // namespace

Status Strategy::validate(uint64_t population, const Traits* traits) const {
  return annotate(require_valid(*this, population, traits), fmt::format("strategy {}", name));
}

}  // namespace umbel

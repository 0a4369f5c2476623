#include "umbel/strategy/exchange.h"

#include <algorithm>
#include <utility>

#include "umbel/base/text.h"
#include "umbel/strategy/replaced.h"

namespace umbel {

namespace {

bool matches_any(const std::vector<std::string>& patterns, std::string_view name) {
  return std::ranges::any_of(patterns,
                             [name](const auto& pattern) { return name_matches(pattern, name); });
}

template <class Keep>
ArrayRecord filtered(const ArrayRecord& arrays, const Keep& keep) {
  ArrayRecord kept;
  kept.reserve(arrays.size());
  for (const auto& [name, array] : arrays) {
    if (keep(name)) kept.append(name, array);
  }
  return kept;
}

}  // namespace

Result<Exchange> Exchange::make(Roles roles, Payload payload, const ArrayRecord& model) {
  UMBEL_RETURN_IF_ERROR(roles.validate(model));
  UMBEL_RETURN_IF_ERROR(payload.validate());
  Exchange exchange;
  exchange.roles_ = std::move(roles);
  exchange.payload_ = std::move(payload);
  UMBEL_RETURN_IF_ERROR(exchange.check_layers(model));
  const ArrayRecord frozen = arrays_of(model, exchange.roles_, Role::kFrozen);
  if (!frozen.empty() && !exchange.payload_.frozen_down) {
    exchange.frozen_sha256_ = arrays_sha256(frozen);
  }
  return exchange;
}

Status Exchange::check_layers(const ArrayRecord& model) const {
  if (is_usual()) return absl::OkStatus();
  const auto back = [this](const std::string& name) { return comes_back(roles_.of(name)); };
  const ArrayRecord travelling = filtered(model, back);
  if (travelling.empty()) {
    return invalid_argument("roles: no tensor of the model comes back from clients ({})",
                            roles_.text());
  }
  for (const auto& patterns : payload_.layers) {
    for (const std::string& pattern : patterns) {
      const auto named = [&](const auto& entry) { return name_matches(pattern, entry.first); };
      if (std::ranges::any_of(travelling, named)) continue;
      const auto kept = std::ranges::find_if(model, named);
      if (kept != model.end()) {
        return invalid_argument("layers: \"{}\" asks for \"{}\", which is {} and never comes back",
                                escaped(pattern), escaped(kept->first),
                                name_of(roles_.of(kept->first)));
      }
      return invalid_argument("layers: \"{}\" matches no tensor of the model; there are: {}",
                              escaped(pattern), escaped(travelling.names()));
    }
  }
  return absl::OkStatus();
}

bool Exchange::travels(const std::string& name, uint64_t round) const {
  if (!comes_back(roles_.of(name))) return false;
  const auto& layers = payload_.layers;
  return layers.empty() || matches_any(layers[(round - 1) % layers.size()], name);
}

ArrayRecord Exchange::global(const ArrayRecord& model) const {
  if (!roles_.any(Role::kPrivate)) return model;
  return filtered(model, [this](const auto& name) { return roles_.of(name) != Role::kPrivate; });
}

ArrayRecord Exchange::down(const ArrayRecord& global, uint64_t round, bool train) const {
  if (is_usual()) return global;
  const bool whole = !train || payload_.whole_down;
  return filtered(global, [&](const std::string& name) {
    const Role role = roles_.of(name);
    if (role == Role::kFrozen) return payload_.frozen_down;
    return whole ? comes_back(role) : travels(name, round);
  });
}

ArrayRecord Exchange::up(const ArrayRecord& global, uint64_t round) const {
  if (is_usual()) return global;
  return filtered(global, [&](const std::string& name) { return travels(name, round); });
}

ConfigRecord Exchange::config(const ArrayRecord& global, uint64_t round, bool train) const {
  ConfigRecord config;
  if (!frozen_sha256_.empty()) config.set(kFrozenSha256Key, frozen_sha256_);
  if (!train) return config;
  if (payload_.mode != PayloadMode::kWeights) {
    config.set(kPayloadKey, std::string(name_of(payload_.mode)));
  }
  if (payload_.mode == PayloadMode::kGradient) config.set(kPayloadRateKey, payload_.rate);
  if (!payload_.layers.empty()) {
    std::vector<std::string> names;
    for (const auto& [name, array] : up(global, round)) names.push_back(name);
    config.set(kPayloadArraysKey, std::move(names));
  }
  return config;
}

Result<ArrayRecord> Exchange::apply(ServerOptimizer& optimizer, const ArrayRecord& global,
                                    const ArrayRecord& mean, uint64_t round) const {
  if (is_usual()) return optimizer.apply(global, mean);
  const ArrayRecord expected = up(global, round);
  UMBEL_RETURN_IF_ERROR(require_layout(mean, expected));
  ArrayRecord stepped;
  ArrayRecord plain;
  for (size_t i = 0; i != expected.size(); ++i) {
    const auto& [name, before] = expected.entry(i);
    Array target = from_payload(payload_.mode, payload_.rate, before, mean.entry(i).second);
    (is_stepped(roles_.of(name)) ? stepped : plain).append(name, std::move(target));
  }
  const auto has_moments = [this](const std::string& name) { return is_stepped(roles_.of(name)); };
  UMBEL_ASSIGN_OR_RETURN(const ArrayRecord next,
                         optimizer.apply_some(filtered(global, has_moments), stepped));
  return replaced(replaced(global, next), plain);
}

std::string Exchange::text() const {
  const std::string payload = payload_.text();
  if (roles_.empty() || payload.empty()) return roles_.text() + payload;
  return roles_.text() + "; " + payload;
}

}  // namespace umbel

#include "umbel/app/model_reply.h"

#include <string_view>
#include <unordered_set>
#include <utility>

#include "umbel/base/text.h"
#include "umbel/record/message.h"
#include "umbel/strategy/step_limits.h"

namespace umbel {

namespace {

Result<Wanted> read_wanted(const ConfigRecord& config) {
  Wanted wanted;
  if (const ConfigValue* value = config.find(kPayloadKey)) {
    const auto* name = std::get_if<std::string>(&value->base());
    const auto mode = name ? payload_named(*name) : std::nullopt;
    if (!mode) {
      return invalid_argument(
          "the server asks for the payload {}; there are: weights, delta, "
          "gradient",
          escaped(value->text()));
    }
    wanted.mode = *mode;
  }
  if (const ConfigValue* value = config.find(kPayloadRateKey)) {
    const auto* rate = std::get_if<double>(&value->base());
    if (!rate) return invalid_argument("\"{}\" is {}", kPayloadRateKey, value->kind());
    wanted.rate = *rate;
  }
  UMBEL_RETURN_IF_ERROR(require_positive(kPayloadRateKey, wanted.rate));
  if (const ConfigValue* value = config.find(kPayloadArraysKey)) {
    const auto* names = std::get_if<std::vector<std::string>>(&value->base());
    if (!names) return invalid_argument("\"{}\" is {}", kPayloadArraysKey, value->kind());
    wanted.names = *names;
  }
  return wanted;
}

}  // namespace

Result<Wanted> wanted_by(const RecordDict& content, const ArrayRecord& came,
                         const ArrayRecord& whole, const Roles& roles) {
  const auto* given = first_of<ConfigRecord>(content);
  const ConfigRecord config = given ? *given : ConfigRecord();
  UMBEL_ASSIGN_OR_RETURN(Wanted wanted, read_wanted(config));
  if (!config.contains(kPayloadArraysKey)) {
    for (const auto& [name, array] : came) {
      if (comes_back(roles.of(name))) wanted.names.push_back(name);
    }
    return wanted;
  }
  std::unordered_set<std::string_view> asked;
  for (const std::string& name : wanted.names) {
    if (!asked.insert(name).second) {
      return invalid_argument("the server asks for \"{}\" twice", escaped(name));
    }
    const Role role = roles.of(name);
    if (!comes_back(role)) {
      return invalid_argument("the server asks for \"{}\", which is {} here and never leaves",
                              escaped(name), name_of(role));
    }
    if (!whole.contains(name)) {
      return invalid_argument("the server asks for \"{}\"; this client's model has: {}",
                              escaped(name), escaped(whole.names()));
    }
  }
  return wanted;
}

Status check_trained(const TrainedModel& model) {
  for (const auto& [name, array] : model.trained) {
    const Array* before = model.received.find(name);
    if (!before) {
      return invalid_argument("the action returned \"{}\"; the model has: {}", escaped(name),
                              escaped(model.received.names()));
    }
    if (array.dtype() != before->dtype() || array.shape() != before->shape()) {
      return invalid_argument("the action returned \"{}\" as {}, the model has {}", escaped(name),
                              array.describe(), before->describe());
    }
    if (model.roles.of(name) == Role::kFrozen && !model.returns_gradients && array != *before) {
      return invalid_argument("the action changed \"{}\", which is frozen", escaped(name));
    }
  }
  return absl::OkStatus();
}

Result<ArrayRecord> leaving(const TrainedModel& model, const Wanted& wanted) {
  if (model.returns_gradients && wanted.mode != PayloadMode::kGradient) {
    return invalid_argument("the action returns gradients, the server asks for {}",
                            name_of(wanted.mode));
  }
  ArrayRecord leaves;
  leaves.reserve(wanted.names.size());
  for (const std::string& name : wanted.names) {
    const Array* trained = model.trained.find(name);
    if (!trained) {
      return invalid_argument("the action returned no \"{}\", which the server asks for",
                              escaped(name));
    }
    const bool made = model.returns_gradients && is_stepped(model.roles.of(name));
    leaves.append(name, made
                            ? *trained
                            : to_payload(wanted.mode, wanted.rate, model.received[name], *trained));
  }
  return leaves;
}

ArrayRecord private_after(const TrainedModel& model) {
  ArrayRecord own = arrays_of(model.received, model.roles, Role::kPrivate);
  for (const auto& [name, array] : own) {
    if (const Array* trained = model.trained.find(name)) own[name] = *trained;
  }
  return own;
}

}  // namespace umbel

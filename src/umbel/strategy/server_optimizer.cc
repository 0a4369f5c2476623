#include "umbel/strategy/server_optimizer.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "umbel/strategy/reals.h"
#include "umbel/strategy/replaced.h"

namespace umbel {

namespace {

constexpr std::string_view kMomentPrefixes[] = {"m/", "v/"};

std::string moment_name(size_t moment, std::string_view array) {
  return fmt::format("{}{}", kMomentPrefixes[moment], array);
}

bool takes_steps(DType dtype) { return is_floating(dtype) || is_complex(dtype); }

Shape moment_shape(const Array& array) {
  Shape shape = array.shape();
  if (is_complex(array.dtype())) shape.push_back(2);
  return shape;
}

template <class Step>
ArrayRecord initial_moments(const Step& step, const ArrayRecord& model) {
  ArrayRecord moments;
  if constexpr (Step::kMoments > 0) {
    for (const auto& [name, array] : model) {
      if (!takes_steps(array.dtype())) continue;
      moments.set(moment_name(0, name), Array::zeros(DType::kFloat64, moment_shape(array)));
      if constexpr (Step::kMoments > 1) {
        Array v = Array::uninitialized(DType::kFloat64, moment_shape(array));
        std::ranges::fill(v.mutable_view<double>(), step.initial_v());
        moments.set(moment_name(1, name), std::move(v));
      }
    }
  }
  return moments;
}

// That `moments` has what initial_moments() would make for this model, values aside.
Status require_moments(const ArrayRecord& moments, const ArrayRecord& model, size_t per_array) {
  size_t expected = 0;
  for (const auto& [name, array] : model) {
    if (!takes_steps(array.dtype())) continue;
    for (size_t moment = 0; moment != per_array; ++moment, ++expected) {
      const std::string wanted = moment_name(moment, name);
      const Array* found = moments.find(wanted);
      if (!found) return invalid_argument("optimizer state: no \"{}\"", wanted);
      if (found->shape() != moment_shape(array)) {
        return invalid_argument("optimizer state \"{}\": shape {}, the model asks for {}", wanted,
                                to_string(found->shape()), to_string(moment_shape(array)));
      }
    }
  }
  if (moments.size() == expected) return absl::OkStatus();
  return invalid_argument("optimizer state: {} moments, the model asks for {}", moments.size(),
                          expected);
}

template <class Step>
Array stepped_array(const Step& step, const Array& global, const Array& mean, std::span<double> m,
                    std::span<double> v) {
  double unused = 0;
  return zip_reals(global, mean, [&](size_t i, double from, double target) {
    double& m_i = Step::kMoments > 0 ? m[i] : unused;
    double& v_i = Step::kMoments > 1 ? v[i] : unused;
    return from + step(target - from, m_i, v_i);
  });
}

template <class Step>
Result<ArrayRecord> next_model(const Step& step, const ArrayRecord& global, const ArrayRecord& mean,
                               ArrayRecord& state) {
  if (state.empty()) {
    state = initial_moments(step, global);
  } else {
    UMBEL_RETURN_IF_ERROR(require_moments(state, global, Step::kMoments));
  }
  const auto moment = [&](size_t which, std::string_view name) -> std::span<double> {
    Array* found = state.find(moment_name(which, name));
    return found ? found->mutable_view<double>() : std::span<double>();
  };
  ArrayRecord next;
  next.reserve(global.size());
  size_t taken = 0;
  for (const auto& [name, array] : global) {
    const bool stays = taken == mean.size() || mean.entry(taken).first != name;
    next.append(name, stays ? array
                            : stepped_array(step, array, mean.entry(taken).second, moment(0, name),
                                            moment(1, name)));
    taken += stays ? 0 : 1;
  }
  return next;
}

// That `part` has some of the arrays of `whole`, in their order.
Status require_part(const ArrayRecord& part, const ArrayRecord& whole) {
  ArrayRecord expected;
  size_t next = 0;
  for (const auto& [name, array] : part) {
    while (next != whole.size() && whole.entry(next).first != name) ++next;
    if (next == whole.size()) break;
    expected.append(name, whole.entry(next).second);
  }
  return require_layout(part, expected);
}

// A moment that some step could have left: the right name, dtype and sign.
Status require_moment(const std::string& name, const Array& array, size_t moment) {
  if (!name.starts_with(kMomentPrefixes[moment])) {
    return invalid_argument("optimizer state \"{}\": expected a name that begins with \"{}\"", name,
                            kMomentPrefixes[moment]);
  }
  if (array.dtype() != DType::kFloat64) {
    return invalid_argument("optimizer state \"{}\": {}, expected float64", name, array.describe());
  }
  for (const double value : array.view<double>()) {
    if (!std::isfinite(value) || (moment == 1 && value < 0)) {
      return invalid_argument("optimizer state \"{}\": has the value {}", name, value);
    }
  }
  return absl::OkStatus();
}

}  // namespace

Status ServerOptimizer::validate() const {
  return annotate(std::visit([](const auto& step) { return step.validate(); }, step_), describe());
}

Result<ArrayRecord> ServerOptimizer::apply(const ArrayRecord& global, const ArrayRecord& mean) {
  UMBEL_RETURN_IF_ERROR(validate());
  UMBEL_RETURN_IF_ERROR(require_layout(mean, global));
  const auto* average = std::get_if<AverageStep>(&step_);
  if (average && average->learning_rate == 1) return mean;
  return apply_some(global, mean);
}

Result<ArrayRecord> ServerOptimizer::apply_some(const ArrayRecord& global,
                                                const ArrayRecord& mean) {
  UMBEL_RETURN_IF_ERROR(validate());
  UMBEL_RETURN_IF_ERROR(require_part(mean, global));
  const auto* average = std::get_if<AverageStep>(&step_);
  if (average && average->learning_rate == 1) return replaced(global, mean);
  return std::visit([&](const auto& step) { return next_model(step, global, mean, state_); },
                    step_);
}

Status ServerOptimizer::restore(ArrayRecord state) {
  const size_t per_array = std::visit([](const auto& step) { return step.kMoments; }, step_);
  if (per_array == 0 && !state.empty()) {
    return invalid_argument("optimizer state: {} moments, {} has none", state.size(), describe());
  }
  for (size_t i = 0; i != state.size(); ++i) {
    const auto& [name, array] = state.entry(i);
    UMBEL_RETURN_IF_ERROR(require_moment(name, array, i % per_array));
  }
  state_ = std::move(state);
  return absl::OkStatus();
}

std::string ServerOptimizer::describe() const {
  return std::visit([](const auto& step) { return std::string(step.kName); }, step_);
}

}  // namespace umbel

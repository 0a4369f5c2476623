#include "umbel/data/generate_sensors.h"

#include <algorithm>
#include <span>
#include <vector>

#include "umbel/data/generate_normal.h"
#include "umbel/data/generate_options.h"

namespace umbel::data {

namespace {

constexpr uint64_t kLifeMax = 1'000'000;
constexpr uint64_t kLoads = 3;

// What the machines have in common: how each channel answers to wear and to load.
struct Plant {
  std::vector<double> gain;
  std::vector<double> load;  // kLoads of each channel
};

Plant plant_of(const SensorOptions& options) {
  Plant plant;
  Rng rng = stream(options.seed, Stream::kModel, 0);
  for (uint64_t channel = 0; channel != options.channels; ++channel) {
    const double size = 0.5 + rng.uniform();
    plant.gain.push_back(rng.below(2) == 0 ? size : -size);
    for (uint64_t load = 0; load != kLoads; ++load) plant.load.push_back(rng.uniform() - 0.5);
  }
  return plant;
}

struct Machine {
  uint64_t life;
  uint64_t power;
};

Machine machine_of(const SensorOptions& options, uint64_t id) {
  Rng rng = stream(options.seed, Stream::kClient, id);
  const uint64_t life = options.life_min + rng.below(options.life_max - options.life_min + 1);
  return {life, 2 + rng.below(3)};
}

uint64_t windows_of(const SensorOptions& options, const Machine& machine) {
  return (machine.life - options.window) / options.stride + 1;
}

// All readings of a machine: life x channels.
std::vector<float> readings(const SensorOptions& options, const Plant& plant, uint64_t id) {
  const Machine machine = machine_of(options, id);
  Rng rng = stream(options.seed, Stream::kExample, id);
  std::vector<double> level(options.channels);
  for (double& x : level) x = options.machine_spread * near_normal(rng);
  std::vector<float> out;
  out.reserve(machine.life * options.channels);
  for (uint64_t cycle = 1; cycle <= machine.life; ++cycle) {
    const double age = static_cast<double>(cycle) / static_cast<double>(machine.life);
    double wear = age;
    for (uint64_t i = 1; i != machine.power; ++i) wear *= age;
    const uint64_t load = rng.below(kLoads);
    for (uint64_t channel = 0; channel != options.channels; ++channel) {
      out.push_back(static_cast<float>(level[channel] + plant.gain[channel] * wear +
                                       plant.load[channel * kLoads + load] +
                                       options.noise * near_normal(rng)));
    }
  }
  return out;
}

Status check_options(const SensorOptions& options) {
  OptionCheck check("sensor_series");
  check.within("machines", options.machines, 1, INT32_MAX);
  check.within("channels", options.channels, 1, 1024);
  check.within("life-max", options.life_max, 1, kLifeMax);
  check.within("life-min", options.life_min, 1, options.life_max);
  check.within("window", options.window, 1, options.life_min);
  check.within("stride", options.stride, 1, kLifeMax);
  check.real("noise", options.noise, kSpreadMax);
  check.real("machine-spread", options.machine_spread, kSpreadMax);
  return check.status();
}

// The number of examples, held against the limits.
Result<uint64_t> count(const SensorOptions& options) {
  uint64_t examples = 0;
  OptionCheck check("sensor_series");
  for (uint64_t id = 0; id != options.machines && check.status().ok(); ++id) {
    examples += windows_of(options, machine_of(options, id));
    check.size(examples, options.window * options.channels, 1);
  }
  UMBEL_RETURN_IF_ERROR(check.status());
  return examples;
}

}  // namespace

Result<SensorSeries> sensor_series(const SensorOptions& options) {
  UMBEL_RETURN_IF_ERROR(check_options(options));
  UMBEL_ASSIGN_OR_RETURN(const uint64_t examples, count(options));
  const auto n = static_cast<int64_t>(examples);
  const size_t width = options.window * options.channels;
  SensorSeries out{.windows = {.features = Array::uninitialized(
                                   DType::kFloat32, {n, static_cast<int64_t>(options.window),
                                                     static_cast<int64_t>(options.channels)}),
                               .labels = Array::zeros(DType::kInt32, {n}),
                               .classes = 2,
                               .name = "sensor series",
                               .class_names = {"well", "fails soon"}},
                   .remaining = Array::zeros(DType::kFloat32, {n}),
                   .cycles = Array::zeros(DType::kInt32, {n})};
  out.windows.natural_ids = Array::zeros(DType::kInt32, {n});
  const auto features = out.windows.features.mutable_view<float>();
  const auto labels = out.windows.labels.mutable_view<int32_t>();
  const auto ids = out.windows.natural_ids.mutable_view<int32_t>();
  const auto remaining = out.remaining.mutable_view<float>();
  const auto cycles = out.cycles.mutable_view<int32_t>();
  const Plant plant = plant_of(options);
  size_t i = 0;
  for (uint64_t id = 0; id != options.machines; ++id) {
    const Machine machine = machine_of(options, id);
    const std::vector<float> all = readings(options, plant, id);
    for (uint64_t w = 0; w != windows_of(options, machine); ++w, ++i) {
      const uint64_t first = w * options.stride;
      const std::span window = std::span(all).subspan(first * options.channels, width);
      std::copy(window.begin(), window.end(), features.begin() + static_cast<ptrdiff_t>(i * width));
      const uint64_t left = machine.life - (first + options.window);
      labels[i] = left <= options.horizon ? 1 : 0;
      ids[i] = static_cast<int32_t>(id);
      remaining[i] = static_cast<float>(left);
      cycles[i] = static_cast<int32_t>(first + options.window);
    }
  }
  return out;
}

}  // namespace umbel::data

#pragma once

#include <umbel/umbel.h>

#include <span>
#include <vector>

// Sensor readings of machines that ran until they failed, made from the run's seed: windows of 16
// cycles, 8 channels each, with label 1 if the machine fails within the next 30 cycles.  Machines
// are dealt to the operators; the last ones belong to nobody and say how good an alarm is.
class Windows {
 public:
  static constexpr uint64_t kMachinesPerOperator = 5;
  static constexpr uint64_t kMachinesHeldBack = 40;

  static const Windows& of(const umbel::Context& context) {
    static const Windows shared(context.num_partitions(), context.run_seed());
    return shared;
  }

  int64_t numbers() const { return all_.feature_size(); }  // of a window
  std::span<const float> readings(uint32_t window) const {
    const auto count = static_cast<size_t>(numbers());
    return all_.features.view<float>().subspan(window * count, count);
  }
  int32_t label(uint32_t window) const { return all_.labels.view<int32_t>()[window]; }

  const std::vector<uint32_t>& of_operator(uint64_t number) const { return owned_[number]; }
  const std::vector<uint32_t>& held_back() const { return owned_.back(); }

 private:
  Windows(uint64_t operators, uint64_t seed)
      : all_(umbel::or_throw(umbel::data::sensor_series(
                                 {.machines = operators * kMachinesPerOperator + kMachinesHeldBack,
                                  .seed = seed}))
                 .windows),
        owned_(operators + 1) {
    const auto machines = all_.natural_ids.view<int32_t>();
    for (uint32_t window = 0; window != machines.size(); ++window) {
      const auto machine = static_cast<uint64_t>(machines[window]);
      const bool owned = machine < operators * kMachinesPerOperator;
      owned_[owned ? machine % operators : operators].push_back(window);
    }
  }

  umbel::data::Dataset all_;
  std::vector<std::vector<uint32_t>> owned_;  // by operator; the last: held back
};

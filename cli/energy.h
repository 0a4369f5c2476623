#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "umbel/base/status.h"

namespace umbel::cli {

// What an estimate of energy and CO2 is made of.  Where a figure is from is in energy_factors():
// a publication, or an assumption.  [energy] of $UMBEL_HOME/config.toml replaces any of them.
struct EnergyFactors {
  double device_watts = 5;       // of one busy core of a device at the edge
  double device_idle_watts = 1;  // that the device draws besides while it trains
  double device_pue = 1;         // edge devices cool themselves
  double centre_watts = 10;      // of one busy core in a data centre
  double centre_idle_watts = 5;  // of the server around that core, and of its unused time
  double centre_pue = 1.58;      // cooling and supply: total power over that of the machines
  double network_kwh_per_gb = 0.06;
  double grams_per_kwh = 480;  // CO2 of a kWh of electricity
};

// A factor as people read it, and as config.toml calls it.
struct EnergyFactor {
  std::string key, what, unit, source;
  double EnergyFactors::*value;
};
const std::vector<EnergyFactor>& energy_factors();

// With what [energy] of config.toml says.  INVALID_ARGUMENT with file and line for an unknown key
// or a value that is no number, negative, or below 1 for a PUE.
Result<EnergyFactors> read_energy_factors();

// Work to be estimated.
struct Work {
  double cpu_seconds = 0;                 // of busy cores
  std::optional<double> measured_joules;  // of the processors, by RAPL; in place of watts per core
  double network_bytes = 0;
};

// An estimate, in watt-hours (1 Wh is 3,600 J) and grams.
struct Energy {
  double compute_wh = 0, idle_wh = 0, cooling_wh = 0, network_wh = 0;
  double total_wh() const { return compute_wh + idle_wh + cooling_wh + network_wh; }
  double grams(const EnergyFactors& factors) const {
    return total_wh() / 1000 * factors.grams_per_kwh;
  }
};
Energy device_energy(const Work& work, const EnergyFactors& factors);
Energy centre_energy(const Work& work, const EnergyFactors& factors);

// The processors' energy counter (/sys/class/powercap/intel-rapl:N), where it can be read: of the
// whole machine, whatever else runs on it.
class RaplMeter {
 public:
  explicit RaplMeter(std::string folder = "/sys/class/powercap");
  // Joules since this was made; nothing if there is no counter, or it has vanished.
  std::optional<double> joules() const;

 private:
  struct Counter {
    std::string file;
    double start = 0, range = 0;  // microjoules; at `range` it begins at 0 again
  };
  std::vector<Counter> counters_;
};

// 4.2 mWh, 0.42 Wh, 1.3 kWh, 2 MWh; 12 mg, 3.4 g, 1.2 kg, 1.1 t.
std::string watt_hours_text(double wh);
std::string grams_text(double grams);

}  // namespace umbel::cli

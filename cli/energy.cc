#include "energy.h"

#include <cmath>
#include <filesystem>
#include <fstream>

#include "umbel/base/files.h"
#include "umbel/base/text.h"
#include "umbel/toml/toml.h"

namespace umbel::cli {

namespace fs = std::filesystem;

namespace {

constexpr size_t kConfigBytesMax = 1 << 20;
constexpr double kJoulesPerWh = 3600;
constexpr double kBytesPerGb = 1e9;
constexpr size_t kPackagesMax = 64;
constexpr double kFactorMax = 1e6;

std::optional<double> number_in(const std::string& file) {
  std::ifstream stream(file);
  double value = 0;
  if (stream >> value && value >= 0) return value;
  return std::nullopt;
}

Energy energy_of(const Work& work, const EnergyFactors& factors, double watts, double idle_watts,
                 double pue) {
  Energy energy;
  energy.compute_wh = work.measured_joules.value_or(work.cpu_seconds * watts) / kJoulesPerWh;
  // What was measured has the processor's own idle power in it; the rest of the machine's is added.
  energy.idle_wh = work.cpu_seconds * idle_watts / kJoulesPerWh;
  energy.cooling_wh = (energy.compute_wh + energy.idle_wh) * (pue - 1);
  energy.network_wh = work.network_bytes / kBytesPerGb * factors.network_kwh_per_gb * 1000;
  return energy;
}

Status take_factor(const TomlEntry& entry, const std::string& file, EnergyFactors& factors) {
  std::vector<std::string> known;
  for (const EnergyFactor& factor : energy_factors()) {
    known.push_back(factor.key);
    if (factor.key != entry.key) continue;
    const auto* real = entry.value ? std::get_if<double>(&entry.value->base()) : nullptr;
    const auto* integer = entry.value ? std::get_if<int64_t>(&entry.value->base()) : nullptr;
    const double least = factor.key.ends_with("pue") ? 1 : 0;
    const double value = real ? *real : integer ? static_cast<double>(*integer) : -1;
    if (!(value >= least) || !(value <= kFactorMax)) {
      return invalid_argument("{}:{}: [energy] {}: expected a number from {} to {}, got {}", file,
                              entry.line, entry.key, least, kFactorMax,
                              entry.value ? entry.value->text() : entry.kind);
    }
    factors.*factor.value = value;
    return absl::OkStatus();
  }
  return invalid_argument("{}:{}: [energy] {}: unknown key{}", file, entry.line, escaped(entry.key),
                          did_you_mean(entry.key, known));
}

}  // namespace

const std::vector<EnergyFactor>& energy_factors() {
  static const std::vector<EnergyFactor> factors = {
      {"device-watts", "a busy core of a device", "W", "assumption", &EnergyFactors::device_watts},
      {"device-idle-watts", "the rest of the device while it trains", "W", "assumption",
       &EnergyFactors::device_idle_watts},
      {"device-pue", "cooling of a device", "total / device", "assumption: devices cool themselves",
       &EnergyFactors::device_pue},
      {"centre-watts", "a busy core in a data centre", "W", "assumption",
       &EnergyFactors::centre_watts},
      {"centre-idle-watts", "the server around that core", "W",
       "assumption, after Barroso and Hoelzle, The Case for Energy-Proportional Computing, 2007: "
       "an idle server draws about half of its peak power",
       &EnergyFactors::centre_idle_watts},
      {"centre-pue", "cooling and supply of a data centre (PUE)", "total / machines",
       "Uptime Institute, Global Data Center Survey 2023", &EnergyFactors::centre_pue},
      {"network-kwh-per-gb", "the network, for all that travels", "kWh/GB",
       "Aslan et al., Electricity Intensity of Internet Data Transmission, 2018: fixed lines, "
       "2015; "
       "today rather less",
       &EnergyFactors::network_kwh_per_gb},
      {"grams-per-kwh", "CO2 of electricity", "g/kWh",
       "Ember, Global Electricity Review 2024: the world's mean of 2023",
       &EnergyFactors::grams_per_kwh},
  };
  return factors;
}

Result<EnergyFactors> read_energy_factors() {
  const std::string file = (umbel_home() / "config.toml").string();
  EnergyFactors factors;
  const auto text = read_file(file, kConfigBytesMax);
  if (text.status().code() == absl::StatusCode::kNotFound) return factors;
  UMBEL_RETURN_IF_ERROR(text.status());
  UMBEL_ASSIGN_OR_RETURN(const auto entries, parse_toml(*text, file));
  for (const TomlEntry& table : entries) {
    if (table.key != "energy") continue;
    for (const TomlEntry& entry : table.children) {
      UMBEL_RETURN_IF_ERROR(take_factor(entry, file, factors));
    }
  }
  return factors;
}

Energy device_energy(const Work& work, const EnergyFactors& factors) {
  return energy_of(work, factors, factors.device_watts, factors.device_idle_watts,
                   factors.device_pue);
}

Energy centre_energy(const Work& work, const EnergyFactors& factors) {
  return energy_of(work, factors, factors.centre_watts, factors.centre_idle_watts,
                   factors.centre_pue);
}

RaplMeter::RaplMeter(std::string folder) {
  for (size_t i = 0; i != kPackagesMax; ++i) {
    const std::string package = fmt::format("{}/intel-rapl:{}/", folder, i);
    const auto start = number_in(package + "energy_uj");
    const auto range = number_in(package + "max_energy_range_uj");
    if (!start) break;
    // "psys" is the whole machine, the packages within.
    std::string name;
    if (std::ifstream(package + "name") >> name && !name.starts_with("package")) continue;
    counters_.push_back({package + "energy_uj", *start, range.value_or(0)});
  }
}

std::optional<double> RaplMeter::joules() const {
  if (counters_.empty()) return std::nullopt;
  double sum = 0;
  for (const Counter& counter : counters_) {
    const auto now = number_in(counter.file);
    if (!now) return std::nullopt;
    sum += *now >= counter.start ? *now - counter.start : *now + counter.range - counter.start;
  }
  return sum >= 0 ? std::optional(sum / 1e6) : std::nullopt;
}

std::string watt_hours_text(double wh) {
  if (wh >= 1e6) return fmt::format("{:.3g} MWh", wh / 1e6);
  if (wh >= 1000) return fmt::format("{:.3g} kWh", wh / 1000);
  return wh >= 0.1 || wh == 0 ? fmt::format("{:.3g} Wh", wh) : fmt::format("{:.3g} mWh", wh * 1000);
}

std::string grams_text(double grams) {
  if (grams >= 1e6) return fmt::format("{:.3g} t", grams / 1e6);
  if (grams >= 1000) return fmt::format("{:.3g} kg", grams / 1000);
  return grams >= 0.1 || grams == 0 ? fmt::format("{:.3g} g", grams)
                                    : fmt::format("{:.3g} mg", grams * 1000);
}

}  // namespace umbel::cli

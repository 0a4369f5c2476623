#include "energy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "report_energy.h"
#include "report_html.h"

namespace umbel::cli {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

class EnergyTest : public testing::Test {
 protected:
  EnergyTest() {
    std::string pattern = testing::TempDir() + "umbel-energy-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    setenv("UMBEL_HOME", folder_.c_str(), 1);
  }
  ~EnergyTest() override {
    unsetenv("UMBEL_HOME");
    fs::remove_all(folder_);
  }
  void write(const std::string& file, std::string_view text) const {
    fs::create_directories((folder_ / file).parent_path());
    std::ofstream(folder_ / file) << text;
  }

  fs::path folder_;
};

// Factors with which sums can be done by heart.
EnergyFactors simple() {
  return {.device_watts = 3600,
          .device_idle_watts = 360,
          .device_pue = 1,
          .centre_watts = 7200,
          .centre_idle_watts = 1800,
          .centre_pue = 1.5,
          .network_kwh_per_gb = 0.5,
          .grams_per_kwh = 400};
}

TEST_F(EnergyTest, IsWattsTimesSecondsTimesCoolingAndBytesTimesTheNetwork) {
  const Work work{.cpu_seconds = 10, .measured_joules = {}, .network_bytes = 2e9};
  const Energy device = device_energy(work, simple());
  EXPECT_DOUBLE_EQ(device.compute_wh, 10);
  EXPECT_DOUBLE_EQ(device.idle_wh, 1);
  EXPECT_DOUBLE_EQ(device.cooling_wh, 0);
  EXPECT_DOUBLE_EQ(device.network_wh, 1000);
  EXPECT_DOUBLE_EQ(device.total_wh(), 1011);
  EXPECT_DOUBLE_EQ(device.grams(simple()), 404.4);
  const Energy centre = centre_energy(work, simple());
  EXPECT_DOUBLE_EQ(centre.compute_wh, 20);
  EXPECT_DOUBLE_EQ(centre.idle_wh, 5);
  EXPECT_DOUBLE_EQ(centre.cooling_wh, 12.5);
  EXPECT_DOUBLE_EQ(centre.total_wh(), 1037.5);
}

TEST_F(EnergyTest, MeasuredJoulesStandInPlaceOfWattsPerCore) {
  const Work work{.cpu_seconds = 10, .measured_joules = 7200, .network_bytes = 0};
  EXPECT_DOUBLE_EQ(device_energy(work, simple()).compute_wh, 2);
  EXPECT_DOUBLE_EQ(centre_energy(work, simple()).compute_wh, 2);
}

TEST_F(EnergyTest, FactorsAreReplacedByConfigToml) {
  EXPECT_EQ(read_energy_factors()->grams_per_kwh, 480);
  write("config.toml", "[energy]\ngrams-per-kwh = 50\ncentre-pue = 1.1\n");
  const auto factors = read_energy_factors();
  ASSERT_TRUE(factors.ok()) << factors.status();
  EXPECT_EQ(factors->grams_per_kwh, 50);
  EXPECT_EQ(factors->centre_pue, 1.1);
  EXPECT_EQ(factors->device_watts, EnergyFactors().device_watts);
}

TEST_F(EnergyTest, FactorsThatCannotBeAreRefusedWithTheirLine) {
  for (const auto& [text, why] :
       {std::pair{"grams-per-kwh = -1",
                  ":2: [energy] grams-per-kwh: expected a number from 0 to 1"},
        std::pair{"centre-pue = 0.9", ":2: [energy] centre-pue: expected a number from 1 to 1"},
        std::pair{"device-watts = \"5\"", ":2: [energy] device-watts: expected a number"},
        std::pair{"device-wats = 5", "unknown key; did you mean \"device-watts\"?"}}) {
    write("config.toml", fmt::format("[energy]\n{}\n", text));
    EXPECT_THAT(message_of(read_energy_factors().status()), HasSubstr(why));
  }
}

TEST_F(EnergyTest, EachFactorHasASourceAndAPlace) {
  EnergyFactors factors;
  double value = 1000;
  for (const EnergyFactor& factor : energy_factors()) {
    EXPECT_FALSE(factor.source.empty());
    factors.*factor.value = ++value;
  }
  EXPECT_EQ(sizeof(EnergyFactors), energy_factors().size() * sizeof(double));
  for (const EnergyFactor& factor : energy_factors()) EXPECT_GT(factors.*factor.value, 1000);
}

TEST_F(EnergyTest, TheCounterOfEveryPackageIsReadAndMayBeginAnew) {
  write("intel-rapl:0/energy_uj", "1000000\n");
  write("intel-rapl:0/max_energy_range_uj", "10000000\n");
  write("intel-rapl:1/energy_uj", "9000000\n");
  write("intel-rapl:2/name", "psys\n");  // the whole machine: not to be counted again
  write("intel-rapl:2/energy_uj", "0\n");
  write("intel-rapl:1/max_energy_range_uj", "10000000\n");
  const RaplMeter meter(folder_);
  EXPECT_EQ(meter.joules(), 0);
  write("intel-rapl:0/energy_uj", "3500000\n");
  write("intel-rapl:2/energy_uj", "99000000\n");
  write("intel-rapl:1/energy_uj", "500000\n");  // 9 to 10, and half a joule
  ASSERT_TRUE(meter.joules());
  EXPECT_DOUBLE_EQ(*meter.joules(), 2.5 + 1.5);
  fs::remove(folder_ / "intel-rapl:1/energy_uj");
  EXPECT_EQ(meter.joules(), std::nullopt);
  EXPECT_EQ(RaplMeter(folder_ / "nowhere").joules(), std::nullopt);
}

ReportData report_data() {
  ReportData data;
  data.run.rounds = 10;
  data.run.clients = 1000;
  data.run.bytes_down = data.run.bytes_up = 1'000'000'000;
  data.records = {{"local-process", {{"cpu-seconds", 10.0}}}};
  data.energy = simple();
  return data;
}

TEST_F(EnergyTest, TheReportSaysThatItIsAnEstimateOfWhatAndFromWhere) {
  const std::string page = report_html(report_data());
  EXPECT_THAT(page, HasSubstr("Energy and CO2: an estimate"));
  EXPECT_THAT(page, HasSubstr("Estimated, not measured"));
  EXPECT_THAT(page, HasSubstr("<td><b>together</b></td><td>1.01 kWh</td><td>–</td>"));
  EXPECT_THAT(page, HasSubstr("<td><b>CO2</b></td><td>404 g</td>"));
  EXPECT_THAT(page, HasSubstr("config.toml"));
  ReportData unknown = report_data();
  unknown.records.clear();
  EXPECT_THAT(report_html(unknown), Not(HasSubstr("an estimate")));
}

// 100 rounds of 1 GB: 100 times 1 s of computing are 110 Wh; 100 clients each move 2 GB a round,
// which are 20,000 GB of 500 Wh; a Wh is 0.4 g.
TEST_F(EnergyTest, TheTableOfRoundsAndSizesIsTheSameSum) {
  const std::string page = energy_section(report_data());
  const double grams = (110 + 20'000 * 500.0) * 0.4;
  EXPECT_THAT(page,
              HasSubstr(fmt::format("<td>{}</td></tr>\n<tr><td>1000</td>", grams_text(grams))));
}

TEST_F(EnergyTest, NumbersAreShortToRead) {
  EXPECT_EQ(watt_hours_text(0.0123), "12.3 mWh");
  EXPECT_EQ(watt_hours_text(12.34), "12.3 Wh");
  EXPECT_EQ(watt_hours_text(12'340), "12.3 kWh");
  EXPECT_EQ(watt_hours_text(0), "0 Wh");
  EXPECT_EQ(grams_text(0.05), "50 mg");
  EXPECT_EQ(grams_text(2500), "2.5 kg");
  EXPECT_EQ(grams_text(1.15e6), "1.15 t");
  EXPECT_EQ(watt_hours_text(1.15e6), "1.15 MWh");
}

}  // namespace
}  // namespace umbel::cli

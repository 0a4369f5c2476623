#include "report_energy.h"

#include <cmath>

#include "report_svg.h"
#include "text_format.h"

namespace umbel::cli {

namespace {

constexpr const char* kTable = "<div class=\"card\"><table class=\"words\">";
constexpr const char* kEnd = "</tbody></table></div>\n";

std::string count_of(double count) {
  return count_text(static_cast<int64_t>(std::clamp(count, 0.0, 9e18)));
}

std::string bytes_of(double bytes) {
  return bytes_text(static_cast<int64_t>(std::clamp(bytes, 0.0, 9e18)));
}

std::string row(std::string_view name, const std::string& federated, const std::string& central) {
  return fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td></tr>\n", name, federated, central);
}

std::string energy_rows(const Energy& ours, const std::optional<Energy>& theirs,
                        const EnergyFactors& factors) {
  const auto cell = [&](double Energy::*part) {
    return theirs ? watt_hours_text(*theirs.*part) : std::string("–");
  };
  std::string text = row("computing", watt_hours_text(ours.compute_wh), cell(&Energy::compute_wh));
  text += row("idle parts around it", watt_hours_text(ours.idle_wh), cell(&Energy::idle_wh));
  text += row("cooling and supply", watt_hours_text(ours.cooling_wh), cell(&Energy::cooling_wh));
  text += row("network", watt_hours_text(ours.network_wh), cell(&Energy::network_wh));
  text += row("<b>together</b>", watt_hours_text(ours.total_wh()),
              theirs ? watt_hours_text(theirs->total_wh()) : "–");
  return text + row("<b>CO2</b>", grams_text(ours.grams(factors)),
                    theirs ? grams_text(theirs->grams(factors)) : "–");
}

std::string factor_table(const EnergyFactors& factors) {
  std::string text = fmt::format(
      "<p>Its factors; [energy] of config.toml replaces them:</p>\n{}<thead><tr><th>factor</th>"
      "<th>value</th><th>what</th><th>from</th></tr></thead><tbody>\n",
      kTable);
  const EnergyFactors usual;
  for (const EnergyFactor& factor : energy_factors()) {
    const bool changed = factors.*factor.value != usual.*factor.value;
    text += fmt::format("<tr><td><code>{}</code></td><td>{:g} {}</td><td>{}</td><td>{}</td></tr>\n",
                        factor.key, factors.*factor.value, factor.unit, html_escaped(factor.what),
                        changed ? "config.toml" : html_escaped(factor.source));
  }
  return text + kEnd;
}

// Grams for other numbers of rounds and models of other sizes: computing grows with the rounds,
// traffic with both.
std::string sensitivity(const ReportData& data, const Work& work) {
  const auto rounds = static_cast<double>(data.run.rounds);
  if (rounds < 1 || data.run.clients < 1) return "";
  const double clients = static_cast<double>(data.run.clients) / rounds;
  std::string text = fmt::format(
      "<p>Grams of CO2 of such a federation with other numbers of rounds and models of another "
      "size, {:.0f} clients a round, each with the model down and an update of its size up; the "
      "computing of a round is held as it was here:</p>\n{}<thead><tr><th>rounds</th>",
      clients, kTable);
  constexpr double kSizes[] = {1e5, 1e6, 1e7, 1e8, 1e9};
  for (const char* size : {"100 kB", "1 MB", "10 MB", "100 MB", "1 GB"}) {
    text += fmt::format("<th>{}</th>", size);
  }
  text += "</tr></thead><tbody>\n";
  for (const double planned : {10.0, 100.0, 1000.0}) {
    text += fmt::format("<tr><td>{:.0f}</td>", planned);
    for (const double bytes : kSizes) {
      Work other;
      other.cpu_seconds = work.cpu_seconds / rounds * planned;
      if (work.measured_joules) other.measured_joules = *work.measured_joules / rounds * planned;
      other.network_bytes = 2 * clients * bytes * planned;
      text += fmt::format("<td>{}</td>",
                          grams_text(device_energy(other, data.energy).grams(data.energy)));
    }
    text += "</tr>\n";
  }
  return text + kEnd;
}

}  // namespace

std::string twin_section(const ReportData& data) {
  const auto twin = twin_of(data.records);
  if (!twin) return "";
  std::string text = fmt::format(
      "<h2>The centralised twin</h2>\n<p>Run {} is the same app with one client that has all the "
      "data, trained on at least as many examples. It is <b>{} {}</b> in {}{}</p>\n{}"
      "<thead><tr><th></th><th>federated</th><th>centralised</th></tr></thead><tbody>\n",
      twin->run, metric_text(std::fabs(twin->gap)), twin->gap >= 0 ? "better" : "worse",
      twin->metric,
      twin->rounds_to_reach
          ? fmt::format(", and reached what the federation did after {} examples.",
                        count_of(twin->examples_to_reach.value_or(0)))
          : std::string(", and never reached what the federation did."),
      kTable);
  text +=
      row(twin->metric + " at the end", metric_text(twin->federated), metric_text(twin->central));
  text += row("rounds", count_text(data.run.rounds), count_text(twin->rounds));
  text += row("examples trained on", count_of(twin->federated_examples), count_of(twin->examples));
  text += row("bytes that travel", bytes_of(twin->federated_work.network_bytes),
              twin->work.network_bytes > 0
                  ? bytes_of(twin->work.network_bytes) + ", the data once"
                  : std::string("the data once; the app does not tell how much they are"));
  return text + kEnd;
}

std::string energy_section(const ReportData& data) {
  const auto twin = twin_of(data.records);
  const auto work = work_of(data.run, data.records);
  if (!work) return "";
  std::optional<Energy> theirs;
  if (twin) theirs = centre_energy(twin->work, data.energy);
  std::string text = fmt::format(
      "<h2>Energy and CO2: an estimate</h2>\n<p>Estimated, not measured: {} of processor time{}, "
      "as "
      "if at devices at the edge, and {} on a network{}.</p>\n{}<thead><tr><th></th>"
      "<th>federated, at devices</th><th>centralised, in a data centre</th></tr></thead><tbody>\n",
      seconds_text(work->cpu_seconds),
      work->measured_joules ? ", whose energy this machine's counter (RAPL) did measure"
                            : ", times the watts of a busy core",
      bytes_of(work->network_bytes),
      twin ? "" : "; umbel run --twin adds what the centralised way costs", kTable);
  text += energy_rows(device_energy(*work, data.energy), theirs, data.energy) + kEnd;
  return text + sensitivity(data, *work) + factor_table(data.energy);
}

}  // namespace umbel::cli

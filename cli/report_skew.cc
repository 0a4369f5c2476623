#include "report_skew.h"

#include <algorithm>
#include <cmath>

#include "report_skew_bubbles.h"
#include "report_svg.h"
#include "text_format.h"

namespace umbel::cli {

namespace {

constexpr size_t kLabelsDrawnMax = 50;
constexpr size_t kBinsDrawnMax = 60;
constexpr size_t kExampleClientsMax = 24;

std::vector<double> list_of(const MetricRecord& record, std::string_view name) {
  const MetricValue* value = record.find(name);
  if (value == nullptr) return {};
  if (const auto* reals = std::get_if<std::vector<double>>(&value->base())) return *reals;
  if (const auto* integers = std::get_if<std::vector<int64_t>>(&value->base())) {
    return std::vector<double>(integers->begin(), integers->end());
  }
  return {};
}

std::string count_of(double value) {
  return std::isfinite(value) && std::fabs(value) < 9e15
             ? count_text(static_cast<int64_t>(std::llround(value)))
             : metric_text(value);
}

std::string sentence(const MetricRecord& skew, std::string_view name, std::string_view before,
                     std::string_view after, bool whole) {
  const auto value = find_real(skew, name);
  if (!value) return "";
  return fmt::format("{}{}{}", before, whole ? count_of(*value) : fmt::format("{:.3g}", *value),
                     after);
}

bool all_have_as_many(const MetricRecord& skew) {
  const auto least = find_real(skew, "size-min");
  return least && least == find_real(skew, "size-max");
}

// "Of a feature's variance 12 % lies between clients ..."; "" if it was not measured.
std::string share_between(const MetricRecord& skew, std::string_view name, std::string_view what) {
  const auto share = find_real(skew, name);
  if (!share || !std::isfinite(*share)) return "";
  return fmt::format("Of {} <b>{:.3g} %</b> lies between clients (0 %: alike). ", what,
                     100 * std::clamp(*share, 0.0, 1.0));
}

// "1,000 clients.  A client has 12 to 180 examples, ..." : whatever of it is known.
std::string words(const MetricRecord& skew) {
  std::string text = sentence(skew, "clients", "<p>The data lie at <b>", "</b> clients", true);
  if (text.empty()) text = "<p>The data lie at the clients";
  const bool sampled = find_real(skew, "sampled-clients") != find_real(skew, "clients");
  if (sampled)
    text += sentence(skew, "sampled-clients", "; these figures are from ", " of them", true);
  text += ". ";
  if (all_have_as_many(skew)) {
    text += sentence(skew, "size-min", "Every client has <b>", "</b> examples. ", true);
  } else if (find_real(skew, "size-min") && find_real(skew, "size-max")) {
    text += sentence(skew, "size-min", "A client has <b>", "", true) +
            sentence(skew, "size-max", "</b> to <b>", "</b> examples", true) +
            sentence(skew, "size-median", ", the median client <b>", "</b>", true) +
            sentence(skew, "size-mean", ", the mean <b>", "</b>", false) +
            sentence(skew, "size-gini", " (Gini coefficient ", ")", false) + ". ";
  }
  text +=
      sentence(skew, "labels-per-client-mean", "It sees <b>", "</b> labels on average. ", false);
  text += sentence(skew, "label-tv-mean",
                   "The total variation distance between a client's labels and everybody's is <b>",
                   "</b> on average (0: alike, 1: nothing in common). ", false);
  text += sentence(skew, "label-entropy-mean", "A client's labels have <b>",
                   "</b> nats of entropy on average. ", false);
  text += share_between(skew, "feature-skew", "a feature's variance");
  const auto column = find_real(skew, "feature-skew-max-column");
  const auto most = find_real(skew, "feature-skew-max");
  if (column && most && std::isfinite(*most) && most != find_real(skew, "feature-skew")) {
    text += fmt::format("It is the most in column {}: <b>{:.3g} %</b>. ", count_of(*column),
                        100 * std::clamp(*most, 0.0, 1.0));
  }
  text += share_between(skew, "time-skew", "the variance of the examples' places in time");
  return text + "</p>\n";
}

std::string label_chart(const MetricRecord& skew) {
  const std::vector<double> shares = list_of(skew, "label-share");
  std::vector<Bar> bars;
  for (size_t i = 0; i != std::min(shares.size(), kLabelsDrawnMax); ++i) {
    bars.push_back({std::to_string(i), 100 * shares[i],
                    fmt::format("label {}: {:.2f} %", i, 100 * shares[i]),
                    static_cast<int>(i % 10)});
  }
  return bar_chart("Labels of all clients together, %", bars);
}

std::string size_chart(const MetricRecord& skew) {
  const std::vector<double> edges = list_of(skew, "size-histogram-edges");
  const std::vector<double> counts = list_of(skew, "size-histogram-counts");
  std::vector<Bar> bars;
  if (edges.size() != counts.size() + 1) return "";
  if (counts.size() == 1 || all_have_as_many(skew)) return "";  // the words say it
  for (size_t i = 0; i != std::min(counts.size(), kBinsDrawnMax); ++i) {
    bars.push_back({count_of(edges[i]), counts[i],
                    fmt::format("{} to {} examples: {} clients", count_of(edges[i]),
                                count_of(edges[i + 1]), count_of(counts[i])),
                    0});
  }
  return bar_chart("Clients by number of examples", bars);
}

// With the clients' sizes discs of as many examples; without, bars of the labels' shares.
std::string client_chart(const MetricRecord& skew) {
  const std::vector<double> ids = list_of(skew, "example-client-ids");
  const std::vector<double> labels = list_of(skew, "example-client-labels");
  const std::vector<double> sizes = list_of(skew, "example-client-sizes");
  if (ids.empty() || labels.size() % ids.size() != 0) return "";
  const size_t classes = labels.size() / ids.size();
  std::vector<ClientLabels> clients;
  std::vector<StackedBar> bars;
  for (size_t i = 0; i != std::min(ids.size(), kExampleClientsMax); ++i) {
    const auto from = labels.begin() + static_cast<ptrdiff_t>(i * classes);
    const auto shown = static_cast<ptrdiff_t>(std::min(classes, kLabelsDrawnMax));
    bars.push_back({"client " + count_of(ids[i]), std::vector<double>(from, from + shown)});
    if (i < sizes.size()) clients.push_back({bars.back().label, sizes[i], bars.back().parts});
  }
  const std::string discs = clients.size() == bars.size() ? label_bubbles(clients) : "";
  return discs.empty() ? stacked_bars("Labels of single clients", bars) : discs;
}

}  // namespace

std::string skew_section(const MetricRecord& skew) {
  return "<h2>How the data differ</h2>\n" + words(skew) + "<div class=\"charts\">\n" +
         label_chart(skew) + size_chart(skew) + client_chart(skew) + "</div>\n";
}

}  // namespace umbel::cli

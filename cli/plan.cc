#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "history.h"
#include "plan_figures.h"
#include "text_format.h"
#include "umbel/base/files.h"

namespace umbel::cli {

namespace {

struct Known {
  int64_t model_bytes = 0, rounds = 0;
  std::string source;  // where the model's size is from
};

// The size of the model that the app's last run on this machine left.
Result<Known> from_history(const std::string& app) {
  UMBEL_ASSIGN_OR_RETURN(std::optional<History> history, History::open_existing(umbel_home()));
  if (!history) return Known{};
  UMBEL_ASSIGN_OR_RETURN(const auto runs, history->runs({"", app, 50}));
  for (const Run& run : runs) {
    UMBEL_ASSIGN_OR_RETURN(const auto artifacts, history->artifacts(run.id));
    int64_t largest = 0;
    for (const ArtifactEvent& artifact : artifacts) {
      if (artifact.name.ends_with(".safetensors")) largest = std::max(largest, artifact.bytes);
    }
    if (largest > 0) return Known{largest, 0, fmt::format("the model of run {}", run.id)};
  }
  return Known{};
}

Result<Known> known_of(const PlanOptions& options) {
  Known known;
  std::string name;
  if (!options.app.empty()) {
    UMBEL_ASSIGN_OR_RETURN(const Manifest manifest, read_manifest(options.app));
    name = manifest.name;
    for (const Setting& setting : manifest.config) {
      const auto* rounds = std::get_if<int64_t>(&setting.value.base());
      if ((setting.key == "rounds" || setting.key == "num-server-rounds") && rounds != nullptr &&
          *rounds > 0)
        known.rounds = *rounds;
    }
  }
  known.rounds = options.rounds.value_or(known.rounds);
  if (options.model_bytes) {
    known.model_bytes = *options.model_bytes;
  } else if (options.params) {
    known.model_bytes = 4 * *options.params;
  } else if (!name.empty()) {
    UMBEL_ASSIGN_OR_RETURN(const Known found, from_history(name));
    known.model_bytes = found.model_bytes;
    known.source = found.source;
  }
  if (known.model_bytes > 0) return known;
  return invalid_argument(
      "how large is the model?  --model-bytes N or --params N says it, or an APP that has been run "
      "on this machine");
}

}  // namespace

RoundPlan plan_round(int64_t model_bytes, int64_t nodes, double link_mbit, double hub_mbit,
                     double rtt_ms) {
  const auto bits = 8 * static_cast<double>(model_bytes);
  const double of_node = bits / (link_mbit * 1e6);
  const double of_hub = bits * static_cast<double>(nodes) / (hub_mbit * 1e6);
  const double one_way = std::max(of_node, of_hub);
  constexpr double kRoundTrips = 4;  // assign and fetch, result and upload
  RoundPlan plan;
  plan.bytes_each_way = static_cast<double>(model_bytes) * static_cast<double>(nodes);
  plan.seconds = 2 * one_way + kRoundTrips * rtt_ms / 1000;
  plan.hub_bound = of_hub > of_node;
  return plan;
}

int run_plan(const PlanOptions& options, const Output& output) {
  const Result<Known> known = known_of(options);
  if (!known.ok()) return output.fail(known.status());
  const RoundPlan plan = plan_round(known->model_bytes, options.nodes.value_or(1),
                                    options.link_mbit, options.hub_mbit, options.rtt_ms);
  const auto bytes = [](double count) {
    return bytes_text(static_cast<int64_t>(std::min(count, 9e18)));
  };
  std::string text = fmt::format("model          {}", bytes_text(known->model_bytes));
  if (!known->source.empty()) text += " (" + known->source + ")";
  text +=
      fmt::format("\na round        {} down, {} up; {:.2f} minutes and the training; bound by {}",
                  bytes(plan.bytes_each_way), bytes(plan.bytes_each_way), plan.seconds / 60,
                  plan.hub_bound ? "the hub's link" : "a node's link");
  text += fmt::format("\nof it a node   {} down, {} up", bytes_text(known->model_bytes),
                      bytes_text(known->model_bytes));
  Json object = {{"model-bytes", known->model_bytes},
                 {"nodes", options.nodes.value_or(1)},
                 {"bytes-down", plan.bytes_each_way},
                 {"bytes-up", plan.bytes_each_way},
                 {"minutes", plan.seconds / 60},
                 {"bound-by", plan.hub_bound ? "hub" : "node"},
                 {"rounds", known->rounds > 0 ? Json(known->rounds) : Json(nullptr)}};
  if (known->rounds > 0) {
    const auto rounds = static_cast<double>(known->rounds);
    text += fmt::format("\n{} rounds{}{} down, {} up; {:.1f} minutes and the training",
                        known->rounds, std::string(known->rounds < 100 ? 6 : 4, ' '),
                        bytes(rounds * plan.bytes_each_way), bytes(rounds * plan.bytes_each_way),
                        rounds * plan.seconds / 60);
    object["minutes-of-run"] = rounds * plan.seconds / 60;
  }
  if (output.format() == Format::kText) output.say(text);
  output.result(object);
  return kDone;
}

}  // namespace umbel::cli

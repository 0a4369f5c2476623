#include "umbel/app/sliced_rounds.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "umbel/aggregate/metric_mean.h"
#include "umbel/strategy/slices.h"

namespace umbel {

namespace {

constexpr size_t kFailuresNamedMax = 20;

using Groups = std::map<double, std::vector<uint64_t>, std::greater<>>;  // the widest first

Groups by_width(const std::vector<uint64_t>& clients, const ClientWidth& width) {
  Groups groups;
  for (const uint64_t client : clients) {
    const double share = width(client);
    or_throw(annotate(require_width(share), fmt::format("client {}", client)));
    groups[share].push_back(client);
  }
  return groups;
}

std::shared_ptr<const RecordDict> cut(const RecordDict& content, const Roles& roles, double width) {
  const auto* arrays = first_of<ArrayRecord>(content);
  const auto* given = first_of<ConfigRecord>(content);
  ConfigRecord config = given ? *given : ConfigRecord();
  config.set(kSliceWidthKey, width);
  return make_content(narrowed(arrays ? *arrays : ArrayRecord(), roles, width), std::move(config));
}

// What elements are that nobody trained.
ArrayRecord untrained(const ArrayRecord& layout, PayloadMode mode) {
  if (mode == PayloadMode::kWeights) return layout;
  ArrayRecord zeros;
  for (const auto& [name, array] : layout) {
    zeros.append(name, Array::zeros(array.dtype(), array.shape()));
  }
  return zeros;
}

// Adds all of a fold but its arrays and metrics.
void add(aggregate::FoldResult& all, aggregate::FoldResult&& fold) {
  all.replies += fold.replies;
  all.weight += fold.weight;
  all.reply_bytes += fold.reply_bytes;
  for (const auto& [code, count] : fold.failures) all.failures[code] += count;
  for (auto& failure : fold.failure_samples) all.failure_samples.push_back(std::move(failure));
}

}  // namespace

Status require_widths(const Roles& roles, const ClientWidth& width) {
  if (roles.any(Role::kSlice) == static_cast<bool>(width)) return absl::OkStatus();
  if (width) return invalid_argument("RoundsOptions has a width, and no tensor has the role slice");
  return invalid_argument("role slice: RoundsOptions::width must say how wide each client is");
}

SlicedFold fold_by_width(Grid& grid, const Broadcast& broadcast, const AggregationPlan& plan,
                         Deadline deadline, const Exchange& exchange, const ClientWidth& width) {
  const Roles& roles = exchange.roles();
  SlicedFold result;
  aggregate::FoldResult& all = result.fold;
  aggregate::MetricMean metrics(plan.options.weight_key);
  std::vector<SliceMean> means;
  if (grid.world()) grid.world()->begin_together();
  for (auto& [share, clients] : by_width(broadcast.nodes, width)) {
    Broadcast part = broadcast;
    part.nodes = clients;
    part.content = cut(*broadcast.content, roles, share);
    AggregationPlan cut_plan = plan;
    if (plan.layout) {
      cut_plan.layout = std::make_shared<const ArrayRecord>(narrowed(*plan.layout, roles, share));
    }
    result.bytes_down += part.content->byte_size() * part.nodes.size();
    aggregate::FoldResult fold = grid.send_and_fold(part, cut_plan, deadline);
    if (fold.replies != 0) {
      metrics.add(fold.metrics, fold.weight);
      if (plan.layout) means.push_back({std::move(fold.arrays), fold.weight});
    }
    add(all, std::move(fold));
  }
  if (grid.world()) grid.world()->end_together();
  std::ranges::sort(all.failure_samples, {}, [](const auto& failure) { return failure.node; });
  if (all.failure_samples.size() > kFailuresNamedMax) all.failure_samples.resize(kFailuresNamedMax);
  all.metrics = metrics.finish();
  if (!means.empty()) {
    all.arrays =
        or_throw(merge_slices(untrained(*plan.layout, exchange.payload().mode), roles, means));
  }
  return result;
}

}  // namespace umbel

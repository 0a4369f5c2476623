// Clients who differ in where on an axis their examples lie.

#include "umbel/data/partition_along.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "umbel/data/distinct.h"
#include "umbel/data/partition_axis.h"
#include "umbel/data/partition_draw.h"
#include "umbel/data/partition_options.h"
#include "umbel/data/partition_parts.h"

namespace umbel::data {

namespace {

// Each place changes hands with probability 1 - strictness, among those that do.
void loosen(std::vector<uint32_t>& order, double strictness, Rng& rng) {
  if (strictness >= 1) return;
  std::vector<uint32_t> places;
  std::vector<uint32_t> examples;
  for (uint32_t place = 0; place != order.size(); ++place) {
    if (rng.uniform() < strictness) continue;
    places.push_back(place);
    examples.push_back(order[place]);
  }
  rng.shuffle(std::span(examples));
  for (size_t i = 0; i != places.size(); ++i) order[places[i]] = examples[i];
}

// The windows' examples, shuffled within each and cut for its clients.
Result<Partition> cut(std::vector<uint32_t> order, uint64_t clients, uint64_t windows,
                      uint64_t examples_min, Rng& rng) {
  const uint64_t n = order.size();
  std::vector<uint32_t> starts;
  for (uint64_t w = 0; w != windows; ++w) {
    const uint64_t first = start_of(n, windows, w);
    const uint64_t size = start_of(n, windows, w + 1) - first;
    rng.shuffle(std::span(order).subspan(first, size));
    const uint64_t sharers = start_of(clients, windows, w + 1) - start_of(clients, windows, w);
    for (uint64_t i = 0; i != sharers; ++i) {
      starts.push_back(static_cast<uint32_t>(first + start_of(size, sharers, i)));
    }
  }
  starts.push_back(static_cast<uint32_t>(n));
  return shared_out(std::move(order), std::move(starts), examples_min);
}

Result<Partition> along(const Array& values, const TemporalOptions& options) {
  UMBEL_RETURN_IF_ERROR(check_axis(values));
  const auto n = static_cast<uint64_t>(values.size());
  UMBEL_RETURN_IF_ERROR(check_clients_share(options.clients, n, options.examples_min));
  UMBEL_RETURN_IF_ERROR(check_windows(options.windows, options.clients));
  UMBEL_RETURN_IF_ERROR(check_strictness(options.strictness));
  Rng rng(derive_seed(options.seed, "partition along an axis"));
  std::vector<uint32_t> order = axis_order(values, rng);
  loosen(order, options.strictness, rng);
  return cut(std::move(order), options.clients, options.windows, options.examples_min, rng);
}

class DrawnAlong final : public PartitionScheme {
 public:
  DrawnAlong(std::vector<uint32_t> order, const DrawnAlongOptions& options)
      : order_(std::move(order)), options_(options) {}
  uint64_t clients() const override { return options_.clients; }
  bool disjoint() const override { return false; }
  void examples(uint64_t client, std::vector<uint32_t>& out) const override {
    const Run run = run_of(client);
    Rng rng = client_rng(options_.seed, client);
    const double share = static_cast<double>(run.size) / static_cast<double>(order_.size());
    const double own = options_.strictness + (1 - options_.strictness) * share;
    uint64_t inside = 0;
    for (uint64_t i = 0; i != options_.examples_per_client; ++i) inside += rng.uniform() < own;
    const uint64_t outside = options_.examples_per_client - inside;
    out.clear();
    append_distinct(rng, run.size, inside, out);
    for (uint32_t& place : out) place += static_cast<uint32_t>(run.first);
    if (outside > 0) {  // own is below 1, so there is more than the run
      append_distinct(rng, order_.size() - run.size, outside, out);
      for (uint32_t& place : std::span(out).subspan(inside)) {
        if (place >= run.first) place += static_cast<uint32_t>(run.size);
      }
    }
    for (uint32_t& place : out) place = order_[place];
    rng.shuffle(std::span(out));
  }

 private:
  struct Run {
    uint64_t first;
    uint64_t size;
  };

  Run run_of(uint64_t client) const {
    using Wide = unsigned __int128;
    const uint64_t n = order_.size();
    if (options_.windows == 0) {
      const uint64_t size = options_.examples_per_client;
      const uint64_t last = std::max<uint64_t>(options_.clients - 1, 1);
      return {static_cast<uint64_t>(Wide{n - size} * client / last), size};
    }
    const auto window = static_cast<uint64_t>(Wide{client} * options_.windows / options_.clients);
    const uint64_t first = start_of(n, options_.windows, window);
    return {first, start_of(n, options_.windows, window + 1) - first};
  }

  std::vector<uint32_t> order_;
  DrawnAlongOptions options_;
};

}  // namespace

Result<Partition> continuous(const Array& values, const ContinuousOptions& options) {
  return along(values, {.clients = options.clients,
                        .windows = options.clients,
                        .strictness = options.strictness,
                        .seed = options.seed,
                        .examples_min = options.examples_min});
}

Result<Partition> temporal(const Array& times, const TemporalOptions& options) {
  return along(times, options);
}

Result<Partition> drawn_along(const Array& values, const DrawnAlongOptions& options) {
  UMBEL_RETURN_IF_ERROR(check_axis(values));
  const auto n = static_cast<uint64_t>(values.size());
  UMBEL_RETURN_IF_ERROR(check_clients(options.clients));
  UMBEL_RETURN_IF_ERROR(check_examples_per_client(options.examples_per_client, n));
  UMBEL_RETURN_IF_ERROR(check_strictness(options.strictness));
  if (options.windows != 0) {
    UMBEL_RETURN_IF_ERROR(check_windows(options.windows, std::min(options.clients, n)));
  }
  Rng rng(derive_seed(options.seed, "partition along an axis"));
  return Partition(std::make_shared<const DrawnAlong>(axis_order(values, rng), options));
}

Result<Array> feature_column(const Dataset& dataset, int64_t column) {
  const int64_t width = dataset.feature_size();
  if (column < 0 || column >= width) {
    return invalid_argument("feature column {}: an example has {}, expected 0 to {}", column, width,
                            width - 1);
  }
  Array out = Array::uninitialized(DType::kFloat32, {dataset.size()});
  const auto values = out.mutable_view<float>();
  const auto copy = [&](const auto features) {
    for (size_t i = 0; i != values.size(); ++i) {
      values[i] = static_cast<float>(
          features[i * static_cast<size_t>(width) + static_cast<size_t>(column)]);
    }
  };
  if (dataset.features.dtype() == DType::kUint8) {
    copy(dataset.features.view<uint8_t>());
  } else if (dataset.features.dtype() == DType::kInt32) {
    copy(dataset.features.view<int32_t>());
  } else if (dataset.features.dtype() == DType::kFloat32) {
    copy(dataset.features.view<float>());
  } else {
    return invalid_argument("features are {}, expected uint8, int32 or float32",
                            dataset.features.describe());
  }
  return out;
}

Result<TimeWindows> TimeWindows::make(const Array& times, uint64_t windows) {
  UMBEL_RETURN_IF_ERROR(check_axis(times));
  const auto n = static_cast<uint64_t>(times.size());
  UMBEL_RETURN_IF_ERROR(check_windows(windows, std::min(n, kWindowsMax)));
  Rng rng(derive_seed(0, "time windows"));
  const std::vector<uint32_t> order = axis_order(times, rng);
  TimeWindows out;
  out.windows_ = windows;
  out.window_.resize(n);
  for (uint64_t w = 0; w != windows; ++w) {
    for (uint64_t i = start_of(n, windows, w); i != start_of(n, windows, w + 1); ++i) {
      out.window_[order[i]] = static_cast<uint16_t>(w);
    }
  }
  return out;
}

uint64_t TimeWindows::window_of(uint32_t example) const {
  if (example < window_.size()) return window_[example];
  throw Error(
      invalid_argument("example {} in windows of time of {} examples", example, window_.size()));
}

void TimeWindows::keep(uint64_t window, std::vector<uint32_t>& examples) const {
  std::erase_if(examples, [&](uint32_t example) { return window_of(example) != window; });
}

}  // namespace umbel::data

#include "umbel/population/population_options.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "umbel/base/text.h"

namespace umbel {

namespace {

struct Bound {
  const char* key;
  double value, least, most;
};

Status require_within(const Bound& bound) {
  if (bound.value >= bound.least && bound.value <= bound.most) return absl::OkStatus();
  return invalid_argument("{}: expected {} to {}, got {}", bound.key, bound.least, bound.most,
                          bound.value);
}

// Names become texts of node_config and parts of metrics' names ("accuracy@women").
bool is_plain(const std::string& name) {
  return !name.empty() && name.size() <= kAttributeNameMax &&
         std::ranges::all_of(name, [](unsigned char c) {
           return c > 0x20 && c != 0x7f && c != '@' && c != '"' && c != '\\';
         });
}

// A key that would change nothing: whoever sets it expects something else.
Status require_effect(const char* key, bool is_default, bool has_effect, std::string_view needs) {
  if (is_default || has_effect) return absl::OkStatus();
  return invalid_argument("{}: it has no effect without {}", key, needs);
}

Status validate_availability(const PopulationOptions& given) {
  const PopulationOptions usual;
  const bool daily = given.availability == Availability::kDaily;
  const bool drawn = given.availability == Availability::kProbability;
  const bool traced = given.availability == Availability::kTrace;
  constexpr const char* kDaily = "availability = \"daily\"";
  constexpr const char* kTrace = "availability = \"trace\" and trace";
  UMBEL_RETURN_IF_ERROR(
      require_effect("available-share", given.available_share == usual.available_share,
                     daily || drawn, "availability = \"probability\" or \"daily\""));
  UMBEL_RETURN_IF_ERROR(require_effect("session-hours", given.session_hours == usual.session_hours,
                                       drawn, "availability = \"probability\""));
  UMBEL_RETURN_IF_ERROR(
      require_effect("day-from", given.day_from == usual.day_from, daily, kDaily));
  UMBEL_RETURN_IF_ERROR(
      require_effect("day-hours", given.day_hours == usual.day_hours, daily, kDaily));
  UMBEL_RETURN_IF_ERROR(require_effect(
      "day-jitter-hours", given.day_jitter_hours == usual.day_jitter_hours, daily, kDaily));
  UMBEL_RETURN_IF_ERROR(
      require_effect("time-zones", given.time_zones == usual.time_zones, daily, kDaily));
  UMBEL_RETURN_IF_ERROR(
      require_effect("start-hour", given.start_hour == usual.start_hour, daily, kDaily));
  UMBEL_RETURN_IF_ERROR(
      require_effect("trace-end", given.trace_end == usual.trace_end, traced, kTrace));
  return require_effect("trace-reuse", given.trace_reuse == usual.trace_reuse, traced, kTrace);
}

Status validate_rates(const PopulationOptions& given) {
  UMBEL_RETURN_IF_ERROR(require_effect("bandwidth-spread", given.bandwidth_spread == 0,
                                       given.down_mbits > 0 || given.up_mbits > 0,
                                       "down-mbits or up-mbits"));
  UMBEL_RETURN_IF_ERROR(require_effect("latency-spread", given.latency_spread == 0,
                                       given.latency_seconds > 0, "latency-seconds"));
  return require_effect("speed-spread", given.speed_spread == 0, given.seconds_per_example > 0,
                        "seconds-per-example");
}

Status validate_attribute(const Attribute& attribute) {
  const std::string where = fmt::format("attributes.{}", escaped(attribute.name));
  if (!is_plain(attribute.name)) {
    return invalid_argument("{}: a name has 1 to {} bytes, no spaces, quotes or @", where,
                            kAttributeNameMax);
  }
  if (attribute.name == "partition-id" || attribute.name == "num-partitions") {
    return invalid_argument("{}: this key of the node's settings has a meaning already", where);
  }
  if (attribute.categories.empty() || attribute.categories.size() > kCategoriesMax ||
      attribute.shares.size() != attribute.categories.size()) {
    return invalid_argument("{}: {} categories with {} shares, expected 1 to {} with a share each",
                            where, attribute.categories.size(), attribute.shares.size(),
                            kCategoriesMax);
  }
  double sum = 0;
  for (size_t i = 0; i != attribute.categories.size(); ++i) {
    const std::string& category = attribute.categories[i];
    if (!is_plain(category) || std::ranges::count(attribute.categories, category) != 1) {
      return invalid_argument(
          "{}: \"{}\": a category has a name of its own, 1 to {} bytes, no spaces, quotes or @",
          where, escaped(category), kAttributeNameMax);
    }
    if (!(attribute.shares[i] >= 0 && attribute.shares[i] <= 1)) {
      return invalid_argument("{}: {} = {}: expected a share, 0 to 1", where, escaped(category),
                              attribute.shares[i]);
    }
    sum += attribute.shares[i];
  }
  if (std::abs(sum - 1) <= 1e-6) return absl::OkStatus();
  return invalid_argument("{}: the shares sum to {}, expected 1", where, sum);
}

}  // namespace

std::string_view name_of(Availability availability) {
  static constexpr std::string_view kNames[] = {"always", "probability", "daily", "trace"};
  return kNames[static_cast<size_t>(availability)];
}

std::string_view name_of(TraceEnd end) { return end == TraceEnd::kRepeat ? "repeat" : "stop"; }

Status PopulationOptions::validate() const {
  const Bound bounds[] = {{"available-share", available_share, 0, 1},
                          {"session-hours", session_hours, 1e-3, 1e4},
                          {"day-from", day_from, 0, 24},
                          {"day-hours", day_hours, 1e-3, 24},
                          {"day-jitter-hours", day_jitter_hours, 0, 12},
                          {"start-hour", start_hour, 0, 24},
                          {"speed-spread", speed_spread, 0, 5},
                          {"down-mbits", down_mbits, 0, 1e9},
                          {"up-mbits", up_mbits, 0, 1e9},
                          {"bandwidth-spread", bandwidth_spread, 0, 5},
                          {"latency-seconds", latency_seconds, 0, 1e6},
                          {"latency-spread", latency_spread, 0, 5},
                          {"seconds-per-example", seconds_per_example, 0, 1e6},
                          {"dropout", dropout, 0, 1}};
  for (const Bound& bound : bounds) UMBEL_RETURN_IF_ERROR(require_within(bound));
  if (time_zones.empty() || time_zones.size() > 1000) {
    return invalid_argument("time-zones: {} of them, expected 1 to 1000", time_zones.size());
  }
  for (const double zone : time_zones) {
    UMBEL_RETURN_IF_ERROR(require_within({"time-zones", zone, -14, 14}));
  }
  const bool traced = availability == Availability::kTrace;
  if (traced && trace.empty()) {
    return invalid_argument("trace: missing: availability = \"trace\" needs a file");
  }
  if (!traced && !trace.empty()) {
    return invalid_argument("trace: it needs availability = \"trace\", got \"{}\"",
                            name_of(availability));
  }
  UMBEL_RETURN_IF_ERROR(validate_availability(*this));
  UMBEL_RETURN_IF_ERROR(validate_rates(*this));
  if (attributes.size() > kAttributesMax) {
    return invalid_argument("attributes: {} of them, at most {} are possible", attributes.size(),
                            kAttributesMax);
  }
  std::set<std::string> names;
  for (const Attribute& attribute : attributes) {
    UMBEL_RETURN_IF_ERROR(validate_attribute(attribute));
    if (!names.insert(attribute.name).second) {
      return invalid_argument("attributes.{}: there are two", attribute.name);
    }
  }
  return absl::OkStatus();
}

}  // namespace umbel

#include "umbel/population/population.h"

#include <algorithm>
#include <cmath>

#include "umbel/base/rng.h"

namespace umbel {

namespace {

// What a draw is for: the first number of its path, after the client's.
enum Purpose : uint64_t {
  kSpeed,
  kBandwidth,
  kLatency,
  kPhase,
  kSession,
  kZone,
  kJitter,
  kDay,
  kAttribute,
  kLeaves,
  kLeavesAt,
};

constexpr double kSecondsPerHour = 3600;
constexpr double kBitsPerMbit = 1e6;
constexpr int kSessionsMax = 1000;  // that are looked at for the end of a stay

double unit(uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

double transfer_seconds(uint64_t bytes, double mbits) {
  return mbits > 0 ? static_cast<double>(bytes) * 8 / (mbits * kBitsPerMbit) : 0;
}

}  // namespace

Result<Population> Population::make(PopulationOptions options, uint64_t clients, uint64_t seed) {
  UMBEL_RETURN_IF_ERROR(annotate(options.validate(), "population"));
  Population population(std::move(options), clients, derive_seed(seed, "population"));
  if (population.options_.availability == Availability::kTrace) {
    UMBEL_ASSIGN_OR_RETURN(Trace trace, Trace::read(population.options_.trace, clients));
    population.trace_ = std::make_shared<const Trace>(std::move(trace));
  }
  return population;
}

double Population::uniform(std::initializer_list<uint64_t> path) const {
  return unit(derive_seed(seed_, path));
}

double Population::factor(uint64_t client, uint64_t purpose, double spread) const {
  if (spread == 0) return 1;
  return std::exp(spread * Rng(derive_seed(seed_, {client, purpose})).normal());
}

std::optional<VirtualTime> Population::stays_until(uint64_t client, VirtualTime now) const {
  switch (options_.availability) {
    case Availability::kAlways:
      return VirtualTime::max();
    case Availability::kProbability:
      return in_session(client, now);
    case Availability::kDaily:
      return in_day(client, now);
    case Availability::kTrace:
      return in_trace(client, now);
  }
  return std::nullopt;
}

// Sessions begin at a phase of the client's own, so that not everybody leaves at once.
std::optional<VirtualTime> Population::in_session(uint64_t client, VirtualTime now) const {
  const VirtualTime length = virtual_time(options_.session_hours * kSecondsPerHour);
  const VirtualTime phase = virtual_time(uniform({client, kPhase}) * seconds_of(length));
  const auto first = static_cast<uint64_t>((now + phase) / length);
  const auto there = [&](uint64_t session) {
    return uniform({client, kSession, session}) < options_.available_share;
  };
  if (!there(first)) return std::nullopt;
  uint64_t session = first + 1;
  while (session - first < kSessionsMax && there(session)) ++session;
  return length * static_cast<int64_t>(session) - phase;
}

std::optional<VirtualTime> Population::in_day(uint64_t client, VirtualTime now) const {
  const std::vector<double>& zones = options_.time_zones;
  const auto index =
      static_cast<size_t>(uniform({client, kZone}) * static_cast<double>(zones.size()));
  const double zone = zones[std::min(index, zones.size() - 1)];
  const double jitter = options_.day_jitter_hours * (2 * uniform({client, kJitter}) - 1);
  // Hours since the window opened, on a day some days before the first: never negative.
  const double hours = seconds_of(now) / kSecondsPerHour + options_.start_hour + zone -
                       options_.day_from - jitter + 4 * 24;
  const double day = std::floor(hours / 24);
  const double since = hours - 24 * day;
  if (since >= options_.day_hours) return std::nullopt;
  if (uniform({client, kDay, static_cast<uint64_t>(day)}) >= options_.available_share) {
    return std::nullopt;
  }
  return now +
         std::max(VirtualTime(1), virtual_time((options_.day_hours - since) * kSecondsPerHour));
}

const Trace::Interval* Population::interval(uint64_t client, VirtualTime now) const {
  if (!trace_) return nullptr;
  if (options_.trace_reuse) client %= trace_->clients();
  if (options_.trace_end == TraceEnd::kRepeat) now %= trace_->length();
  return trace_->at(client, now);
}

std::optional<VirtualTime> Population::in_trace(uint64_t client, VirtualTime now) const {
  const Trace::Interval* there = interval(client, now);
  if (there == nullptr) return std::nullopt;
  const VirtualTime begun =
      options_.trace_end == TraceEnd::kRepeat ? now - now % trace_->length() : VirtualTime(0);
  const VirtualTime until = trace_->stays_until(*there);
  if (until < trace_->length() || options_.trace_end == TraceEnd::kStop) return begun + until;
  // Who is there at the end and at the beginning stays from one into the other.
  const Trace::Interval* again = trace_->at(there->client, VirtualTime(0));
  return begun + until + (again != nullptr ? trace_->stays_until(*again) : VirtualTime(0));
}

std::optional<std::string> Population::over(VirtualTime now) const {
  if (!trace_ || options_.trace_end == TraceEnd::kRepeat || now < trace_->length()) {
    return std::nullopt;
  }
  return fmt::format("the trace {} ends after {} s", options_.trace, seconds_of(trace_->length()));
}

Rates Population::rates(uint64_t client, VirtualTime now) const {
  const double latency =
      options_.latency_seconds == 0
          ? 0
          : options_.latency_seconds * factor(client, kLatency, options_.latency_spread);
  const Trace::Interval* there = interval(client, now);
  if (there != nullptr && trace_->has_rates()) {
    return {there->speed, there->down_mbits, there->up_mbits, latency};
  }
  const double bandwidth = options_.down_mbits == 0 && options_.up_mbits == 0
                               ? 1
                               : factor(client, kBandwidth, options_.bandwidth_spread);
  return {factor(client, kSpeed, options_.speed_spread), options_.down_mbits * bandwidth,
          options_.up_mbits * bandwidth, latency};
}

VirtualTime Population::duration(uint64_t client, VirtualTime start, const Work& work) const {
  const Rates rates = this->rates(client, start);
  return virtual_time(rates.latency_seconds + transfer_seconds(work.bytes_down, rates.down_mbits) +
                      work.examples * options_.seconds_per_example / rates.speed +
                      transfer_seconds(work.bytes_up, rates.up_mbits));
}

Outcome Population::outcome(uint64_t client, VirtualTime start, const Work& work,
                            std::optional<VirtualTime> deadline, uint64_t draw) const {
  const VirtualTime whole = duration(client, start, work);
  Outcome outcome{Outcome::Kind::kReplied, whole};
  if (options_.dropout > 0 && unit(derive_seed(draw, {kLeaves})) < options_.dropout) {
    const double part = unit(derive_seed(draw, {kLeavesAt}));
    outcome = {Outcome::Kind::kLeft, virtual_time(part * seconds_of(whole))};
  }
  const VirtualTime until = stays_until(client, start).value_or(start);
  if (until == start || until - start < outcome.took) {
    outcome = {Outcome::Kind::kLeft, until - start};
  }
  if (deadline && outcome.took > *deadline) outcome = {Outcome::Kind::kLate, *deadline};
  return outcome;
}

size_t Population::category(uint64_t client, size_t attribute) const {
  const std::vector<double>& shares = options_.attributes[attribute].shares;
  double left = uniform({client, kAttribute, attribute});
  size_t last = 0;
  for (size_t i = 0; i != shares.size(); ++i) {
    if (shares[i] == 0) continue;
    last = i;  // what rounding leaves over is the last one's that has a share
    if (left < shares[i]) break;
    left -= shares[i];
  }
  return last;
}

ConfigRecord Population::settings(uint64_t client) const {
  ConfigRecord settings;
  for (size_t i = 0; i != options_.attributes.size(); ++i) {
    const Attribute& attribute = options_.attributes[i];
    settings.set(attribute.name, attribute.categories[category(client, i)]);
  }
  return settings;
}

}  // namespace umbel

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

bool Population::always_available() const {
  switch (options_.availability) {
    case Availability::kAlways:
      return true;
    case Availability::kProbability:
      return options_.available_share >= 1;
    case Availability::kDaily:
      return options_.available_share >= 1 && options_.day_hours >= 24;
    case Availability::kTrace:
      break;
  }
  return false;
}

bool Population::available(uint64_t client, VirtualTime now) const {
  if (always_available()) return true;
  return trace_ ? interval(client, now) != nullptr : cycle(client).there(now);
}

std::optional<VirtualTime> Population::stays_until(uint64_t client, VirtualTime now,
                                                   VirtualTime horizon) const {
  if (always_available()) return VirtualTime::max();
  if (trace_) return traced_until(client, now, horizon);
  const Cycle cycle = this->cycle(client);
  if (!cycle.there(now)) return std::nullopt;
  return cycle.stays_until(now, horizon);
}

std::optional<VirtualTime> Population::next_arrival(uint64_t client, VirtualTime now,
                                                    VirtualTime horizon) const {
  const auto arrival = always_available() ? now
                       : trace_           ? traced_from(client, now)
                                          : cycle(client).next(now, horizon);
  return arrival && *arrival <= horizon ? arrival : std::nullopt;
}

uint64_t Population::distinct_clients() const {
  return trace_ ? std::min(clients_, trace_->clients()) : clients_;
}

Cycle Population::cycle(uint64_t client) const {
  return options_.availability == Availability::kDaily ? days(client) : sessions(client);
}

// Sessions begin at a phase of the client's own, so that not everybody leaves at once.
Cycle Population::sessions(uint64_t client) const {
  const VirtualTime length = virtual_time(options_.session_hours * kSecondsPerHour);
  const VirtualTime phase = virtual_time(uniform({client, kPhase}) * seconds_of(length));
  return {length, length, phase, options_.available_share, seed_, client, kSession};
}

Cycle Population::days(uint64_t client) const {
  const std::vector<double>& zones = options_.time_zones;
  double zone = zones[0];
  if (zones.size() > 1) {
    const double place = uniform({client, kZone}) * static_cast<double>(zones.size());
    zone = zones[std::min(static_cast<size_t>(place), zones.size() - 1)];
  }
  double jitter = options_.day_jitter_hours;
  if (jitter != 0) jitter *= 2 * uniform({client, kJitter}) - 1;
  // Since the window opened, on a day some days before the first: never negative.
  const double hours = options_.start_hour + zone - options_.day_from - jitter + 4 * 24;
  return {std::chrono::hours(24),
          virtual_time(options_.day_hours * kSecondsPerHour),
          virtual_time(hours * kSecondsPerHour),
          options_.available_share,
          seed_,
          client,
          kDay};
}

const Trace::Interval* Population::interval(uint64_t client, VirtualTime now) const {
  if (!trace_) return nullptr;
  if (options_.trace_reuse) client %= trace_->clients();
  if (options_.trace_end == TraceEnd::kRepeat) now %= trace_->length();
  return trace_->at(client, now);
}

std::optional<VirtualTime> Population::traced_until(uint64_t client, VirtualTime now,
                                                    VirtualTime horizon) const {
  const Trace::Interval* there = interval(client, now);
  if (there == nullptr) return std::nullopt;
  const bool repeats = options_.trace_end == TraceEnd::kRepeat;
  const VirtualTime begun = repeats ? now - now % trace_->length() : VirtualTime(0);
  const VirtualTime until = trace_->stays_until(*there, horizon - begun);
  if (!repeats) return until;
  if (until < trace_->length()) return begun + until;
  // Who is there at the end and at the beginning stays from one into the other.
  const Trace::Interval* again = trace_->at(there->client, VirtualTime(0));
  if (again == nullptr) return begun + until;
  const VirtualTime next = trace_->stays_until(*again, horizon - begun - until);
  return next == trace_->length() ? VirtualTime::max() : begun + until + next;
}

std::optional<VirtualTime> Population::traced_from(uint64_t client, VirtualTime now) const {
  if (options_.trace_reuse) client %= trace_->clients();
  VirtualTime begun(0);
  if (options_.trace_end == TraceEnd::kRepeat) begun = now - now % trace_->length();
  const Trace::Interval* next = trace_->next(client, now - begun);
  if (next == nullptr && options_.trace_end == TraceEnd::kRepeat) {
    begun += trace_->length();
    next = trace_->next(client, VirtualTime(0));
  }
  if (next == nullptr) return std::nullopt;
  return std::max(now, begun + next->start);
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
  const VirtualTime horizon = start + std::min(outcome.took, deadline.value_or(outcome.took));
  const VirtualTime until = stays_until(client, start, horizon).value_or(start);
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

#include "umbel/simulation/phase_clock.h"

#include "umbel/app/context.h"
#include "umbel/base/rng.h"

namespace umbel {

namespace {

// A metric as a number that is not negative; nothing if it is not there or no such number.
std::optional<double> count_in(const MetricRecord& metrics, std::string_view name) {
  const MetricValue* value = metrics.find(name);
  if (value == nullptr) return std::nullopt;
  double count = -1;
  if (const auto* integer = std::get_if<int64_t>(&value->base())) {
    count = static_cast<double>(*integer);
  } else if (const auto* real = std::get_if<double>(&value->base())) {
    count = *real;
  }
  return count >= 0 ? std::optional(count) : std::nullopt;
}

double examples_of(const Message& reply) {
  const MetricRecord* metrics =
      reply.has_error() ? nullptr : first_of<MetricRecord>(reply.content());
  if (metrics == nullptr) return 0;
  return count_in(*metrics, "num-examples").value_or(0) * count_in(*metrics, "epochs").value_or(1);
}

}  // namespace

PhaseClock::PhaseClock(const Population& population, VirtualTime start, Deadline deadline,
                       uint64_t bytes_down, uint64_t run_seed)
    : population_(population), start_(start), bytes_down_(bytes_down), run_seed_(run_seed) {
  if (deadline) deadline_ = virtual_time(deadline->count());
}

Outcome PhaseClock::outcome(const Metadata& message, const Work& work) const {
  const uint64_t draw = derive_seed(client_seed(run_seed_, message), "virtual");
  return population_.outcome(message.destination.value(), start_, work, deadline_, draw);
}

std::optional<MessageError> PhaseClock::lost_on_the_way(const Metadata& message) {
  const uint64_t client = message.destination.value();
  const VirtualTime way = population_.duration(client, start_, {.bytes_down = bytes_down_});
  const VirtualTime until = population_.stays_until(client, start_, start_ + way).value_or(start_);
  const bool gone = until == start_ || until - start_ < way;
  if (!gone && (!deadline_ || way <= *deadline_)) return std::nullopt;
  return settle(outcome(message, {.bytes_down = bytes_down_}));
}

std::optional<MessageError> PhaseClock::judge(const Metadata& message, const Message& reply) {
  const uint64_t bytes_up = reply.has_error() ? 0 : reply.content().byte_size();
  return settle(outcome(message, {bytes_down_, examples_of(reply), bytes_up}));
}

std::optional<MessageError> PhaseClock::settle(const Outcome& outcome) {
  const int64_t took = outcome.took.count();
  int64_t most = took_->load();
  while (most < took && !took_->compare_exchange_weak(most, took)) {
  }
  switch (outcome.kind) {
    case Outcome::Kind::kReplied:
      return std::nullopt;
    case Outcome::Kind::kLate:
      return MessageError{
          MessageError::Code::kDeadline,
          fmt::format("no reply within {} s of virtual time", seconds_of(outcome.took))};
    case Outcome::Kind::kLeft:
      break;
  }
  return MessageError{
      MessageError::Code::kLeft,
      outcome.took == VirtualTime::zero()
          ? std::string("was not there")
          : fmt::format("left after {:.3f} s of virtual time", seconds_of(outcome.took))};
}

}  // namespace umbel

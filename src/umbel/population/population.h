#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "umbel/population/cycle.h"
#include "umbel/population/population_options.h"
#include "umbel/population/trace.h"
#include "umbel/population/virtual_time.h"
#include "umbel/record/record.h"

namespace umbel {

// How a client works and is connected, at one moment.
struct Rates {
  double speed = 1;       // of its work
  double down_mbits = 0;  // 0: a transfer takes no time
  double up_mbits = 0;
  double latency_seconds = 0;
};

// What one message asks of a client.
struct Work {
  uint64_t bytes_down = 0;
  double examples = 0;
  uint64_t bytes_up = 0;
};

// What came of it, and when, from the moment at which the message was sent.
struct Outcome {
  enum class Kind : uint8_t { kReplied, kLate, kLeft };
  Kind kind = Kind::kReplied;
  VirtualTime took{};  // until the reply, the deadline, or the moment when the client left
};

// Clients that resemble the world's: each one's properties are functions of the seed and its
// number, and of the time; nothing is stored for any of them, so a population of any size costs
// what its trace does.  Any threads.
class Population final : public Traits {
 public:
  // Reads the trace if there is one.  The errors of PopulationOptions::validate() and
  // Trace::read().
  static Result<Population> make(PopulationOptions options, uint64_t clients, uint64_t seed);

  uint64_t clients() const { return clients_; }
  const PopulationOptions& options() const { return options_; }

  // Whether every client is there at any time.
  bool always_available() const;
  // Whether a client is there: the cheapest of the three questions.
  bool available(uint64_t client, VirtualTime now) const;
  // Until when a client that is there at `now` stays; nothing if it is not there,
  // VirtualTime::max() if it never leaves.  An end after `horizon` is not looked for: what is
  // returned then is after the horizon, too.
  std::optional<VirtualTime> stays_until(uint64_t client, VirtualTime now,
                                         VirtualTime horizon = kVirtualTimeMax) const;
  // The first time from `now` to `horizon`, both included, at which the client is there; nothing if
  // it does not come.
  std::optional<VirtualTime> next_arrival(uint64_t client, VirtualTime now,
                                          VirtualTime horizon = kVirtualTimeMax) const;
  // The clients below this number come and go as all do: with a trace, as many as it has.
  uint64_t distinct_clients() const;
  Rates rates(uint64_t client, VirtualTime now) const;
  // latency + bytes down / bandwidth + examples * seconds_per_example / speed + bytes up /
  // bandwidth, at the rates of the moment at which it begins.
  VirtualTime duration(uint64_t client, VirtualTime start, const Work& work) const;
  // What becomes of a message that is sent at `start`; `draw` is the seed of this message alone.
  Outcome outcome(uint64_t client, VirtualTime start, const Work& work,
                  std::optional<VirtualTime> deadline, uint64_t draw) const;
  // Why nobody is there from `now` on: a trace that is over and does not repeat.
  std::optional<std::string> over(VirtualTime now) const;

  std::span<const Attribute> attributes() const override { return options_.attributes; }
  size_t category(uint64_t client, size_t attribute) const override;
  // The client's categories as entries of its node_config(): gender = "women".
  ConfigRecord settings(uint64_t client) const;

 private:
  Population(PopulationOptions options, uint64_t clients, uint64_t seed)
      : options_(std::move(options)), clients_(clients), seed_(seed) {}
  double uniform(std::initializer_list<uint64_t> path) const;
  double factor(uint64_t client, uint64_t purpose, double spread) const;
  Cycle sessions(uint64_t client) const;
  Cycle days(uint64_t client) const;
  Cycle cycle(uint64_t client) const;
  std::optional<VirtualTime> traced_until(uint64_t client, VirtualTime now,
                                          VirtualTime horizon) const;
  std::optional<VirtualTime> traced_from(uint64_t client, VirtualTime now) const;
  const Trace::Interval* interval(uint64_t client, VirtualTime now) const;

  PopulationOptions options_;
  uint64_t clients_;
  uint64_t seed_;
  std::shared_ptr<const Trace> trace_;
};

}  // namespace umbel

#include "bench/engine.h"
#include "bench/measure.h"
#include "bench/workloads.h"
#include "umbel/app/silent_runtime.h"
#include "umbel/simulation/simulation.h"

namespace umbel::bench {

namespace {

constexpr uint64_t kPool = 10'000;
constexpr size_t kClients = 100;

// Clients as phones are, by day and by night.
PopulationOptions phones() {
  return {.availability = Availability::kProbability,
          .available_share = 0.2,
          .speed_spread = 0.5,
          .down_mbits = 20,
          .up_mbits = 5,
          .bandwidth_spread = 0.8,
          .latency_seconds = 0.3,
          .seconds_per_example = 0.02,
          .dropout = 0.05,
          .attributes = {{"gender", {"men", "women"}, {0.97, 0.03}}}};
}

// Seconds of a round whose clients send back what they got: all of it is overhead.
double round_seconds(const ArrayRecord& initial, uint64_t rounds, bool population) {
  ClientApp app;
  app.train([](const Message& message, Context&) {
    return message.reply(message.arrays(), {{"num-examples", 60}});
  });
  SilentRuntime silent;
  const Run run{.id = RunId(1), .seed = 1, .nodes = kPool, .runtime = &silent};
  SimulationOptions options;
  Strategy strategy = fed_avg({.clients_train = kClients});
  if (population) {
    options.population = or_throw(Population::make(phones(), kPool, run.seed));
    strategy.train = Sampler::quota("gender", {{"men", 50}, {"women", 50}});
  }
  Simulation simulation(app, run, std::move(options));
  const Context context(run);
  const double seconds = time_of(
      [&] { (void)run_rounds(simulation, context, strategy, initial, {.rounds = rounds}); });
  return seconds / static_cast<double>(rounds);
}

}  // namespace

void bench_research(Size size) {
  const uint64_t rounds = size.smoke ? 2 : 50;
  for (const Workload& work : workloads()) {
    const Pairs time = in_turn(
        size.pairs, [&] { return round_seconds(work.initial, rounds, true); },
        [&] { return round_seconds(work.initial, rounds, false); });
    print({.id = "research",
           .what = fmt::format("overhead of a round, 100 of 10,000 clients, {}", work.name),
           .ours = time.b.median * 1e3,
           .unit = "ms"});
    print({.id = "research",
           .what = fmt::format("the same with a population and quotas, {}", work.name),
           .ours = time.a.median * 1e3,
           .unit = "ms",
           .peer = "without",
           .peer_value = time.b.median * 1e3,
           .ratio = time.b_over_a,
           .runs = time.pairs});
  }
}

}  // namespace umbel::bench

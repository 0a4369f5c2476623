#include <algorithm>
#include <atomic>
#include <thread>

#include "bench/engine.h"
#include "bench/measure.h"
#include "bench/workloads.h"
#include "umbel/app/silent_runtime.h"
#include "umbel/simulation/simulation.h"

namespace umbel::bench {

double run_engine(const ClientApp& app, const ArrayRecord& initial, uint64_t population,
                  size_t clients, uint64_t rounds, size_t threads) {
  SilentRuntime silent;
  Run run{.id = RunId(1), .seed = 1, .nodes = population, .runtime = &silent};
  Simulation simulation(app, run, {.threads = threads});
  const Context context(run);
  const auto start = std::chrono::steady_clock::now();
  (void)run_rounds(simulation, context, fed_avg({.clients_train = clients}), initial,
                   {.rounds = rounds});
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

namespace {

constexpr uint64_t kPopulation = 100'000;
constexpr size_t kClients = 1000;

// The training alone: threads that take the next client until none is left, and nothing else.
double run_bare(const Workload& work, size_t clients, uint64_t rounds, size_t threads) {
  return time_of([&] {
    for (uint64_t round = 0; round != rounds; ++round) {
      std::atomic<size_t> next{0};
      std::vector<std::jthread> team;
      for (size_t t = 0; t != threads; ++t) {
        team.emplace_back([&] {
          const DenormalMode fast(DenormalMode::kFlush);
          for (size_t i = next++; i < clients; i = next++) {
            const ArrayRecord update = work.train(work.initial, i);
            if (update.empty()) std::abort();
          }
        });
      }
    }
  });
}

ClientApp training_app(const Workload& work) {
  ClientApp app;
  app.train([&work](const Message& message, Context& context) {
    return message.reply(work.train(message.arrays(), context.partition_id()),
                         {{"num-examples", 60}, {"loss", 0.5}});
  });
  return app;
}

void bench_no_op(Size size, size_t threads) {
  const ArrayRecord update = workloads()[0].initial;
  ClientApp app;
  app.train([&update](const Message& message, Context&) {
    return message.reply(update, {{"num-examples", 60}, {"loss", 0.5}});
  });
  const uint64_t rounds = size.smoke ? 2 : 50;
  std::vector<double> micros;
  for (size_t run = 0; run != size.pairs; ++run) {
    const double seconds = run_engine(app, update, kPopulation, kClients, rounds, threads);
    micros.push_back(seconds * static_cast<double>(threads) * 1e6 /
                     static_cast<double>(rounds * kClients));
  }
  print({.id = "S0",
         .what = fmt::format("engine alone, a 7,850-float update, {} thread(s)", threads),
         .ours = spread_of(micros).median,
         .unit = "us of a thread per client",
         .runs = size.pairs});
}

void bench_share(const Workload& work, Size size, size_t threads, size_t rounds) {
  const ClientApp app = training_app(work);
  const size_t clients = size.smoke ? 20 : kClients;
  const double total = static_cast<double>(clients * rounds);
  const Pairs pairs = in_turn(
      size.pairs,
      [&] { return run_engine(app, work.initial, kPopulation, clients, rounds, threads); },
      [&] { return run_bare(work, clients, rounds, threads); });
  print({.id = "S0",
         .what = fmt::format("{}, {} thread(s)", work.name, threads),
         .ours = total / pairs.a.median,
         .unit = "clients/s",
         .peer = "the same training with no engine",
         .peer_value = total / pairs.b.median,
         .ratio = pairs.b_over_a,
         .runs = pairs.pairs});
}

void bench_threads(const Workload& work, Size size, size_t rounds) {
  const ClientApp app = training_app(work);
  const size_t clients = size.smoke ? 20 : kClients;
  const Pairs pairs = in_turn(
      size.pairs, [&] { return run_engine(app, work.initial, kPopulation, clients, rounds, 2); },
      [&] { return run_engine(app, work.initial, kPopulation, clients, rounds, 1); });
  // What two threads of the bare loop gain is all that there is to gain.
  const Pairs bare = in_turn(
      size.pairs, [&] { return run_bare(work, clients, rounds, 2); },
      [&] { return run_bare(work, clients, rounds, 1); });
  print({.id = "S6",
         .what = fmt::format("{}: two threads against one", work.name),
         .ours = pairs.b_over_a.median,
         .unit = "times as fast",
         .peer = "one thread",
         .peer_value = 1,
         .ratio = pairs.b_over_a,
         .floor = bare.b_over_a.median,
         .runs = pairs.pairs,
         .higher_is_better = true});
}

}  // namespace

void bench_overhead(Size size) {
  const size_t most = std::min<size_t>(available_processors(), 2);
  for (size_t threads = 1; threads <= most; ++threads) bench_no_op(size, threads);
  const std::vector<Workload> all = workloads();
  for (const Workload& work : all) {
    const bool large = &work != &all.front();
    const size_t rounds = size.smoke || large ? 1 : 5;
    for (size_t threads = 1; threads <= most; ++threads) bench_share(work, size, threads, rounds);
    if (most == 2) bench_threads(work, size, rounds);
  }
}

}  // namespace umbel::bench

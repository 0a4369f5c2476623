#include "bench/engine.h"
#include "bench/measure.h"
#include "bench/workloads.h"

namespace umbel::bench {

namespace {

constexpr size_t kClients = 1000;
constexpr double kMega = 1 << 20;

ClientApp softmax_app(const Workload& work) {
  ClientApp app;
  app.train([&work](const Message& message, Context& context) {
    return message.reply(work.train(message.arrays(), context.partition_id()),
                         {{"num-examples", 60}});
  });
  return app;
}

}  // namespace

void bench_memory(uint64_t population) {
  const Workload work = workloads()[0];
  (void)run_engine(softmax_app(work), work.initial, population, kClients, 5,
                   available_processors());
  print({.id = "S5",
         .what = fmt::format("greatest resident memory, {} clients", population),
         .ours = static_cast<double>(resident_bytes_most()) / kMega,
         .unit = "MiB"});
}

void bench_population(Size size) {
  const size_t threads = available_processors();
  const Workload work = workloads()[0];
  const ClientApp app = softmax_app(work);
  const uint64_t rounds = size.smoke ? 1 : 5;
  const uint64_t small = 10'000;
  const uint64_t large = 100'000'000;
  const Pairs time = in_turn(
      size.pairs, [&] { return run_engine(app, work.initial, large, kClients, rounds, threads); },
      [&] { return run_engine(app, work.initial, small, kClients, rounds, threads); });
  print({.id = "S5",
         .what = "time of a round, 10^8 clients, 1,000 a round",
         .ours = time.a.median / static_cast<double>(rounds) * 1e3,
         .unit = "ms",
         .peer = "10^4 clients",
         .peer_value = time.b.median / static_cast<double>(rounds) * 1e3,
         .ratio = time.b_over_a,
         .runs = time.pairs});
  const double seconds = run_engine(app, work.initial, 15'000'000, kClients, 10, threads);
  print({.id = "S5",
         .what = fmt::format("15 million clients, 1,000 a round, ten rounds, {} threads", threads),
         .ours = seconds,
         .unit = "s"});
  print({.id = "S5",
         .what = "the same: greatest resident memory of this process",
         .ours = static_cast<double>(resident_bytes_most()) / kMega,
         .unit = "MiB"});

  std::vector<double> micros;
  const Sampler sampler = Sampler::count(kClients);
  for (uint64_t seed = 0; seed != 101; ++seed) {
    micros.push_back(time_of([&] { (void)or_throw(sampler.sample(large, seed)); }) * 1e6);
  }
  print({.id = "S5",
         .what = "sampling 1,000 of 10^8 clients",
         .ours = spread_of(micros).median,
         .unit = "us",
         .runs = micros.size()});
}

}  // namespace umbel::bench

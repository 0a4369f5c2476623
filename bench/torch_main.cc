#include <malloc.h>
#include <torch/torch.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <thread>

#include "bench/measure.h"
#include "templates/cpp-torch/cnn.h"
#include "umbel/app/silent_runtime.h"
#include "umbel/simulation/simulation.h"
#include "umbel/torch.h"
#include "umbel/umbel.h"

// bench_torch [--smoke]
// bench_torch memory CLIENTS
namespace umbel::bench {

namespace {

constexpr int64_t kImages = 10'000, kExamples = 60, kBatch = 20;
constexpr double kRate = 0.05;
constexpr double kMega = 1 << 20;

// Wall time, or this process's processor time, which other work on the machine hardly changes.
double seconds_of(clockid_t clock, const std::function<void()>& body) {
  const auto now = [clock] {
    timespec time{};
    ::clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  };
  const double start = now();
  body();
  return now() - start;
}

// Noise in Fashion-MNIST's shape: what the pixels are makes no difference to the time.
struct Images {
  at::Tensor pixels = at::randint(256, {kImages, 28, 28}, at::kByte);
  at::Tensor labels = at::randint(10, {kImages}, at::kLong);
};
const Images& images() {
  static const Images made;
  return made;
}

// One client's epoch, the same code with and without the simulation around it.
void train(Cnn& model) {
  ::torch::optim::SGD optimizer(model.parameters(), kRate);
  for (const auto& batch : at::randint(kImages, {kExamples}, at::kLong).split(kBatch)) {
    optimizer.zero_grad();
    const at::Tensor logits = model.forward(images().pixels.index_select(0, batch));
    auto loss = at::cross_entropy_loss(logits, images().labels.index_select(0, batch));
    loss.backward();
    optimizer.step();
  }
}

ClientApp training_app() {
  ClientApp app;
  app.mod(torch::isolate).train([](const Message& message, Context&) {
    Cnn model;
    torch::load(message.arrays(), model);
    train(model);
    return message.reply(torch::arrays(model), {{"num-examples", kExamples}});
  });
  return app;
}

double run_engine(const ClientApp& app, const ArrayRecord& initial, uint64_t population,
                  size_t clients, size_t threads, clockid_t clock = CLOCK_MONOTONIC) {
  SilentRuntime silent;
  Run run{.id = RunId(1), .seed = 1, .nodes = population, .runtime = &silent};
  Simulation simulation(app, run, {.threads = threads});
  const Context context(run);
  return seconds_of(clock, [&] {
    (void)run_rounds(simulation, context, fed_avg({.clients_train = clients}), initial,
                     {.rounds = 1});
  });
}

// The training alone: threads that take the next client until none is left.  Each has a model that
// is set back to the global one by torch's own means, and what it learnt is dropped.
double run_bare(const Cnn& global, size_t clients, size_t threads, clockid_t clock) {
  return seconds_of(clock, [&] {
    std::atomic<size_t> next{0};
    std::vector<std::jthread> team;
    for (size_t t = 0; t != threads; ++t) {
      team.emplace_back([&] {
        const DenormalMode fast(DenormalMode::kFlush);
        const torch::Isolated here(t);
        Cnn model;
        for (size_t i = next++; i < clients; i = next++) {
          {
            const at::NoGradGuard no_grad;
            const auto from = global.parameters();
            auto to = model.parameters();
            for (size_t p = 0; p != from.size(); ++p) to[p].copy_(from[p]);
          }
          train(model);
        }
      });
    }
  });
}

void bench_share(size_t pairs, size_t clients, size_t threads, clockid_t clock) {
  const torch::Isolated here(1);
  const Cnn global;
  const ClientApp app = training_app();
  const ArrayRecord initial = torch::arrays(global);
  const Pairs times = in_turn(
      pairs, [&] { return run_engine(app, initial, 100'000, clients, threads, clock); },
      [&] { return run_bare(global, clients, threads, clock); });
  print({.id = "T1",
         .what = fmt::format("LibTorch CNN, 11,274 parameters, {} thread(s)", threads),
         .ours = static_cast<double>(clients) / times.a.median,
         .unit = clock == CLOCK_MONOTONIC ? "clients/s" : "clients/s of processor time",
         .peer = "the same training with no engine",
         .peer_value = static_cast<double>(clients) / times.b.median,
         .ratio = times.b_over_a,
         .runs = times.pairs});
}

void bench_threads(size_t pairs, size_t clients) {
  const torch::Isolated here(1);
  const ArrayRecord initial = torch::arrays(Cnn());
  const ClientApp app = training_app();
  const Pairs times = in_turn(
      pairs, [&] { return run_engine(app, initial, 100'000, clients, 2); },
      [&] { return run_engine(app, initial, 100'000, clients, 1); });
  print({.id = "T1",
         .what = "LibTorch CNN: two threads against one",
         .ours = times.b_over_a.median,
         .unit = "times as fast",
         .peer = "one thread",
         .peer_value = 1,
         .ratio = times.b_over_a,
         .runs = times.pairs,
         .higher_is_better = true});
}

void bench_memory(uint64_t population) {
  const torch::Isolated here(1);
  (void)run_engine(training_app(), torch::arrays(Cnn()), population, 200, available_processors());
  print({.id = "T1",
         .what = fmt::format("greatest resident memory, {} clients with LibTorch", population),
         .ours = static_cast<double>(resident_bytes_most()) / kMega,
         .unit = "MiB"});
}

}  // namespace

}  // namespace umbel::bench

int main(int argc, char** argv) {
  using namespace umbel::bench;
  // As an app's own main function does.
  ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 512 << 20);
  if (argc == 3 && std::strcmp(argv[1], "memory") == 0) {
    bench_memory(std::strtoull(argv[2], nullptr, 10));
    return 0;
  }
  const bool smoke = argc == 2 && std::strcmp(argv[1], "--smoke") == 0;
  if (argc > 1 && !smoke) {
    std::fprintf(stderr, "usage: bench_torch [--smoke], or memory CLIENTS\n");
    return 4;
  }
  const size_t pairs = smoke ? 1 : 9, clients = smoke ? 4 : 100;
  const size_t most = std::min<size_t>(umbel::available_processors(), 2);
  for (size_t threads = 1; threads <= most; ++threads) {
    for (const clockid_t clock : {CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID}) {
      bench_share(pairs, clients, threads, clock);
    }
  }
  if (most == 2) bench_threads(pairs, clients);
}

// The work of bench_work.py as a C++ app, in a simulation of this process.
//
//   bench_side_by_side TASK     TASK: JSON, as bench/side_by_side.py writes it
//   bench_side_by_side '{"work": "floor"}'
//
// The latter says what the processors allow: multiplications and additions a second in float32, and
// updates of 7,850 floats a second that a bare loop adds to a sum in double precision.
// The first prints, as every side does, a line RESULT {"seconds": of a round after the warm-up,
// "accuracy": ...}. With "cohorts" a file of that name gets the clients of each round, a list a
// line, so that other sides can train the same ones.
#include <fmt/core.h>
#include <malloc.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "bench/measure.h"
#include "templates/cpp/mlp.h"
#include "umbel/app/silent_runtime.h"
#include "umbel/record/npy.h"
#include "umbel/simulation/simulation.h"
#include "umbel/umbel.h"

namespace umbel::bench {

namespace {

constexpr size_t kExamples = 50;
constexpr size_t kBatch = 10;
constexpr size_t kClients = 1200;

struct Task {
  std::string work, data, cohorts;
  uint64_t pool, rounds, warm_up, seed;
  size_t cohort, threads;
  float rate;
  bool announce;

  explicit Task(const nlohmann::json& json)
      : work(json.at("work")),
        data(json.at("data")),
        cohorts(json.value("cohorts", "")),
        pool(json.at("pool")),
        rounds(json.at("rounds")),
        warm_up(json.at("warm_up")),
        seed(json.value("seed", 1)),
        cohort(json.at("cohort")),
        threads(json.at("threads")),
        rate(json.value("rate", 0.01f)),
        announce(json.value("announce", false)) {}
};

Array read(const Task& task, const std::string& name) {
  return or_throw(read_npy(task.data + "/" + name + ".npy"));
}

data::Dataset images(const Task& task, const std::string& part) {
  return {.features = read(task, part + "-u8"), .labels = read(task, part + "-y"), .classes = 10};
}

ArrayRecord initial(const Task& task) {
  const int layers = task.work == "perceptron" ? 3 : 1;
  ArrayRecord arrays;
  for (int layer = 0; layer != layers; ++layer) {
    arrays.set(fmt::format("fc{}.weight", layer + 1),
               read(task, fmt::format("initial-{}-{}", task.work, 2 * layer)));
    arrays.set(fmt::format("fc{}.bias", layer + 1),
               read(task, fmt::format("initial-{}-{}", task.work, 2 * layer + 1)));
  }
  return arrays;
}

// The clients that trained, by round.
class Cohorts {
 public:
  void add(int64_t round, uint64_t client) {
    const std::lock_guard lock(mutex_);
    clients_[round].push_back(client);
  }
  void write(const std::string& path) {
    std::ofstream file(path);
    for (auto& [round, clients] : clients_) {
      std::sort(clients.begin(), clients.end());
      file << nlohmann::json(clients).dump() << '\n';
    }
  }

 private:
  std::mutex mutex_;
  std::map<int64_t, std::vector<uint64_t>> clients_;
};

ClientApp training_app(const Task& task, const data::Dataset& train, Cohorts* cohorts) {
  ClientApp app;
  app.train([&task, &train, cohorts](const Message& message, Context& context) {
    if (cohorts != nullptr) cohorts->add(message.config().integer("round"), context.partition_id());
    if (task.work == "noop")
      return message.reply(message.arrays(), {{"num-examples", kExamples}, {"loss", 0.5}});
    std::array<uint32_t, kExamples> examples;
    for (size_t i = 0; i != kExamples; ++i)
      examples[i] = static_cast<uint32_t>(context.partition_id() % kClients * kExamples + i);
    Mlp model(message.arrays());
    double loss = 0;
    for (size_t first = 0; first != kExamples; first += kBatch)
      loss += model.train(train, std::span(examples).subspan(first, kBatch), task.rate);
    return message.reply(std::move(model).arrays(),
                         {{"num-examples", kExamples}, {"loss", loss * kBatch / kExamples}});
  });
  return app;
}

double accuracy(const Task& task, const ArrayRecord& arrays) {
  const data::Dataset test = images(task, "test");
  std::vector<uint32_t> all(static_cast<size_t>(test.size()));
  for (size_t i = 0; i != all.size(); ++i) all[i] = static_cast<uint32_t>(i);
  return static_cast<double>(Mlp(arrays).evaluate(test, all).correct) /
         static_cast<double>(all.size());
}

// A line that the driver reads at once.
void say(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

void run(const Task& task) {
  const data::Dataset train = images(task, "train");
  Cohorts cohorts;
  const ClientApp app = training_app(task, train, task.cohorts.empty() ? nullptr : &cohorts);
  SilentRuntime silent;
  Run run{.id = RunId(1), .seed = task.seed, .nodes = task.pool, .runtime = &silent};
  Simulation simulation(app, run, {.threads = task.threads});
  using Clock = std::chrono::steady_clock;
  std::vector<Clock::time_point> ends = {Clock::now()};
  const RoundsResult result = run_rounds(
      simulation, Context(run), fed_avg({.clients_train = task.cohort}), initial(task),
      {.rounds = task.warm_up + task.rounds, .evaluate = [&](uint64_t, const ArrayRecord& arrays) {
         ends.push_back(Clock::now());
         if (ends.size() == task.warm_up + 1) say("WARM");
         if (task.announce) {
           say(fmt::format("ACCURACY {}", accuracy(task, arrays)));
         }
         return MetricRecord();
       }});
  const double seconds = std::chrono::duration<double>(ends.back() - ends[task.warm_up]).count();
  nlohmann::json report = {{"seconds", seconds / static_cast<double>(task.rounds)}};
  if (task.work != "noop") report["accuracy"] = accuracy(task, result.arrays);
  if (!task.cohorts.empty()) cohorts.write(task.cohorts);
  fmt::print("RESULT {}\n", report.dump());
}

// How often all processors together do `step` in a second, best of some tries.
template <typename Step>
double each_second(size_t times, const Step& step) {
  const size_t threads = std::min<size_t>(available_processors(), 2);
  double best = 0;
  for (int attempt = 0; attempt != 5; ++attempt) {
    const double seconds = time_of([&] {
      std::vector<std::jthread> team;
      for (size_t t = 0; t != threads; ++t) team.emplace_back([&] { step(times); });
    });
    best = std::max(best, static_cast<double>(times * threads) / seconds);
  }
  return best;
}

// Sixteen vectors of sixteen floats: enough independent sums for every unit of a processor.
void multiply_and_add(size_t times) {
  using Vector [[gnu::vector_size(64)]] = float;
  Vector sums[16] = {};
  const Vector x = {1, 2, 3, 4, 5, 6, 7, 8}, y = {0.5f, 0.25f, 0.125f};
  for (size_t i = 0; i != times; ++i) {
    for (Vector& sum : sums) {
      asm volatile("" : "+v"(sum));  // so that the loop stays one
      sum = x * y + sum;
    }
  }
}

void add_updates(size_t times) {
  constexpr size_t kFloats = 7850;
  std::vector<float> update(kFloats, 0.5f);
  std::vector<double> sum(kFloats);
  for (size_t i = 0; i != times; ++i) {
    for (size_t j = 0; j != kFloats; ++j) sum[j] += 50.0 * static_cast<double>(update[j]);
    asm volatile("" : : "r"(sum.data()) : "memory");
  }
}

void print_floor() {
  const double flops = each_second(2'000'000, multiply_and_add) * 16 * 16 * 2;
  const double updates = each_second(20'000, add_updates);
  fmt::print("RESULT {}\n", nlohmann::json({{"flops", flops}, {"updates", updates}}).dump());
}

}  // namespace

}  // namespace umbel::bench

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: bench_side_by_side TASK\n");
    return 4;
  }
  // As an app's own main function does.
  ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 512 << 20);
  const auto task = nlohmann::json::parse(argv[1]);
  if (task.at("work") == "floor") {
    umbel::bench::print_floor();
  } else {
    umbel::bench::run(umbel::bench::Task(task));
  }
}

// What a message costs that goes to a worker and back with as many floats, beside the same one in
// this process: `runner_overhead [FLOATS [MESSAGES [WORKERS]]]`.  Processor time is of all
// processes.
#include <fmt/core.h>
#include <sys/resource.h>

#include <chrono>
#include <thread>

#include "umbel/app/silent_runtime.h"
#include "umbel/base/error.h"
#include "umbel/runner/process_clients.h"
#include "umbel/runner/test_worker/app_test.h"

namespace umbel::runner {
namespace {

double processor_seconds(int who) {
  rusage usage{};
  ::getrusage(who, &usage);
  const auto seconds = [](timeval t) { return double(t.tv_sec) + double(t.tv_usec) / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Cost {
  double wall, processor;  // microseconds of a message
};

Cost measure(std::unique_ptr<ClientHandler> clients, const Run& run, size_t floats,
             uint64_t messages, size_t threads) {
  const auto content =
      make_content({{"w", Array::zeros(DType::kFloat32, {static_cast<int64_t>(floats)})}}, {});
  const auto send = [&](uint64_t from, uint64_t until) {
    for (uint64_t i = from; i != until; ++i) {
      const Message message({.run = run.id,
                             .id = MessageId(i + 1),
                             .destination = NodeId(i % 1000),
                             .type = "train.echo",
                             .round = 1},
                            content);
      Context context(run, message.metadata().destination, 1);
      const Message reply = clients->handle(message, context);
      if (reply.has_error()) throw Error(unavailable("{}", reply.error().reason));
    }
  };
  const auto send_all = [&](uint64_t from, uint64_t count) {
    std::vector<std::jthread> lanes;
    for (size_t lane = 0; lane != threads; ++lane) {
      const uint64_t begin = from + lane * count;
      lanes.emplace_back([&send, begin, count] { send(begin, begin + count); });
    }
  };
  const uint64_t each = messages / threads;
  send_all(0, each / 10 + 1);
  const double children = processor_seconds(RUSAGE_CHILDREN);
  const double own = processor_seconds(RUSAGE_SELF);
  const auto start = std::chrono::steady_clock::now();
  send_all(messages * 2, each);
  const double wall =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const double used = processor_seconds(RUSAGE_SELF) - own;
  clients.reset();  // the workers' time is known once they have ended; the first tenth included
  const double theirs = (processor_seconds(RUSAGE_CHILDREN) - children) / 1.1;
  const double count = static_cast<double>(each * threads);
  return {wall / count * 1e6, (used + theirs) / count * 1e6};
}

int run_overhead(size_t floats, uint64_t messages, size_t workers) {
  SilentRuntime silent;
  Run run{.id = RunId(1), .nodes = 1000, .runtime = &silent};
  const Cost here =
      measure(std::make_unique<ClientApp>(test_client()), run, floats, messages, workers);
  const Cost there = measure(std::make_unique<ProcessClients>(
                                 exec_workers({.arguments = {RUNNER_TEST_WORKER}}), run, workers),
                             run, floats, messages, workers);
  fmt::print(
      "floats={} workers={} here: wall {:.2f} us, processor {:.2f} us; in workers: wall "
      "{:.2f} us, processor {:.2f} us\n",
      floats, workers, here.wall, here.processor, there.wall, there.processor);
  return 0;
}

}  // namespace
}  // namespace umbel::runner

int main(int argc, char** argv) {
  const auto number = [&](int i, size_t usual) {
    return argc > i ? static_cast<size_t>(std::atoll(argv[i])) : usual;
  };
  return umbel::runner::run_overhead(number(1, 7850), number(2, 20'000), number(3, 1));
}

// The app of the deployment's tests.  Clients move the model by draws of their own, or by what
// their node's CSV file says (node config "data").  In the round "hold-round" a client whose node
// has a "gate", a folder, leaves a file there and waits until the file "open" is there too: so that
// a test can do in mid-round what it wants to.  Some clients, and the ServerApp, misbehave as they
// are told.
#include <signal.h>
#include <unistd.h>

#include <umbel/umbel.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <stdexcept>
#include <string>

namespace {

namespace fs = std::filesystem;

constexpr int kChildren = 50;

// Waits on nothing for a moment: `over` is asked a hundred times a second.
template <class Over>
void wait_until(const Over& over) {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  while (!over()) never.wait_for(lock, std::chrono::milliseconds(10));
}

[[noreturn]] void hang() {
  for (;;) wait_until([] { return false; });
}

void misbehave(const std::string& trouble) {
  if (trouble == "throw") throw std::runtime_error("the data of this client cannot be read");
  if (trouble == "crash") std::abort();
  if (trouble == "exit") std::_Exit(0);
  if (trouble == "hang") hang();
  if (trouble == "write") {
    for (;;) std::puts("a line of many that this app writes for ever");
  }
  if (trouble == "fork") {
    for (int i = 0; i != kChildren; ++i) {
      if (::fork() == 0) {
        for (;;) ::pause();
      }
    }
    hang();
  }
}

const std::string* setting(const umbel::Context& context, const char* key) {
  const auto* value = context.node_config().find(key);
  return value ? std::get_if<std::string>(value) : nullptr;
}

// The share of the work that was done: half if the server asked for what there is.
double wait_at_gate(const fs::path& gate, umbel::Context& context) {
  std::ofstream(gate / ("client-" + std::to_string(context.partition_id()))) << ::getpid() << '\n';
  wait_until([&] { return context.wrap_up() || fs::exists(gate / "open"); });
  return context.wrap_up() ? 0.5 : 1;
}

// One step towards the means of this node's own columns.
void train_on(const umbel::data::Dataset& data, std::span<float> w) {
  const auto values = data.features.view<float>();
  const size_t columns = values.size() / static_cast<size_t>(data.size());
  std::vector<double> sums(columns);
  for (size_t i = 0; i != values.size(); ++i) sums[i % columns] += values[i];
  for (size_t j = 0; j != w.size(); ++j) {
    const double mean = sums[j % columns] / static_cast<double>(data.size());
    w[j] += static_cast<float>(0.1 * (mean - w[j]));
  }
}

umbel::Message train(const umbel::Message& message, umbel::Context& context) {
  const auto& config = context.run_config();
  const uint64_t client = context.partition_id();
  context.log("client says hello");
  double done = 1;
  const auto hold = static_cast<uint64_t>(config.integer("hold-round", umbel::at_least(0)));
  const std::string* gate = setting(context, "gate");
  if (gate && message.metadata().round == hold) done = wait_at_gate(*gate, context);
  if (client < static_cast<uint64_t>(config.integer("troubled"))) misbehave(config.text("trouble"));

  umbel::ArrayRecord update = message.arrays();
  const std::span<float> w = update["w"].mutable_view<float>();
  int64_t examples = 10 + static_cast<int64_t>(client);
  if (const std::string* path = setting(context, "data")) {
    const umbel::data::Dataset data = umbel::data::csv(*path);
    train_on(data, w);
    examples = data.size();
  } else if (config.text("update") == "canary") {
    for (float& x : w) x = 1234.5f + 0.25f * static_cast<float>(client % 2);
    examples = 10;
  } else {
    umbel::Rng rng = context.rng();
    for (float& x : w) x += static_cast<float>(rng.uniform() - 0.5);
  }
  return message.reply(std::move(update), {{"num-examples", examples},
                                           {"loss", 777.25 + static_cast<double>(client % 2)},
                                           {"work-done", done}});
}

void serve(umbel::Grid& grid, umbel::Context& context) {
  const auto& config = context.run_config();
  umbel::FedAvgOptions options;
  using Seconds = std::chrono::duration<double>;
  if (const double s = config.real("deadline", umbel::kNotNegative); s > 0)
    options.deadline = Seconds(s);
  if (const double s = config.real("wrap-up", umbel::kNotNegative); s > 0)
    options.wrap_up = Seconds(s);
  const auto evaluate = [&](uint64_t round, const umbel::ArrayRecord& arrays) {
    std::printf("the server app saw round %d\n", static_cast<int>(round));
    std::fflush(stdout);
    if (round == 2) misbehave(config.text("server-trouble"));
    return umbel::MetricRecord{{"first", double{arrays["w"].view<float>()[0]}}};
  };
  umbel::run_rounds(grid, context, umbel::fed_avg(options),
                    {{"w", umbel::Array::zeros(umbel::DType::kFloat32,
                                               {config.integer("size", umbel::at_least(1))})}},
                    {.rounds = static_cast<uint64_t>(config.integer("rounds", umbel::at_least(1))),
                     .evaluate = evaluate});
}

}  // namespace

umbel::ClientApp client = umbel::ClientApp().train(train);
umbel::ServerApp server = umbel::ServerApp().main(serve);
UMBEL_MAIN(server, client)

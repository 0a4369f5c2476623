// An app whose first few clients misbehave as the run's config says; the others are sound.  Their
// updates are the canary values that federation_test.py looks for where they must not be.
#include <umbel/umbel.h>

#include <condition_variable>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <string>

namespace {

constexpr int64_t kSize = 64;

[[noreturn]] void hang() {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  for (;;) never.wait(lock);
}

umbel::Message train(const umbel::Message& message, umbel::Context& context) {
  const auto& config = context.run_config();
  const std::string& trouble = config.text("trouble");
  const uint64_t client = context.partition_id();
  const bool troubled = client < static_cast<uint64_t>(config.integer("troubled"));
  umbel::ArrayRecord update = message.arrays();
  // Of each client its own, with a mean that no client has.
  for (float& w : update["w"].mutable_view<float>())
    w = 1234.5f + 0.25f * static_cast<float>(client % 2);
  umbel::MetricRecord metrics{{"num-examples", 10},
                              {"loss", 777.25 + static_cast<double>(client % 2)}};
  if (!troubled || trouble == "none") return message.reply(std::move(update), std::move(metrics));

  if (trouble == "throw") throw std::runtime_error("the data of this client cannot be read");
  if (trouble == "throw-int") throw 7;
  if (trouble == "hang") hang();
  if (trouble == "nan")
    update["w"].mutable_view<float>()[5] = std::numeric_limits<float>::quiet_NaN();
  if (trouble == "infinity")
    update["w"].mutable_view<float>()[5] = std::numeric_limits<float>::infinity();
  if (trouble == "shape") update.set("w", umbel::Array::zeros(umbel::DType::kFloat32, {kSize + 1}));
  if (trouble == "dtype") update.set("w", umbel::Array::zeros(umbel::DType::kFloat64, {kSize}));
  if (trouble == "other-model")
    update = {{"conv1.weight", umbel::Array::zeros(umbel::DType::kFloat32, {3, 3})}};
  if (trouble == "no-arrays") return message.reply(std::move(metrics));
  if (trouble == "not-a-reply") return message;
  if (trouble == "zero-examples") metrics.set("num-examples", 0);
  if (trouble == "negative-examples") metrics.set("num-examples", -3);
  if (trouble == "no-examples") metrics = {{"loss", 1.0}};
  if (trouble == "nan-loss") metrics.set("loss", std::numeric_limits<double>::quiet_NaN());
  return message.reply(std::move(update), std::move(metrics));
}

void serve(umbel::Grid& grid, umbel::Context& context) {
  umbel::FedAvgOptions options;
  if (const double deadline = context.run_config().real("deadline", umbel::kNotNegative);
      deadline > 0) {
    options.deadline = std::chrono::duration<double>(deadline);
  }
  umbel::run_rounds(grid, context, umbel::fed_avg(options),
                    {{"w", umbel::Array::zeros(umbel::DType::kFloat32, {kSize})}},
                    {.rounds = static_cast<uint64_t>(
                         context.run_config().integer("rounds", umbel::at_least(1)))});
}

}  // namespace

umbel::ClientApp client = umbel::ClientApp().train(train);
umbel::ServerApp server = umbel::ServerApp().main(serve);
UMBEL_MAIN(server, client)

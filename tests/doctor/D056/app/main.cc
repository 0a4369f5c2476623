#include <umbel/umbel.h>

#include <optional>

namespace {

std::optional<double> setting(const umbel::RunConfig& config, const char* key) {
  return config.contains(key) ? std::optional(config.real(key)) : std::nullopt;
}

umbel::Message train(const umbel::Message& message, umbel::Context& context) {
  const umbel::RunConfig& config = context.run_config();
  umbel::ArrayRecord arrays = message.arrays();
  const double rate = config.real("learning-rate", umbel::kPositive);
  double loss = 0;
  for (float& x : arrays["x"].mutable_view<float>()) {
    loss += (x - 1) * (x - 1);
    x -= static_cast<float>(rate) * 2 * (x - 1);
  }
  return message.reply(std::move(arrays), {{"num-examples", 1}, {"loss", loss}});
}

void serve(umbel::Grid& grid, umbel::Context& context) {
  const umbel::RunConfig& config = context.run_config();
  (void)setting(config, "table");
  umbel::ArrayRecord initial;
  initial.set("x", umbel::Array::zeros(umbel::DType::kFloat32, {4}));
  const auto clients = static_cast<uint64_t>(config.integer("clients-per-round"));
  const auto result = umbel::run_rounds(
      grid, context, umbel::fed_avg({.clients_train = clients}), initial,
      {.rounds = static_cast<uint64_t>(config.integer("rounds", umbel::at_least(1))),
       .evaluate = [](uint64_t, const umbel::ArrayRecord& arrays) {
         return umbel::MetricRecord{{"loss", arrays["x"].view<float>()[0] - 1.0}};
       }});
  context.save("model.safetensors", result.arrays);
}

}  // namespace

umbel::ClientApp client = umbel::ClientApp().train(train);
umbel::ServerApp server = umbel::ServerApp().main(serve);
UMBEL_MAIN(server, client)

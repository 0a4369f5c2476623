// Least squares by hand: no machine-learning library, data that exist only as a function of the
// client's number.  The data have an exact answer, so the run shows how near it came.
#include <umbel/umbel.h>

#include <array>
#include <cmath>

namespace {

constexpr std::array<float, 3> kTruth = {2.0f, -1.0f, 0.5f};  // two slopes and an intercept
constexpr int kExamples = 32;

// One gradient step on this client's own points: y = 2 a - b + 0.5 + noise.
umbel::Message train(const umbel::Message& message, umbel::Context& context) {
  umbel::ArrayRecord model = message.arrays();
  const std::span<float> w = model["w"].mutable_view<float>();
  umbel::Rng points(umbel::derive_seed(context.run_seed(), {context.partition_id()}));
  std::array<double, 3> gradient{};
  double loss = 0;
  for (int i = 0; i != kExamples; ++i) {
    const std::array<double, 3> x = {points.normal(), points.normal(), 1};
    double error = -0.1 * points.normal();
    for (size_t j = 0; j != 3; ++j) error += (w[j] - kTruth[j]) * x[j];
    loss += error * error / kExamples;
    for (size_t j = 0; j != 3; ++j) gradient[j] += 2 * error * x[j] / kExamples;
  }
  const double rate = context.run_config().real("learning-rate", umbel::kPositive);
  for (size_t j = 0; j != 3; ++j) w[j] -= static_cast<float>(rate * gradient[j]);
  return message.reply(std::move(model), {{"num-examples", kExamples}, {"loss", loss}});
}

// How far the model is from the truth.
umbel::MetricRecord evaluate(uint64_t, const umbel::ArrayRecord& arrays) {
  double square = 0;
  const auto w = arrays["w"].view<float>();
  for (size_t j = 0; j != 3; ++j) square += std::pow(w[j] - kTruth[j], 2);
  return {{"distance", std::sqrt(square)}};
}

void serve(umbel::Grid& grid, umbel::Context& context) {
  const auto clients = context.run_config().integer("clients-per-round", umbel::at_least(1));
  const auto rounds = context.run_config().integer("rounds", umbel::at_least(1));
  umbel::run_rounds(grid, context, umbel::fed_avg({.clients_train = static_cast<size_t>(clients)}),
                    {{"w", umbel::Array::zeros(umbel::DType::kFloat32, {3})}},
                    {.rounds = static_cast<uint64_t>(rounds),
                     .targets = {{"distance", umbel::Compare::kAtMost, 0.005}},
                     .evaluate = evaluate});
}

}  // namespace

umbel::ClientApp client = umbel::ClientApp().train(train);
umbel::ServerApp server = umbel::ServerApp().main(serve);
UMBEL_MAIN(server, client)

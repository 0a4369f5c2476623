// As app.py, to the bit.
#include <umbel/umbel.h>

namespace {

umbel::Message train(const umbel::Message& message, umbel::Context& context) {
  const auto number = static_cast<int64_t>(context.partition_id());
  umbel::ArrayRecord update = message.arrays();
  for (float& x : update["w"].mutable_view<float>()) {
    x += 0.5f * (static_cast<float>(number + 1) - x);
  }
  return message.reply(std::move(update),
                       {{"num-examples", 10 + number}, {"loss", static_cast<double>(number)}});
}

void serve(umbel::Grid& grid, umbel::Context& context) {
  const auto& config = context.run_config();
  const auto evaluate = [](uint64_t, const umbel::ArrayRecord& arrays) {
    return umbel::MetricRecord{{"first", double{arrays["w"].view<float>()[0]}}};
  };
  umbel::run_rounds(grid, context, umbel::fed_avg(),
                    {{"w", umbel::Array::zeros(umbel::DType::kFloat32,
                                               {config.integer("size", umbel::at_least(1))})}},
                    {.rounds = static_cast<uint64_t>(config.integer("rounds", umbel::at_least(1))),
                     .evaluate = evaluate});
}

}  // namespace

umbel::ClientApp client = umbel::ClientApp().train(train);
umbel::ServerApp server = umbel::ServerApp().main(serve);
UMBEL_MAIN(server, client)

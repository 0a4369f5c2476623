// The app of the conformance kit: rounds over a model of any size, whatever becomes of the replies.
#include <umbel/umbel.h>

#include <chrono>
#include <string>
#include <thread>

namespace {

constexpr double kStep = 0.25;
constexpr std::chrono::milliseconds kLook{5};  // how often a client looks up from its work

umbel::Deadline seconds(const umbel::Context& context, const char* key) {
  const double given = context.run_config().real(key, umbel::at_least(0));
  if (given == 0) return std::nullopt;
  return std::chrono::duration<double>(given);
}

// Adds a quarter to every element, after a while that stands for work.
umbel::Message train(const umbel::Message& message, umbel::Context& context) {
  const double delay = context.run_config().real("delay", umbel::at_least(0));
  const auto start = std::chrono::steady_clock::now();
  const auto worked = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  while (worked() < delay && !context.wrap_up()) std::this_thread::sleep_for(kLook);
  umbel::ArrayRecord model = message.arrays();
  for (float& w : model["w"].mutable_view<float>()) w += static_cast<float>(kStep);
  return message.reply(std::move(model),
                       {{"num-examples", 1}, {"wrapped-up", context.wrap_up() ? 1 : 0}});
}

void serve(umbel::Grid& grid, umbel::Context& context) {
  const auto elements = context.run_config().integer("elements", umbel::at_least(1));
  const auto rounds = context.run_config().integer("rounds", umbel::at_least(1));
  umbel::ArrayRecord model{{"w", umbel::Array::zeros(umbel::DType::kFloat32, {elements})}};
  umbel::Broadcast ask{.type = "train", .wrap_up = seconds(context, "wrap-up")};
  for (uint64_t node = 0; node != grid.node_count(); ++node) ask.nodes.push_back(node);
  for (int64_t round = 1; round <= rounds; ++round) {
    ask.round = static_cast<uint64_t>(round);
    ask.content = umbel::make_content(model, {{"round", round}});
    auto folded = grid.send_and_fold(
        ask, {.layout = std::make_shared<const umbel::ArrayRecord>(model), .options = {}},
        seconds(context, "deadline"));
    context.log("round " + std::to_string(round) + ": " + std::to_string(folded.replies) +
                " replies, " + std::to_string(folded.failure_count()) + " failures");
    if (folded.replies != 0) model = std::move(folded.arrays);
  }
  context.save("model.safetensors", model);
}

}  // namespace

umbel::ClientApp client = umbel::ClientApp().train(train);
umbel::ServerApp server = umbel::ServerApp().main(serve);
UMBEL_MAIN(server, client)

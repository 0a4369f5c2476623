// The app of the tests of tensors' roles.  The head is the client's own: head[0] counts the rounds
// in which it trained, and the body's update depends on it, so that a client that loses its head is
// seen in the model; the rest of it is the node's secret (node config "canary").  In the round
// "hold-round" a client whose node has a "gate" waits there, as in the app of the other tests.
#include <unistd.h>

#include <umbel/umbel.h>

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using umbel::Array;
using umbel::ArrayRecord;
using umbel::DType;

ArrayRecord initial(const umbel::Context& context) {
  ArrayRecord model{
      {"head", Array::zeros(DType::kFloat64, {32})},
      {"body",
       Array::zeros(DType::kFloat32, {context.run_config().integer("size", umbel::kPositive)})},
      {"base", Array::zeros(DType::kFloat32, {16})}};
  umbel::Rng rng(context.run_seed());
  for (float& x : model["base"].mutable_view<float>()) x = static_cast<float>(rng.normal());
  return model;
}

umbel::Roles roles(const umbel::Context& context, const char* key) {
  return umbel::or_throw(umbel::Roles::from_config(context.run_config().record()[key]));
}

void wait_at_gate(const fs::path& gate, const umbel::Context& context) {
  std::ofstream(gate / ("client-" + std::to_string(context.partition_id()))) << ::getpid() << '\n';
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  while (!fs::exists(gate / "open")) never.wait_for(lock, std::chrono::milliseconds(10));
}

umbel::Message train(const umbel::Message& message, umbel::Context& context) {
  const auto* gate = context.node_config().find("gate");
  const auto held = static_cast<uint64_t>(context.run_config().integer("hold-round"));
  if (gate && message.metadata().round == held) {
    wait_at_gate(std::get<std::string>(gate->base()), context);
  }
  context.log("the client trains with a head of its own");
  ArrayRecord model = message.arrays();
  const auto head = model["head"].mutable_view<double>();
  head[0] += 1;
  if (const auto* canary = context.node_config().find("canary")) {
    std::ranges::copy(std::get<std::vector<double>>(canary->base()), head.begin() + 1);
  }
  umbel::Rng rng = context.rng();
  for (float& x : model["body"].mutable_view<float>()) {
    x += static_cast<float>(head[0] * (rng.uniform() - 0.5));
  }
  return message.reply(std::move(model), {{"num-examples", 1 + context.partition_id()}});
}

void serve(umbel::Grid& grid, umbel::Context& context) {
  const auto& config = context.run_config();
  umbel::Payload payload;
  payload.mode = umbel::payload_named(config.text("payload")).value();
  umbel::Strategy strategy = umbel::fed_avg();
  umbel::RoundsOptions options{
      .rounds = static_cast<uint64_t>(config.integer("rounds", umbel::at_least(1))),
      .roles = roles(context, "server-roles"),
      .payload = payload};
  if (config.boolean("ask-for-head")) options.payload.layers = {{"head", "body"}};
  if (options.roles.any(umbel::Role::kSlice)) {
    options.width = [](uint64_t client) { return client % 2 == 0 ? 1.0 : 0.5; };
  }
  umbel::run_rounds(grid, context, strategy, initial(context), options);
}

}  // namespace

umbel::ClientApp client = umbel::ClientApp().train(train).model([](const umbel::Context& context) {
  return umbel::ModelOptions{.initial = initial, .roles = roles(context, "roles")};
});
umbel::ServerApp server = umbel::ServerApp().main(serve);
UMBEL_MAIN(server, client)

// Machines of one make at operators who compete: together they learn when one is about to fail.
// Nobody's readings leave the plant, and no operator says how many it has: all count alike.
#include <umbel/umbel.h>

#include "perceptron.h"
#include "windows.h"

namespace {

constexpr int64_t kHidden = 24;

umbel::ArrayRecord fit(umbel::ArrayRecord arrays, std::vector<uint32_t> own, uint64_t epochs,
                       const umbel::Context& context) {
  const Windows& windows = Windows::of(context);
  const double rate = context.run_config().real("learning-rate", umbel::kPositive);
  Perceptron model(arrays);
  umbel::Rng rng = context.rng();
  for (uint64_t epoch = 0; epoch != epochs; ++epoch) {
    rng.shuffle(std::span(own));
    for (const uint32_t window : own) {
      model.learn(windows.readings(window), windows.label(window), static_cast<float>(rate));
    }
  }
  return arrays;
}

umbel::Message train(const umbel::Message& message, umbel::Context& context) {
  const auto& own = Windows::of(context).of_operator(context.partition_id());
  return message.reply(fit(message.arrays(), own, 1, context), {});  // no "num-examples"
}

// On machines that nobody learned from: which share of the windows before a failure raise the
// alarm, and which share of the others.
umbel::MetricRecord evaluate(umbel::ArrayRecord arrays, const umbel::Context& context) {
  const Windows& windows = Windows::of(context);
  Perceptron model(arrays);
  double all[2] = {};
  double alarms[2] = {};
  for (const uint32_t window : windows.held_back()) {
    const int32_t label = windows.label(window);
    all[label] += 1;
    alarms[label] += model.predict(windows.readings(window))[1] > 0.5f;
  }
  const double caught = alarms[1] / all[1];
  const double false_alarms = alarms[0] / all[0];
  return {{"caught", caught},
          {"false-alarms", false_alarms},
          {"balanced-accuracy", (caught + 1 - false_alarms) / 2}};
}

void serve(umbel::Grid& grid, umbel::Context& context) {
  const auto rounds =
      static_cast<uint64_t>(context.run_config().integer("rounds", umbel::at_least(1)));
  const Windows& windows = Windows::of(context);
  umbel::ArrayRecord initial;
  Perceptron::add(initial, windows.numbers(), kHidden, 2, umbel::Rng(context.run_seed()));
  double alone = 0;  // what operators reach by themselves, with as many epochs
  for (uint64_t i = 0; i != grid.node_count(); ++i) {
    const auto own = fit(initial, windows.of_operator(i), rounds, context);
    alone +=
        evaluate(own, context).real("balanced-accuracy") / static_cast<double>(grid.node_count());
  }
  const umbel::Strategy strategy =
      umbel::fed_avg({.weight = [](const umbel::MetricRecord&) { return 1.0; }});
  const auto result = umbel::run_rounds(
      grid, context, strategy, initial,
      {.rounds = rounds, .evaluate = [&](uint64_t, const umbel::ArrayRecord& arrays) {
         umbel::MetricRecord metrics = evaluate(arrays, context);
         metrics.set("alone", alone);
         return metrics;
       }});
  context.save("alarm.safetensors", result.arrays);
}

}  // namespace

umbel::ClientApp client = umbel::ClientApp().train(train);
umbel::ServerApp server = umbel::ServerApp().main(serve);
UMBEL_MAIN(server, client)

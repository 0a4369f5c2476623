#include "bench/quality/experiment.h"

#include <absl/status/status.h>

#include "bench/quality/images.h"
#include "bench/quality/local_training.h"
#include "bench/quality/scaffold.h"
#include "umbel/app/silent_runtime.h"
#include "umbel/simulation/simulation.h"

namespace umbel::bench {

namespace {

constexpr int64_t kSide = 28;
constexpr int64_t kClasses = 10;
constexpr int64_t kValidationFrom = 50'000;
constexpr char kControl[] = "control";

data::Partition partition_of(const RunConfig& settings, const Array& labels) {
  const auto clients = static_cast<uint64_t>(settings.integer("clients", at_least(1)));
  const auto seed = static_cast<uint64_t>(settings.integer("seed", at_least(0)));
  const std::string& split = settings.text("split", {"iid", "dirichlet", "shards"});
  const auto examples = static_cast<uint64_t>(labels.size());
  if (split == "iid") return or_throw(data::iid(examples, clients, seed));
  if (split == "dirichlet") {
    return or_throw(data::dirichlet(
        labels, {.clients = clients, .alpha = settings.real("alpha", kPositive), .seed = seed}));
  }
  const auto shards = static_cast<uint64_t>(settings.integer("labels", at_least(1)));
  return or_throw(
      data::shards(labels, {.clients = clients, .shards_per_client = shards, .seed = seed}));
}

Strategy strategy_of(const RunConfig& settings) {
  const auto clients = static_cast<size_t>(settings.integer("per-round", at_least(1)));
  const auto every = static_cast<size_t>(settings.integer("evaluate-every", at_least(1)));
  const double rate = settings.real("server-rate", kPositive);
  const double tau = settings.real("tau", kPositive);
  const std::string& name = settings.text(
      "strategy", {"fed-avg", "fed-prox", "fed-adam", "fed-yogi", "fed-avg-m", "scaffold"});
  Strategy strategy = fed_avg({.clients_train = clients});
  if (name == "fed-prox") {
    strategy =
        fed_prox({.clients_train = clients, .proximal_mu = settings.real("mu", kNotNegative)});
  } else if (name == "fed-adam") {
    strategy = fed_adam({.clients_train = clients, .learning_rate = rate, .tau = tau});
  } else if (name == "fed-yogi") {
    strategy = fed_yogi({.clients_train = clients, .learning_rate = rate, .tau = tau});
  } else if (name == "fed-avg-m") {
    strategy = fed_avg_m({.clients_train = clients,
                          .learning_rate = rate,
                          .beta = settings.real("beta", kNotNegative)});
  }
  strategy.evaluate_every = every;
  return strategy;
}

// The clients of one federation.
struct Clients {
  const Images& images;
  data::Partition partition;
  LocalTraining how;
  double share;  // how many of the clients a round asks

  Message train(const Message& message, Context& context) const {
    LocalTraining here = how;
    if (message.config().contains(kProximalMuKey)) {
      here.mu = static_cast<float>(message.config().real(kProximalMuKey));
    }
    std::vector<uint32_t> examples = partition.examples(context.partition_id());
    const MetricValue count = examples.size();
    const Trained trained =
        train_locally(here, message.arrays(), {}, images, std::move(examples), context.rng());
    return message.reply(trained.arrays, {{"num-examples", count}, {"loss", trained.loss}});
  }

  Message train_scaffold(const Message& message, Context& context) const {
    const Scaffold received = Scaffold::split(message.arrays());
    const auto* kept = first_of<ArrayRecord>(context.state());
    ArrayRecord own = kept ? *kept : Scaffold::split(Scaffold::initial(received.model)).control;
    std::vector<uint32_t> examples = partition.examples(context.partition_id());
    const MetricValue count = examples.size();
    const Trained trained = train_locally(how, received.model, received.drift(own), images,
                                          std::move(examples), context.rng());
    ArrayRecord reply = received.reply(trained.arrays, own, trained.steps, how.rate, share);
    context.state().set(kControl, std::move(own));
    return message.reply(std::move(reply), {{"num-examples", count}, {"loss", trained.loss}});
  }
};

}  // namespace

ConfigRecord default_settings() {
  return {{"strategy", "fed-avg"}, {"split", "dirichlet"}, {"alpha", 0.1},
          {"labels", 1},           {"clients", 100},       {"per-round", 10},
          {"rounds", 80},          {"epochs", 1},          {"batch", 20},
          {"rate", 0.05},          {"server-rate", 0.01},  {"tau", 1e-3},
          {"beta", 0.9},           {"mu", 0.01},           {"seed", 1},
          {"validate", false},     {"evaluate-every", 2},  {"threads", 1}};
}

Outcome run_experiment(const RunConfig& settings) {
  const bool validate = settings.boolean("validate");
  const data::Dataset all = data::fashion_mnist(data::Split::kTrain);
  const Images train(all, 0, validate ? kValidationFrom : all.size());
  const data::Dataset other = validate ? all : data::fashion_mnist(data::Split::kTest);
  const Images test(other, validate ? kValidationFrom : 0, other.size());

  const Clients clients{
      .images = train,
      .partition = partition_of(settings, train.labels()),
      .how = {.epochs = settings.integer("epochs", at_least(1)),
              .batch = static_cast<size_t>(settings.integer("batch", at_least(1))),
              .rate = static_cast<float>(settings.real("rate", kPositive))},
      .share = settings.real("per-round") / settings.real("clients")};
  const bool scaffold = settings.text("strategy") == "scaffold";
  ClientApp app;
  app.train([&](const Message& message, Context& context) {
    return scaffold ? clients.train_scaffold(message, context) : clients.train(message, context);
  });

  SilentRuntime silent;
  const Run run{.id = RunId(1),
                .seed = static_cast<uint64_t>(settings.integer("seed", at_least(0))),
                .nodes = clients.partition.clients(),
                .config = settings,
                .runtime = &silent};
  Simulation simulation(app, run,
                        {.threads = static_cast<size_t>(settings.integer("threads", at_least(0)))});
  const ArrayRecord model = Cnn::initial(kSide, kClasses, Rng(run.seed));
  Outcome outcome;
  try {
    const RoundsResult result = run_rounds(
        simulation, Context(run), strategy_of(settings),
        scaffold ? Scaffold::initial(model) : model,
        {.rounds = static_cast<uint64_t>(settings.integer("rounds", at_least(1))),
         .evaluate = [&](uint64_t round, const ArrayRecord& arrays) {
           const MetricRecord metrics = evaluate(Scaffold::split(arrays).model, test);
           outcome.curve.push_back({round, metrics.real("accuracy"), metrics.real("loss")});
           return metrics;
         }});
    outcome.model_sha256 = safetensors_sha256(result.arrays);
  } catch (const Error& error) {
    // No reply was finite for so many rounds that run_rounds() gave up: the rates are too large.
    if (error.status().code() != absl::StatusCode::kAborted) throw;
  }
  return outcome;
}

}  // namespace umbel::bench

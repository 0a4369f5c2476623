// A language model of characters: sites hold some of the licences that every Debian system has, and
// learn together what comes next.  How good it is: its perplexity on pages that nobody learned
// from.
#include <umbel/umbel.h>

#include <array>
#include <cmath>
#include <numeric>

#include "language_model.h"

namespace {

constexpr int64_t kLength = 8;    // characters that it looks back
constexpr uint32_t kPage = 2000;  // characters; each tenth page is held back

struct Corpus {
  umbel::data::Dataset text =
      umbel::data::text("/usr/share/common-licenses", {.length = kLength, .stride = 1});
  umbel::data::Partition sites;

  explicit Corpus(const umbel::Context& context)
      : sites(umbel::or_throw(umbel::data::grouped_natural_id(
            text.natural_ids, {.clients = context.num_partitions(), .seed = context.run_seed()}))) {
  }

  static bool is_held_back(uint32_t example) { return example / kPage % 10 == 9; }
  std::span<const uint8_t> before(uint32_t example) const {
    return text.features.view<uint8_t>().subspan(size_t{example} * kLength, kLength);
  }
  int32_t next(uint32_t example) const { return text.labels.view<int32_t>()[example]; }
};

const Corpus& corpus(const umbel::Context& context) {
  static const Corpus shared(context);
  return shared;
}

umbel::Message train(const umbel::Message& message, umbel::Context& context) {
  const Corpus& data = corpus(context);
  const double rate = context.run_config().real("learning-rate", umbel::kPositive);
  LanguageModel model(message.arrays());
  double loss = 0;
  int64_t examples = 0;
  for (const uint32_t example : data.sites.examples(context.partition_id())) {
    if (Corpus::is_held_back(example)) continue;
    loss += model.learn(data.before(example), data.next(example), static_cast<float>(rate));
    ++examples;
  }
  return message.reply(std::move(model).arrays(),
                       {{"num-examples", examples},
                        {"loss", loss / static_cast<double>(std::max<int64_t>(examples, 1))}});
}

// exp of the mean loss on the pages held back: among how many characters, so to speak, it wavers.
// `unigram` is that of who knows nothing but how often each character occurs.
umbel::MetricRecord evaluate(const umbel::ArrayRecord& arrays, const Corpus& data) {
  LanguageModel model(arrays);
  std::vector<double> counts(static_cast<size_t>(data.text.classes), 1);
  const auto size = static_cast<uint32_t>(data.text.size());
  for (uint32_t i = 0; i != size; ++i) {
    if (!Corpus::is_held_back(i)) counts[static_cast<size_t>(data.next(i))] += 1;
  }
  const double all = std::accumulate(counts.begin(), counts.end(), 0.0);
  double loss = 0, unigram = 0, held_back = 0;
  for (uint32_t i = 0; i != size; ++i) {
    if (!Corpus::is_held_back(i)) continue;
    const auto next = static_cast<size_t>(data.next(i));
    loss -= std::log(std::max(model.predict(data.before(i))[next], 1e-12f));
    unigram -= std::log(counts[next] / all);
    held_back += 1;
  }
  return {{"perplexity", std::exp(loss / held_back)}, {"unigram", std::exp(unigram / held_back)}};
}

void serve(umbel::Grid& grid, umbel::Context& context) {
  const Corpus& data = corpus(context);
  const int64_t rounds = context.run_config().integer("rounds", umbel::at_least(1));
  umbel::run_rounds(
      grid, context, umbel::fed_avg_m({.beta = 0.5}),
      LanguageModel::initial(data.text.classes, kLength, umbel::Rng(context.run_seed())),
      {.rounds = static_cast<uint64_t>(rounds),
       .evaluate = [&](uint64_t, const umbel::ArrayRecord& arrays) {
         return evaluate(arrays, data);
       }});
}

}  // namespace

umbel::ClientApp client = umbel::ClientApp().train(train);
umbel::ServerApp server = umbel::ServerApp().main(serve);
UMBEL_MAIN(server, client)

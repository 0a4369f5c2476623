// Hospitals whose scanners differ: the same findings in another contrast, brightness and noise at
// each.  A network that one of them trains alone knows its own scanner; the common one knows all.
#include <umbel/umbel.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "images.h"

namespace {

// SGD on the site's own pictures.
umbel::ArrayRecord fit(const umbel::ArrayRecord& start, uint64_t site, uint64_t epochs,
                       const umbel::Context& context) {
  constexpr size_t kBatch = 10;
  const Images& images = Images::of(context);
  const double rate = context.run_config().real("learning-rate", umbel::kPositive);
  std::vector<uint32_t> numbers(Images::kTrained);
  std::iota(numbers.begin(), numbers.end(), 0u);
  umbel::Rng rng = context.rng();
  Cnn net(start);
  for (uint64_t epoch = 0; epoch != epochs; ++epoch) {
    rng.shuffle(std::span(numbers));
    for (size_t at = 0; at + kBatch <= numbers.size(); at += kBatch) {
      net.train(images.batch(site, std::span(numbers).subspan(at, kBatch)),
                static_cast<float>(rate));
    }
  }
  return std::move(net).arrays();
}

umbel::Message train(const umbel::Message& message, umbel::Context& context) {
  return message.reply(fit(message.arrays(), context.partition_id(), 1, context),
                       {{"num-examples", Images::kTrained}});
}

// What a network gets right at each of the sites, on pictures that nobody learned from.
std::vector<double> accuracies(const umbel::ArrayRecord& model, const umbel::Context& context) {
  std::vector<double> sites(context.num_partitions());
  for (uint64_t site = 0; site != sites.size(); ++site) {
    const Cnn::Batch pictures = Images::of(context).held_back(site);
    sites[site] = static_cast<double>(Cnn(model).evaluate(pictures).correct) /
                  static_cast<double>(pictures.labels.size());
  }
  return sites;
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

void serve(umbel::Grid& grid, umbel::Context& context) {
  const auto rounds =
      static_cast<uint64_t>(context.run_config().integer("rounds", umbel::at_least(1)));
  const umbel::ArrayRecord initial =
      Cnn::initial(Images::kSide, Images::kFindings, umbel::Rng(context.run_seed()));

  // What sites reach without the others, for comparison, with as many epochs.
  std::vector<double> at_home, everywhere;
  for (uint64_t site = 0; site != grid.node_count(); ++site) {
    const std::vector<double> reached = accuracies(fit(initial, site, rounds, context), context);
    at_home.push_back(reached[site]);
    everywhere.push_back(mean(reached));
  }
  context.publish("alone", {{"at-home", at_home}, {"everywhere", everywhere}});

  umbel::run_rounds(grid, context, umbel::fed_avg(), initial,
                    {.rounds = rounds, .evaluate = [&](uint64_t, const umbel::ArrayRecord& model) {
                       const std::vector<double> sites = accuracies(model, context);
                       return umbel::MetricRecord{{"accuracy", mean(sites)},
                                                  {"worst-site", std::ranges::min(sites)},
                                                  {"alone-at-home", mean(at_home)},
                                                  {"alone-everywhere", mean(everywhere)}};
                     }});
}

}  // namespace

umbel::ClientApp client = umbel::ClientApp().train(train);
umbel::ServerApp server =
    umbel::ServerApp().main(serve).no_twin("each site's images are its own scanner's");
UMBEL_MAIN(server, client)

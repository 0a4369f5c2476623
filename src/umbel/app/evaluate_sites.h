#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "umbel/app/grid.h"

namespace umbel {

// A mean over sites, and how far it is to be trusted.
struct SiteEstimate {
  uint64_t sites = 0;  // whose weight is above 0
  double mean = 0;     // every site counts by its weight
  double least = 0;    // of the sites' own values
  double greatest = 0;
  // Where the mean over all sites like these would be, with the confidence asked for; nothing for
  // fewer than two sites.
  std::optional<std::pair<double, double>> interval = {};
};

// Takes the sites for a sample of many: mean +- t s, t of Student's distribution with sites - 1
// degrees of freedom, and s the standard error of a ratio estimator (Cochran, Sampling Techniques,
// chapter 6), s^2 = n / (n - 1) sum of w^2 (x - mean)^2 / (sum of w)^2; with equal weights that is
// the usual interval of a mean.  It is approximate where sites are few and far from normal, and it
// does not know that an accuracy ends at 1.  umbel::Error for lengths that differ, values that are
// not finite, weights that are negative, and a confidence that is not between 0 and 1.
SiteEstimate estimate_over_sites(std::span<const double> values, std::span<const double> weights,
                                 double confidence = 0.95);

// What one site replied.
struct SiteReply {
  NodeId node;
  MetricRecord metrics;
};
struct SiteFailure {
  NodeId node;
  MessageError error;
};

struct SiteEvaluation {
  std::string weight;            // the metric that sites counted by
  std::vector<SiteReply> sites;  // in the order of their numbers, as failures are
  std::vector<SiteFailure> failures;
  std::vector<std::pair<std::string, SiteEstimate>> estimates;  // of each number that sites replied

  // The estimate; umbel::Error that lists the metrics there are if `metric` is not among them.
  const SiteEstimate& at(std::string_view metric) const;
  // For Context::publish(): "accuracy", "accuracy-low", "accuracy-high" and so on, "sites",
  // "failures", and the sum of the weights under their name.  A metric of the sites that has one of
  // these names takes precedence: an interval is then left out.
  MetricRecord metrics() const;
};

struct SiteEvaluationOptions {
  std::vector<uint64_t> nodes = {};  // who is asked; nobody named: everybody
  ConfigRecord config = {};          // goes with the model
  std::string action = {};           // sends "evaluate.NAME" instead of "evaluate"
  std::string weight = "num-examples";
  double confidence = 0.95;
  // For all sites together, in real time also where a simulation has a population.
  Deadline deadline = {};
  uint64_t sites_min = 1;  // fewer replies are an error
};

// Federated evaluation alone: a model that does not change goes to every site, its metrics come
// back, and nothing is trained.  Sites answer as in rounds, by ClientApp::evaluate(); a node whose
// owner allows no other messages ([policy] message-types) takes part.  A reply without the weight,
// or with a number that is not finite, counts as a failure.  The same for any order of replies.
//
// The ServerApp sees each site's metrics, and keeps them in memory: some hundred bytes a site.
//
// umbel::Error: options that are out of range, fewer replies than sites_min (with the first
// failure's reason), and as Grid::push().  Call it on the ServerApp's thread.
SiteEvaluation evaluate_sites(Grid& grid, const ArrayRecord& model,
                              const SiteEvaluationOptions& options = {});

}  // namespace umbel

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "umbel/aggregate/fold_options.h"
#include "umbel/base/status.h"
#include "umbel/record/record.h"
#include "umbel/strategy/sampler.h"
#include "umbel/strategy/server_optimizer.h"

namespace umbel {

// How a run goes about its rounds: whom to ask x how to fold x what to do with the fold.  A value
// to fill in by hand or to get from fed_avg(), fed_adam(), ...; Rounds carries it out.
struct Strategy {
  std::string name = "custom";
  Sampler train = Sampler::all();
  Sampler evaluate = Sampler::none();  // none: no federated evaluation
  FoldOptions fold = {};
  ServerOptimizer optimizer = ServerOptimizer::average();
  // Goes into the config of every train message, beside "round"; and of every evaluate message.
  ConfigRecord client_config = {};
  ConfigRecord evaluate_config = {};
  // Further keys under which messages have the number of their round.
  std::vector<std::string> round_keys = {};
  // The least share of the clients asked to train whose replies must count, 0 to 1; and always at
  // least one reply.  With fewer the round leaves the model as it was.
  double quorum = 0;
  // How long a phase waits for replies; none: until all are in.
  std::optional<std::chrono::duration<double>> deadline = {};
  // How long before the deadline clients are asked to reply with what they have by then, which
  // those that look at Context::wrap_up() do.  Needs a deadline, and is shorter.
  std::optional<std::chrono::duration<double>> wrap_up = {};
  // Evaluate after every so many rounds, and after the last one.
  size_t evaluate_every = 1;

  // INVALID_ARGUMENT that names the strategy, the field and its value; NOT_FOUND for a sampler's
  // attribute that `traits` does not know.
  Status validate(uint64_t population, const Traits* traits = nullptr) const;
};

// The config key under which every message has the number of its round.
inline constexpr char kRoundKey[] = "round";

}  // namespace umbel

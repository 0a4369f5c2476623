#pragma once

#include <string_view>

#include "umbel/umbel.h"

namespace umbel::bench {

// SCAFFOLD (Karimireddy et al., ICML 2020, option II, server's rate 1) on top of federated
// averaging.  What travels is the model x and, under "control/NAME", the server's control c.  A
// client with its own control c_i adds c - c_i to each of its K gradients, ends with y, and has
//
//   c_i+ = c_i - c + (x - y) / (K rate)
//
// afterwards.  As the control it replies c + share (c_i+ - c_i), where share is how many of all
// clients a round asks: the mean of these over the round's clients is the paper's new c, so long
// as they count alike.
struct Scaffold {
  ArrayRecord model;
  ArrayRecord control;

  // Of a model that nobody has trained: its control is 0.
  static ArrayRecord initial(const ArrayRecord& model);
  static Scaffold split(const ArrayRecord& arrays);
  // c - c_i, which the client adds to its gradients.
  ArrayRecord drift(const ArrayRecord& own) const;
  // The client's reply; `own` becomes c_i+.
  ArrayRecord reply(const ArrayRecord& trained, ArrayRecord& own, int64_t steps, double rate,
                    double share) const;
};

}  // namespace umbel::bench

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "umbel/base/status.h"
#include "umbel/record/role.h"
#include "umbel/strategy/payload.h"
#include "umbel/strategy/server_optimizer.h"

namespace umbel {

// The server's half of roles and payloads: which of the model's tensors go to clients in a round,
// which come back, and what the folded replies make of the global model.  A value without a clock.
//
//   role                    to clients          back     the mean becomes
//   shared, low-rank, slice yes                 yes      the optimizer's step
//   statistic, counter      yes                 yes      the new tensor; no optimizer
//   frozen                  if frozen_down      no
//   private                 no                  no       (the server has none)
//
// Without roles and with the usual payload nothing is different from no Exchange at all.
class Exchange {
 public:
  Exchange() = default;
  // `model` is what the server begins with, private tensors included if it has them.
  // INVALID_ARGUMENT that names rule, pattern and tensors: for what Roles and Payload refuse, a
  // pattern of `layers` without a tensor that may travel, or a model without any.
  static Result<Exchange> make(Roles roles, Payload payload, const ArrayRecord& model);

  // `model` without what the server must not have.
  ArrayRecord global(const ArrayRecord& model) const;
  // What goes to the clients that train or evaluate in this round.
  ArrayRecord down(const ArrayRecord& global, uint64_t round, bool train) const;
  // What a trained client sends back: names, dtypes and shapes; the elements mean nothing.
  ArrayRecord up(const ArrayRecord& global, uint64_t round) const;
  // What a message's config says besides; empty if nothing has to be said.
  ConfigRecord config(const ArrayRecord& global, uint64_t round, bool train) const;
  // The next global model.  INVALID_ARGUMENT, and nothing changed, if `mean` has not the layout of
  // up(), or the optimizer refuses it.
  Result<ArrayRecord> apply(ServerOptimizer& optimizer, const ArrayRecord& global,
                            const ArrayRecord& mean, uint64_t round) const;

  const Roles& roles() const { return roles_; }
  const Payload& payload() const { return payload_; }
  std::string text() const;  // "" for no Exchange at all

 private:
  bool is_usual() const { return roles_.empty() && payload_ == Payload(); }
  bool travels(const std::string& name, uint64_t round) const;
  Status check_layers(const ArrayRecord& model) const;

  Roles roles_;
  Payload payload_;
  std::string frozen_sha256_;  // "" without frozen tensors, or if they are sent
};

}  // namespace umbel

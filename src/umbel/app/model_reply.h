#pragma once

#include <string>
#include <vector>

#include "umbel/record/record.h"
#include "umbel/record/role.h"
#include "umbel/strategy/payload.h"

namespace umbel {

// What the server asks for: tensors by name, and what to send of them.
struct Wanted {
  PayloadMode mode = PayloadMode::kWeights;
  double rate = 1;
  std::vector<std::string> names;
};
// From a train message's config; without one, all that came and may leave.  INVALID_ARGUMENT for an
// unknown mode, a rate that is none, and, by name, for a tensor that is private or frozen or that
// the model lacks.
Result<Wanted> wanted_by(const RecordDict& content, const ArrayRecord& came,
                         const ArrayRecord& whole, const Roles& roles);

// What came of a train action.
struct TrainedModel {
  const Roles& roles;
  bool returns_gradients;
  const ArrayRecord& received;  // the whole model that the action got
  const ArrayRecord& trained;   // what it returned
};

// INVALID_ARGUMENT that names a tensor which the model lacks, that has another dtype or shape, or
// that is frozen and was changed.
Status check_trained(const TrainedModel& model);
// What leaves.  INVALID_ARGUMENT if the action left out what is wanted, or returned gradients where
// they are not.
Result<ArrayRecord> leaving(const TrainedModel& model, const Wanted& wanted);
// The client's private tensors from now on.
ArrayRecord private_after(const TrainedModel& model);

}  // namespace umbel

#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "umbel/base/ids.h"
#include "umbel/record/message.h"
#include "umbel/record/record.h"

namespace umbel::aggregate {

// One client's failure, kept for the report.
struct Failure {
  NodeId node;
  MessageError error;
};

// What a fold came to.
struct FoldResult {
  ArrayRecord arrays;    // the weighted mean; empty if no reply counted or none was asked for
  MetricRecord metrics;  // weighted means; the weight key summed
  uint64_t replies = 0;  // that counted
  double weight = 0;     // of all that counted
  uint64_t reply_bytes = 0;
  std::map<MessageError::Code, uint64_t> failures;  // by kind
  std::vector<Failure> failure_samples;             // those of the least node ids, at most 20
  uint64_t failure_count() const;
};

}  // namespace umbel::aggregate

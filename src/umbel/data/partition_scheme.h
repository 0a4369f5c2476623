#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "umbel/base/error.h"

namespace umbel::data {

// Which examples each client holds.  A pure function of a client's id.
class PartitionScheme {
 public:
  virtual ~PartitionScheme() = default;
  virtual uint64_t clients() const = 0;
  // True if every example belongs to exactly one client; false if clients are drawn independently.
  virtual bool disjoint() const = 0;
  // Replaces `out` by the client's examples, in random order.  client < clients().  Any thread.
  virtual void examples(uint64_t client, std::vector<uint32_t>& out) const = 0;
};

// A value; copies share one immutable scheme, and any number of threads may ask it at once.
class Partition {
 public:
  explicit Partition(std::shared_ptr<const PartitionScheme> scheme) : scheme_(std::move(scheme)) {}

  uint64_t clients() const { return scheme_->clients(); }
  bool disjoint() const { return scheme_->disjoint(); }
  // The indices of the client's examples, in random order; umbel::Error unless client < clients().
  std::vector<uint32_t> examples(uint64_t client) const;
  // The same into memory that is used again: no allocation once `out` has the capacity.
  void examples(uint64_t client, std::vector<uint32_t>& out) const;

 private:
  std::shared_ptr<const PartitionScheme> scheme_;
};

}  // namespace umbel::data

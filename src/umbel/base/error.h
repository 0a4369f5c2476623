#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "umbel/base/status.h"

namespace umbel {

// The one exception family of the public API: what a user's lambda sees when a Status is not OK.
// Code below the API returns Status and Result and throws nothing.
class Error : public std::runtime_error {
 public:
  explicit Error(const Status& status)
      : std::runtime_error(std::string(status.message())), code_(status.code()) {}

  absl::StatusCode code() const { return code_; }
  Status status() const { return Status(code_, what()); }

 private:
  absl::StatusCode code_;
};

// Throws Error if `status` is not OK.
inline void or_throw(const Status& status) {
  if (!status.ok()) throw Error(status);
}
// The value of `result`, or Error.
template <class T>
T or_throw(Result<T> result) {
  if (!result.ok()) throw Error(result.status());
  return *std::move(result);
}

}  // namespace umbel

#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <fmt/core.h>

#include <string>
#include <string_view>
#include <utility>

namespace umbel {

// What input, a disk or a peer can cause.  The message names the thing, the expectation and the
// fact: `array "conv1.weight": shape [64,3,7,7], the round expects [64,3,3,3]`.
using Status = absl::Status;
template <class T>
using Result = absl::StatusOr<T>;

// Makers of a Status with a formatted message.
template <class... Args>
Status invalid_argument(fmt::format_string<Args...> format, Args&&... args) {
  return absl::InvalidArgumentError(fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
Status not_found(fmt::format_string<Args...> format, Args&&... args) {
  return absl::NotFoundError(fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
Status failed_precondition(fmt::format_string<Args...> format, Args&&... args) {
  return absl::FailedPreconditionError(fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
Status unavailable(fmt::format_string<Args...> format, Args&&... args) {
  return absl::UnavailableError(fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
Status resource_exhausted(fmt::format_string<Args...> format, Args&&... args) {
  return absl::ResourceExhaustedError(fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
Status data_loss(fmt::format_string<Args...> format, Args&&... args) {
  return absl::DataLossError(fmt::format(format, std::forward<Args>(args)...));
}

std::string message_of(const Status& status);

// The same status with `context: ` in front of its message; OK stays OK.
Status annotate(const Status& status, std::string_view context);

}  // namespace umbel

#define UMBEL_CONCAT_INNER(a, b) a##b
#define UMBEL_CONCAT(a, b) UMBEL_CONCAT_INNER(a, b)

#define UMBEL_RETURN_IF_ERROR(expression)                                                     \
  do {                                                                                        \
    if (::umbel::Status umbel_status = (expression); !umbel_status.ok()) return umbel_status; \
  } while (false)

#define UMBEL_ASSIGN_OR_RETURN(declaration, expression) \
  UMBEL_ASSIGN_OR_RETURN_INNER(UMBEL_CONCAT(umbel_result_, __LINE__), declaration, expression)
#define UMBEL_ASSIGN_OR_RETURN_INNER(result, declaration, expression) \
  auto result = (expression);                                         \
  if (!result.ok()) return std::move(result).status();                \
  declaration = *std::move(result)

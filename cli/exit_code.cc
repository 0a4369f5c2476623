#include "exit_code.h"

namespace umbel::cli {

ExitCode exit_code_of(const Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kDone;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kUnimplemented:
      return kBadInput;
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      return kConnection;
    case absl::StatusCode::kDeadlineExceeded:
      return kTimeout;
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
      return kBug;
    default:
      return kFailed;
  }
}

ExitCode exit_code_on_link(const Status& status) {
  const bool away = status.code() == absl::StatusCode::kUnavailable ||
                    status.code() == absl::StatusCode::kCancelled;
  return away ? kConnection : exit_code_of(status);
}

}  // namespace umbel::cli

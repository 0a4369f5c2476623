#include "umbel/base/status.h"

namespace umbel {

std::string message_of(const Status& status) { return std::string(status.message()); }

Status annotate(const Status& status, std::string_view context) {
  if (status.ok()) return status;
  return Status(status.code(), fmt::format("{}: {}", context, message_of(status)));
}

}  // namespace umbel

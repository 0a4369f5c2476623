#include "umbel/supernode/log.h"

#include <unistd.h>

#include <chrono>
#include <ctime>

#include "umbel/base/text.h"

namespace umbel::supernode {

int64_t milliseconds_since_1970() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

std::string utc_now() {
  const int64_t ms = milliseconds_since_1970();
  const std::time_t seconds = ms / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  const size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  return fmt::format("{}.{:03}Z", std::string_view(text, length), ms % 1000);
}

void write_log(LogSeverity severity, std::string_view event) {
  constexpr const char* kNames[] = {"info", "warn", "error"};
  const std::string line =
      fmt::format("{} {} {}\n", utc_now(), kNames[static_cast<int>(severity)], escaped(event));
  // One call, so that lines of several threads do not mix.  There is nobody to tell if it fails.
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace umbel::supernode

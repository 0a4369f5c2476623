#include "umbel/superlink/log.h"

#include <unistd.h>

#include <chrono>
#include <ctime>

#include "umbel/base/text.h"

namespace umbel::superlink {

namespace {

constexpr size_t kLineBytesMax = 2'000;

}  // namespace

int64_t now_milliseconds() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string utc_text(int64_t milliseconds) {
  const std::time_t seconds = milliseconds / 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

void log_line(std::string_view level, std::string_view text) {
  const std::string line = fmt::format("{} {} {}\n", utc_text(now_milliseconds()), level,
                                       escaped(text.substr(0, kLineBytesMax)));
  // One write: lines of several threads do not mix.  Nobody reading is no reason to stop.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace umbel::superlink

#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace umbel::supernode {

enum class LogSeverity { kInfo, kWarn, kError };

// One event as one line of standard error: time (UTC), severity, text.  Control characters of the
// text are escaped.  Any thread.
void write_log(LogSeverity severity, std::string_view event);

// log_info("fleet: connected hub={}", hub).  error: a person must act; warn: we coped; info: a few
// a round.  Never payloads, keys or tokens.
template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  write_log(LogSeverity::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_warn(fmt::format_string<Args...> format, Args&&... args) {
  write_log(LogSeverity::kWarn, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  write_log(LogSeverity::kError, fmt::format(format, std::forward<Args>(args)...));
}

// "2026-11-22T01:55:08.123Z"
std::string utc_now();
int64_t milliseconds_since_1970();

}  // namespace umbel::supernode

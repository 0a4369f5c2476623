#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>
#include <utility>

namespace umbel::superlink {

// One event, one line on standard error: "2026-11-22T10:00:00Z info fleet: node joined name=a".
// Control characters are escaped, lines cut at 2,000 bytes.  Never payloads, keys or tokens.
void log_line(std::string_view level, std::string_view text);

template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_line("info", fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_warn(fmt::format_string<Args...> format, Args&&... args) {
  log_line("warn", fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  log_line("error", fmt::format(format, std::forward<Args>(args)...));
}

int64_t now_milliseconds();                  // since 1970, UTC
std::string utc_text(int64_t milliseconds);  // "2026-11-22T10:00:00Z"

}  // namespace umbel::superlink

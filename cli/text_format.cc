#include "text_format.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>

namespace umbel::cli {

std::string utc_text(int64_t milliseconds) {
  const time_t seconds = static_cast<time_t>(milliseconds / 1000);
  tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::string age_text(int64_t milliseconds) {
  const int64_t seconds = std::max<int64_t>(0, milliseconds / 1000);
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m", seconds / 60);
  if (seconds < 86400) return fmt::format("{}h", seconds / 3600);
  return fmt::format("{}d", seconds / 86400);
}

std::string count_text(int64_t count) {
  std::string digits = std::to_string(count);
  const ptrdiff_t sign = count < 0 ? 1 : 0;
  for (ptrdiff_t at = static_cast<ptrdiff_t>(digits.size()) - 3; at > sign; at -= 3) {
    digits.insert(digits.begin() + at, ',');
  }
  return digits;
}

std::string bytes_text(int64_t bytes) {
  static constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return fmt::format("{} bytes", bytes);
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  for (; value >= 1023.95 && unit < 5; ++unit) value /= 1024;
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string seconds_text(double seconds) {
  if (seconds < 9.995) return fmt::format("{:.2f}s", seconds);
  if (seconds < 59.95) return fmt::format("{:.1f}s", seconds);
  const auto whole = static_cast<int64_t>(std::min(seconds + 0.5, 1e15));
  if (whole < 3600) return fmt::format("{}m {:02}s", whole / 60, whole % 60);
  return fmt::format("{}h {:02}m", whole / 3600, whole / 60 % 60);
}

std::string metric_text(double value) {
  if (!std::isfinite(value)) return std::isnan(value) ? "nan" : value < 0 ? "-inf" : "inf";
  const double size = std::fabs(value);
  if (size != 0 && (size < 1e-3 || size >= 1e6)) return fmt::format("{:.3g}", value);
  return fmt::format("{:.{}f}", value, size < 10 ? 3 : size < 1000 ? 2 : 0);
}

// A whole number from 2 on is a count, such as the mean of examples where all clients have as many.
std::string metric_text(const MetricValue& value) {
  if (const auto* integer = std::get_if<int64_t>(&value.base())) return std::to_string(*integer);
  if (const auto* real = std::get_if<double>(&value.base())) {
    const bool whole = std::fabs(*real) < 9e15 && *real == std::round(*real);
    return whole && std::fabs(*real) >= 2 ? fmt::format("{:.0f}", *real) : metric_text(*real);
  }
  return std::visit(
      [](const auto& list) -> std::string {
        if constexpr (requires { list.size(); }) return fmt::format("{} numbers", list.size());
        return "";
      },
      value.base());
}

std::string rounds_text(int64_t rounds, int64_t planned) {
  return planned > rounds ? fmt::format("{} of {}", rounds, planned) : std::to_string(rounds);
}

std::string reasons_summary(const FailureReasons& reasons) {
  std::string text;
  for (const auto& [reason, count] : reasons) {
    text +=
        fmt::format("{}{} {}", text.empty() ? "" : ", ", count_text(count), terminal_safe(reason));
  }
  return text;
}

std::string text_table(const std::vector<std::vector<std::string>>& rows) {
  if (rows.empty()) return "";
  std::vector<size_t> widths(rows.front().size());
  for (const auto& row : rows) {
    for (size_t i = 0; i != row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i != row.size(); ++i) line += fmt::format("{:<{}}  ", row[i], widths[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    text += (text.empty() ? "" : "\n") + line;
  }
  return text;
}

// Also C1 controls (0x80 to 0x9f), which as UTF-8 are two bytes that begin with 0xc2.
std::string terminal_safe(std::string_view text) {
  std::string safe;
  safe.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    if (byte == 0xc2 && next >= 0x80 && next < 0xa0) {
      safe += fmt::format("\\x{:02x}", next);
      ++i;
    } else if ((byte < 0x20 && byte != '\t') || byte == 0x7f) {
      safe += fmt::format("\\x{:02x}", byte);
    } else {
      safe += text[i];
    }
  }
  return safe;
}

std::optional<double> find_real(const MetricRecord& metrics, std::string_view name) {
  const MetricValue* value = metrics.find(name);
  if (value == nullptr) return std::nullopt;
  if (const auto* integer = std::get_if<int64_t>(&value->base())) {
    return static_cast<double>(*integer);
  }
  const auto* real = std::get_if<double>(&value->base());
  return real != nullptr ? std::optional(*real) : std::nullopt;
}

int64_t now_milliseconds() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace umbel::cli

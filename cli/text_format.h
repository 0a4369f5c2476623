#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "event.h"

namespace umbel::cli {

// Numbers as people read them.
std::string utc_text(int64_t milliseconds);                  // 2026-01-31T12:00:00Z
std::string age_text(int64_t milliseconds);                  // 12s, 5m, 3h, 2d
std::string count_text(int64_t count);                       // 2,310
std::string bytes_text(int64_t bytes);                       // 1.5 MiB
std::string seconds_text(double seconds);                    // 0.04s, 12.3s, 3m 05s, 2h 10m
std::string metric_text(double value);                       // 0.834, 1.25e-07, nan
std::string metric_text(const MetricValue& value);           // 60, 0.834, 3 numbers
std::string rounds_text(int64_t rounds, int64_t planned);    // 20, 1 of 30
std::string reasons_summary(const FailureReasons& reasons);  // 2 client-failed, 1 non-finite

// Rows of as many cells each, in columns.
std::string text_table(const std::vector<std::vector<std::string>>& rows);

// What an app printed, made safe for a terminal: control characters are shown, tabs stay.
std::string terminal_safe(std::string_view text);

// The number under `name`, if there is one and it is a single one.
std::optional<double> find_real(const MetricRecord& metrics, std::string_view name);

int64_t now_milliseconds();

}  // namespace umbel::cli

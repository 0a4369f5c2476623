#pragma once

#include <string>
#include <string_view>

#include "umbel/app/runtime.h"

namespace umbel {

// A round's report as one line of JSON, from which it comes back bit by bit: any bytes in names and
// texts, NaN and infinities, integers told from reals.
std::string report_line(const RoundReport& report);
// INVALID_ARGUMENT for a line that report_line() does not make.
Result<RoundReport> parse_report_line(std::string_view line);

// Any bytes as text that JSON can hold: each byte is the character of that number.
std::string bytes_as_text(std::string_view bytes);
Result<std::string> text_as_bytes(std::string_view text);

}  // namespace umbel

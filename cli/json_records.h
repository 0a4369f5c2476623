#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "event.h"
#include "umbel/record/record.h"

namespace umbel::cli {

using Json = nlohmann::ordered_json;

// Numbers and lists of numbers; NaN and infinities are null, and null reads as NaN.
Json json_of(const MetricRecord& metrics);
Json json_of(const ConfigValue& value);
Json json_of(const FailureReasons& reasons);
Json json_of(const std::vector<FailureSample>& samples);

// INVALID_ARGUMENT if something else than numbers and lists of numbers is in it.
Result<MetricRecord> metrics_of(const Json& object);

// INVALID_ARGUMENT if it is nothing that a setting can be: a truth value, a finite number, a text,
// or a list of one of these kinds.
Result<ConfigValue> config_value_of(const Json& json);

// One line of text, whatever bytes the strings have: what is not UTF-8 becomes U+FFFD.
std::string text_of(const Json& json);
// Nesting and members (colons outside strings) against what any event has; INVALID_ARGUMENT names
// the limit.
Status check_json_limits(std::string_view text);
// The value, or a discarded one if the text is no JSON or beyond those limits.
Json parse_json(std::string_view text);

// As history.db keeps them.
std::string metrics_text(const MetricRecord& metrics);
MetricRecord metrics_from_text(std::string_view text);
std::string reasons_text(const FailureReasons& reasons);
FailureReasons reasons_from_text(std::string_view text);
std::string samples_text(const std::vector<FailureSample>& samples);
std::vector<FailureSample> samples_from_text(std::string_view text);
std::string value_text(const ConfigValue& value);

}  // namespace umbel::cli

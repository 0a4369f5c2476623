#pragma once

#include <string>
#include <string_view>

#include "umbel/base/status.h"

namespace umbel::http {

// The Status that error_response() was made of, from an answer's code and body; anything else
// becomes a Status by its code alone.
Status status_of(int http_code, std::string_view body);

// "Not Found"
std::string_view reason_phrase(int http_code);

}  // namespace umbel::http

#pragma once

#include <string_view>

namespace umbel {

// Prints the failed condition with its place and aborts.
[[noreturn]] void check_failed(std::string_view condition, std::string_view file, int line);

}  // namespace umbel

// What only a bug of ours can make false; it stays on in release builds.
#define UMBEL_CHECK(condition) \
  ((condition) ? (void)0 : ::umbel::check_failed(#condition, __FILE__, __LINE__))
// The same where the check would cost time; on in debug and sanitizer builds.
#ifdef NDEBUG
#define UMBEL_DCHECK(condition) ((void)sizeof(!(condition)))
#else
#define UMBEL_DCHECK(condition) UMBEL_CHECK(condition)
#endif

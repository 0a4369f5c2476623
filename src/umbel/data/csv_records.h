#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/base/status.h"

namespace umbel::data {

inline constexpr size_t kCsvLineBytesMax = size_t{1} << 20;  // of a record, line ends included
inline constexpr size_t kCsvColumnsMax = 16384;

// Cuts RFC 4180 text into records of fields: quotes, doubled quotes, separators and line ends
// within quotes, lines that end in LF or CRLF; a UTF-8 byte order mark is skipped, and so are empty
// lines at the end.  It knows nothing of types.  The text must outlive it.
class CsvRecords {
 public:
  CsvRecords(std::string_view text, char separator);

  // Reads the next record into fields(); false at the end.  INVALID_ARGUMENT, with line and column,
  // for a stray or unclosed quote or a NUL byte, RESOURCE_EXHAUSTED beyond a limit above.
  Result<bool> next();

  const std::vector<std::string_view>& fields() const { return fields_; }
  uint64_t line() const { return line_; }  // of the record's first character, from 1

 private:
  Status read_field();
  Status read_quoted();
  Status read_bare();
  Status limits() const;
  bool at_line_end() const;
  void skip_line_end();
  template <class... Args>
  Status wrong(fmt::format_string<Args...> format, Args&&... args) const;

  std::string_view text_;
  char separator_;
  size_t at_ = 0;
  size_t record_start_ = 0;
  uint64_t line_ = 0;
  uint64_t next_line_ = 1;
  std::vector<std::string_view> fields_;
  std::deque<std::string> unescaped_;  // fields that had doubled quotes; fields_ points into them
  size_t unescaped_count_ = 0;
};

}  // namespace umbel::data

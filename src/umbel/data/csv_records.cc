#include "umbel/data/csv_records.h"

#include <algorithm>
#include <utility>

namespace umbel::data {

CsvRecords::CsvRecords(std::string_view text, char separator) : text_(text), separator_(separator) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text_.starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
}

template <class... Args>
Status CsvRecords::wrong(fmt::format_string<Args...> format, Args&&... args) const {
  return invalid_argument("line {}, column {}: {}", next_line_, fields_.size() + 1,
                          fmt::format(format, std::forward<Args>(args)...));
}

bool CsvRecords::at_line_end() const {
  return text_[at_] == '\n' || (text_[at_] == '\r' && text_.substr(at_, 2) == "\r\n");
}

void CsvRecords::skip_line_end() {
  at_ += text_[at_] == '\r' ? 2 : 1;
  ++next_line_;
}

Status CsvRecords::limits() const {
  if (at_ - record_start_ > kCsvLineBytesMax) {
    return resource_exhausted("line {}: longer than the limit of {} bytes", line_,
                              kCsvLineBytesMax);
  }
  if (fields_.size() > kCsvColumnsMax) {
    return resource_exhausted("line {}: more than the limit of {} columns", line_, kCsvColumnsMax);
  }
  return absl::OkStatus();
}

Status CsvRecords::read_bare() {
  const size_t start = at_;
  for (; at_ != text_.size() && text_[at_] != separator_ && !at_line_end(); ++at_) {
    if (text_[at_] == '\0') return wrong("NUL byte: this is not a text file");
    if (text_[at_] == '"') return wrong("a quote within a field that does not start with one");
    if (at_ - record_start_ > kCsvLineBytesMax) return limits();
  }
  fields_.push_back(text_.substr(start, at_ - start));
  return absl::OkStatus();
}

Status CsvRecords::read_quoted() {
  const uint64_t opened = next_line_;
  const size_t start = ++at_;
  size_t doubled = 0;
  for (;; ++at_) {
    if (at_ == text_.size()) {
      return invalid_argument("line {}, column {}: the quote is never closed", opened,
                              fields_.size() + 1);
    }
    if (at_ - record_start_ > kCsvLineBytesMax) return limits();
    if (text_[at_] == '\0') return wrong("NUL byte: this is not a text file");
    if (text_[at_] == '\n') ++next_line_;
    if (text_[at_] != '"') continue;
    if (at_ + 1 == text_.size() || text_[at_ + 1] != '"') break;
    ++doubled;
    ++at_;
  }
  std::string_view field = text_.substr(start, at_ - start);
  ++at_;
  if (at_ != text_.size() && text_[at_] != separator_ && !at_line_end()) {
    return wrong("text after the closing quote");
  }
  if (doubled != 0) {
    if (unescaped_count_ == unescaped_.size()) unescaped_.emplace_back();
    std::string& plain = unescaped_[unescaped_count_++];
    plain.clear();
    for (size_t i = 0; i != field.size(); i += field[i] == '"' ? 2 : 1) plain += field[i];
    field = plain;
  }
  fields_.push_back(field);
  return absl::OkStatus();
}

Status CsvRecords::read_field() {
  const bool quoted = at_ != text_.size() && text_[at_] == '"';
  UMBEL_RETURN_IF_ERROR(quoted ? read_quoted() : read_bare());
  return limits();
}

Result<bool> CsvRecords::next() {
  fields_.clear();
  unescaped_count_ = 0;
  record_start_ = at_;
  line_ = next_line_;
  if (text_.find_first_not_of("\r\n", at_) == std::string_view::npos) return false;
  for (;;) {
    UMBEL_RETURN_IF_ERROR(read_field());
    if (at_ == text_.size()) return true;
    if (text_[at_] != separator_) break;
    ++at_;
  }
  skip_line_end();
  return true;
}

}  // namespace umbel::data

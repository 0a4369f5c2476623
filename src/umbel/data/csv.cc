#include "umbel/data/csv.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <unordered_set>

#include "umbel/base/buffer.h"
#include "umbel/base/text.h"

namespace umbel::data {

namespace {

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

template <class T>
std::optional<T> number(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// What a message shows of a field.
std::string shown(std::string_view field) {
  constexpr size_t kShownMax = 40;
  return fmt::format("\"{}\"{}", escaped(field.substr(0, kShownMax)),
                     field.size() > kShownMax ? "..." : "");
}

// Gives texts numbers in order of first appearance, later in order of their bytes.
class Dictionary {
 public:
  Result<int32_t> add(std::string_view text) {
    if (const auto found = ids_.find(text); found != ids_.end()) return found->second;
    if (ids_.size() == static_cast<size_t>(kClassesMax)) {
      return resource_exhausted("more than the limit of {} different labels", kClassesMax);
    }
    const auto id = static_cast<int32_t>(ids_.size());
    ids_.emplace(text, id);
    return id;
  }
  // The texts if they are all small whole numbers.
  std::optional<std::vector<int32_t>> as_numbers() const {
    std::vector<int32_t> values(ids_.size());
    for (const auto& [text, id] : ids_) {
      const auto value = number<int64_t>(text);
      if (!value || *value < 0 || *value >= kClassesMax) return std::nullopt;
      values[static_cast<size_t>(id)] = static_cast<int32_t>(*value);
    }
    return values;
  }
  std::vector<int32_t> as_ranks() const {
    std::vector<int32_t> ranks(ids_.size());
    int32_t rank = 0;
    for (const auto& [text, id] : ids_) ranks[static_cast<size_t>(id)] = rank++;
    return ranks;
  }
  std::vector<std::string> texts() const {
    std::vector<std::string> sorted;
    for (const auto& [text, id] : ids_) sorted.push_back(text);
    return sorted;
  }

 private:
  std::map<std::string, int32_t, std::less<>> ids_;
};

class Reader {
 public:
  Reader(std::string_view text, const CsvOptions& options)
      : records_(text, options.separator), options_(options) {}

  Result<CsvTable> read() {
    UMBEL_RETURN_IF_ERROR(check_options());
    UMBEL_ASSIGN_OR_RETURN(const bool any, records_.next());
    if (!any) return invalid_argument("the file is empty");
    UMBEL_RETURN_IF_ERROR(name_columns());
    if (!options_.header) UMBEL_RETURN_IF_ERROR(read_row());
    for (;;) {
      UMBEL_ASSIGN_OR_RETURN(const bool more, records_.next());
      if (!more) break;
      UMBEL_RETURN_IF_ERROR(read_row());
    }
    if (labels_.empty()) return invalid_argument("there is no row after the header");
    return finish();
  }

 private:
  Status check_options() const {
    const char separator = options_.separator;
    if (separator == '"' || separator == '\n' || separator == '\r' || separator == '\0') {
      return invalid_argument("option separator: {} cannot separate fields",
                              shown({&separator, 1}));
    }
    return absl::OkStatus();
  }

  Status name_columns() {
    const auto& fields = records_.fields();
    for (size_t i = 0; i != fields.size(); ++i) {
      names_.push_back(options_.header ? std::string(trimmed(fields[i])) : std::to_string(i + 1));
    }
    std::unordered_set<std::string_view> seen;
    for (size_t i = 0; i != names_.size(); ++i) {
      if (!seen.insert(names_[i]).second) {
        return invalid_argument("line 1, column {}: the name {} occurs twice", i + 1,
                                shown(names_[i]));
      }
    }
    const auto label = std::find(names_.begin(), names_.end(), options_.label);
    if (label == names_.end()) {
      return invalid_argument("line 1: there is no column {} for the label{}",
                              shown(options_.label), did_you_mean(options_.label, names_));
    }
    if (names_.size() == 1) return invalid_argument("line 1: there is no column but the label's");
    label_column_ = static_cast<size_t>(label - names_.begin());
    return absl::OkStatus();
  }

  Status read_row() {
    const auto& fields = records_.fields();
    if (fields.size() != names_.size()) {
      return invalid_argument("line {}: {} columns, expected {}", records_.line(), fields.size(),
                              names_.size());
    }
    for (size_t i = 0; i != fields.size(); ++i) {
      UMBEL_RETURN_IF_ERROR(i == label_column_ ? read_label(fields[i]) : read_value(i, fields[i]));
    }
    return absl::OkStatus();
  }

  Status read_value(size_t column, std::string_view field) {
    const auto value = number<double>(field);
    if (!value || !std::isfinite(*value)) {
      return invalid_argument("line {}, column {} ({}): {}, expected a finite number",
                              records_.line(), column + 1, shown(names_[column]), shown(field));
    }
    values_.push_back(*value);
    return absl::OkStatus();
  }

  Status read_label(std::string_view field) {
    const std::string_view text = trimmed(field);
    if (text.empty()) {
      return invalid_argument("line {}, column {} ({}): the label is empty", records_.line(),
                              label_column_ + 1, shown(names_[label_column_]));
    }
    const Result<int32_t> id = dictionary_.add(text);
    if (!id.ok()) return annotate(id.status(), fmt::format("line {}", records_.line()));
    labels_.push_back(*id);
    return absl::OkStatus();
  }

  CsvTable finish() {
    CsvTable table;
    const auto numbers = dictionary_.as_numbers();
    const std::vector<int32_t> codes = numbers ? *numbers : dictionary_.as_ranks();
    if (!numbers) table.classes = dictionary_.texts();
    table.class_count = int64_t{*std::max_element(codes.begin(), codes.end())} + 1;
    for (int32_t& label : labels_) label = codes[static_cast<size_t>(label)];
    const auto rows = static_cast<int64_t>(labels_.size());
    const auto columns = static_cast<int64_t>(names_.size()) - 1;
    table.labels = Array::copy_of<int32_t>(labels_, {rows});
    table.values = Array::copy_of<double>(values_, {rows, columns});
    names_.erase(names_.begin() + static_cast<std::ptrdiff_t>(label_column_));
    table.columns = std::move(names_);
    return table;
  }

  CsvRecords records_;
  const CsvOptions& options_;
  std::vector<std::string> names_;
  size_t label_column_ = 0;
  std::vector<double> values_;
  std::vector<int32_t> labels_;
  Dictionary dictionary_;
};

Result<Array> narrowed(const CsvTable& table) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  const auto values = table.values.view<double>();
  Array narrow = Array::uninitialized(DType::kFloat32, table.values.shape());
  const auto out = narrow.mutable_view<float>();
  for (size_t i = 0; i != values.size(); ++i) {
    if (std::fabs(values[i]) > kLargest) {
      return invalid_argument("row {}, column {}: {} is beyond float32's range",
                              i / table.columns.size() + 1,
                              shown(table.columns[i % table.columns.size()]), values[i]);
    }
    out[i] = static_cast<float>(values[i]);
  }
  return narrow;
}

}  // namespace

Result<CsvTable> parse_csv(std::string_view text, std::string_view name,
                           const CsvOptions& options) {
  Result<CsvTable> table = Reader(text, options).read();
  if (!table.ok()) return annotate(table.status(), name);
  return table;
}

Result<CsvTable> read_csv(const std::filesystem::path& path, const CsvOptions& options) {
  UMBEL_ASSIGN_OR_RETURN(const Buffer file, Buffer::map_file(path.string()));
  return parse_csv({reinterpret_cast<const char*>(file.data()), file.size()}, path.string(),
                   options);
}

Result<Dataset> load_csv(const std::filesystem::path& path, const CsvOptions& options) {
  UMBEL_ASSIGN_OR_RETURN(CsvTable table, read_csv(path, options));
  Result<Array> features = narrowed(table);
  if (!features.ok()) return annotate(features.status(), path.string());
  Dataset dataset{*std::move(features),     std::move(table.labels),  table.class_count,
                  path.filename().string(), std::move(table.classes), std::move(table.columns)};
  UMBEL_RETURN_IF_ERROR(check(dataset));
  return dataset;
}

Dataset csv(const std::filesystem::path& path, const CsvOptions& options) {
  return or_throw(load_csv(path, options));
}

}  // namespace umbel::data

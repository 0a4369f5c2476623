#include "umbel/data/csv.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "umbel/base/buffer.h"
#include "umbel/base/text.h"
#include "umbel/data/field_text.h"

namespace umbel::data {

namespace {

enum class Role { kValue, kLabel, kNaturalId, kIgnored };

class Reader {
 public:
  explicit Reader(const CsvOptions& options) : options_(options) {}

  // Adds a file's rows.
  Status read(std::string_view text) {
    UMBEL_RETURN_IF_ERROR(check_options());
    CsvRecords records(text, options_.separator);
    UMBEL_ASSIGN_OR_RETURN(const bool any, records.next());
    if (!any) return invalid_argument("the file is empty");
    UMBEL_RETURN_IF_ERROR(names_.empty() ? name_columns(records) : same_columns(records));
    const size_t before = table_.rows();
    if (!options_.header) UMBEL_RETURN_IF_ERROR(read_row(records));
    for (;;) {
      UMBEL_ASSIGN_OR_RETURN(const bool more, records.next());
      if (!more) break;
      UMBEL_RETURN_IF_ERROR(read_row(records));
    }
    if (table_.rows() == before) return invalid_argument("there is no row after the header");
    return absl::OkStatus();
  }

  CsvTable finish() {
    std::vector<std::string> columns;
    for (size_t i = 0; i != names_.size(); ++i) {
      if (roles_[i] == Role::kValue) columns.push_back(std::move(names_[i]));
    }
    return table_.finish(std::move(columns));
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

  std::string name_of(const CsvRecords& records, size_t column) const {
    return options_.header ? std::string(trimmed(records.fields()[column]))
                           : std::to_string(column + 1);
  }

  Status name_columns(const CsvRecords& records) {
    std::vector<std::string> names;
    for (size_t i = 0; i != records.fields().size(); ++i) names.push_back(name_of(records, i));
    std::unordered_set<std::string_view> seen;
    for (size_t i = 0; i != names.size(); ++i) {
      if (!seen.insert(names[i]).second) {
        return invalid_argument("line 1, column {}: the name {} occurs twice", i + 1,
                                shown(names[i]));
      }
    }
    roles_.assign(names.size(), Role::kValue);
    for (const std::string& name : options_.ignored) {
      UMBEL_RETURN_IF_ERROR(give_role(names, name, Role::kIgnored, "to ignore"));
    }
    UMBEL_RETURN_IF_ERROR(give_role(names, options_.label, Role::kLabel, "for the label"));
    if (!options_.natural_id.empty()) {
      UMBEL_RETURN_IF_ERROR(
          give_role(names, options_.natural_id, Role::kNaturalId, "for the natural id"));
    }
    if (std::find(roles_.begin(), roles_.end(), Role::kValue) == roles_.end()) {
      return invalid_argument("line 1: there is no column but the label's");
    }
    names_ = std::move(names);
    return absl::OkStatus();
  }

  Status give_role(const std::vector<std::string>& names, const std::string& name, Role role,
                   const char* purpose) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      return invalid_argument("line 1: there is no column {} {}{}; {}", shown(name), purpose,
                              did_you_mean(name, names), columns_there(names));
    }
    Role& given = roles_[static_cast<size_t>(found - names.begin())];
    if (given != Role::kValue) {
      return invalid_argument("line 1: column {} cannot be {} and something else too", shown(name),
                              purpose);
    }
    given = role;
    return absl::OkStatus();
  }

  std::string columns_there(const std::vector<std::string>& names) const {
    constexpr size_t kShownMax = 12;
    std::string list;
    for (size_t i = 0; i != std::min(names.size(), kShownMax); ++i) {
      list += (i == 0 ? "" : ", ") + shown(names[i]);
    }
    if (names.size() > kShownMax) list += fmt::format(" and {} more", names.size() - kShownMax);
    if (names.size() > 1) return "there are " + list;
    return fmt::format("there is one, {}: columns are separated by {}, in this file perhaps not",
                       list, shown({&options_.separator, 1}));
  }

  Status same_columns(const CsvRecords& records) const {
    if (records.fields().size() != names_.size()) return ragged(records);
    for (size_t i = 0; i != names_.size(); ++i) {
      if (const std::string name = name_of(records, i); name != names_[i]) {
        return invalid_argument("line 1, column {}: it is {}, the files before have {} there",
                                i + 1, shown(name), shown(names_[i]));
      }
    }
    return absl::OkStatus();
  }

  Status ragged(const CsvRecords& records) const {
    const size_t columns = records.fields().size();
    const size_t expected = names_.size();
    return invalid_argument(
        "line {}: {} columns, expected {}: {}", records.line(), columns, expected,
        columns < expected
            ? fmt::format("column {} ({}) is missing", columns + 1, shown(names_[columns]))
            : fmt::format("column {} is {}", expected + 1, shown(records.fields()[expected])));
  }

  Status read_row(const CsvRecords& records) {
    const auto& fields = records.fields();
    if (fields.size() != names_.size()) return ragged(records);
    for (size_t i = 0; i != fields.size(); ++i) {
      if (Status status = read_field(fields[i], roles_[i]); !status.ok()) {
        return annotate(status, fmt::format("line {}, column {} ({})", records.line(), i + 1,
                                            shown(names_[i])));
      }
    }
    return absl::OkStatus();
  }

  Status read_field(std::string_view field, Role role) {
    switch (role) {
      case Role::kLabel:
        return table_.add_label(field);
      case Role::kNaturalId:
        return table_.add_natural_id(field);
      case Role::kIgnored:
        return absl::OkStatus();
      case Role::kValue:
        break;
    }
    const auto value = number<double>(field);
    if (value && std::isfinite(*value)) return table_.add_value(*value);
    return invalid_argument(
        "{}, expected a finite number; a column of anything else is the label, the natural id "
        "(--natural-id), or left out (--ignore)",
        shown(field));
  }

  const CsvOptions& options_;
  std::vector<std::string> names_;
  std::vector<Role> roles_;
  TableBuilder table_;
};

}  // namespace

Result<CsvTable> parse_csv(std::string_view text, std::string_view name,
                           const CsvOptions& options) {
  Reader reader(options);
  if (Status status = reader.read(text); !status.ok()) return annotate(status, name);
  return reader.finish();
}

Result<CsvTable> read_csv(const std::vector<std::filesystem::path>& paths,
                          const CsvOptions& options) {
  if (paths.empty()) return invalid_argument("no file");
  Reader reader(options);
  for (const std::filesystem::path& path : paths) {
    UMBEL_ASSIGN_OR_RETURN(const Buffer file, Buffer::map_file(path.string()));
    const Status status = reader.read({reinterpret_cast<const char*>(file.data()), file.size()});
    if (!status.ok()) return annotate(status, path.string());
  }
  return reader.finish();
}

Result<CsvTable> read_csv(const std::filesystem::path& path, const CsvOptions& options) {
  return read_csv(std::vector{path}, options);
}

Result<Dataset> load_csv(const std::filesystem::path& path, const CsvOptions& options) {
  UMBEL_ASSIGN_OR_RETURN(CsvTable table, read_csv(path, options));
  Result<Dataset> dataset = to_dataset(std::move(table), path.filename().string());
  if (!dataset.ok()) return annotate(dataset.status(), path.string());
  return dataset;
}

Dataset csv(const std::filesystem::path& path, const CsvOptions& options) {
  return or_throw(load_csv(path, options));
}

}  // namespace umbel::data

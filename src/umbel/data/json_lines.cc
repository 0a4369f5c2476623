#include "umbel/data/json_lines.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "umbel/base/buffer.h"
#include "umbel/data/json_row.h"

namespace umbel::data {

namespace {

using Sax = nlohmann::json_sax<nlohmann::json>;

// The parser's events as a row's; the first error ends the parse.
class Events final : public Sax {
 public:
  // `lists`: the text is a list of objects, not one object.
  Events(JsonRow& row, bool lists) : row_(row), outer_(lists ? 1 : 0) {}

  bool null() override {
    return value([&] { return row_.null(); });
  }
  bool boolean(bool truth) override {
    return value([&] { return row_.scalar(truth ? "true" : "false", truth ? 1 : 0); });
  }
  bool number_integer(number_integer_t number) override { return integer(number); }
  bool number_unsigned(number_unsigned_t number) override { return integer(number); }
  bool number_float(number_float_t number, const string_t& text) override {
    return value([&] { return row_.scalar(text, number); });
  }
  bool string(string_t& text) override {
    return value([&] { return row_.scalar(text, std::nullopt); });
  }
  bool binary(binary_t&) override { return true; }  // not in JSON's text
  bool start_object(size_t) override {
    if (row_.inside()) {
      ++inner_;
      return keep(row_.begin_inner());
    }
    if (open_ != outer_) return keep(invalid_argument("a list, expected an object"));
    ++object_;
    return keep(row_.begin());
  }
  bool key(string_t& name) override { return keep(row_.key(name)); }
  bool end_object() override {
    if (inner_ == 0) return keep(row_.end());
    --inner_;
    return keep(row_.end_inner());
  }
  bool start_array(size_t) override {
    if (row_.inside()) return keep(row_.begin_list());
    ++open_;
    return open_ <= outer_ || keep(invalid_argument("a list, expected an object"));
  }
  bool end_array() override { return !row_.inside() || keep(row_.end_list()); }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) override {
    position_ = position;
    return false;
  }

  const Status& status() const { return status_; }
  size_t position() const { return position_; }  // bytes up to where the text is not JSON
  uint64_t object() const { return object_; }    // from 1; 0 before the first

 private:
  bool keep(Status status) {
    status_ = std::move(status);
    return status_.ok();
  }
  template <class Action>
  bool value(Action action) {
    if (row_.inside()) return keep(action());
    return keep(invalid_argument("a value, expected an object"));
  }
  template <class Number>
  bool integer(Number number) {
    return value([&] { return row_.scalar(std::to_string(number), static_cast<double>(number)); });
  }

  JsonRow& row_;
  size_t outer_;
  size_t open_ = 0;   // lists around the objects
  size_t inner_ = 0;  // objects within the object
  uint64_t object_ = 0;
  size_t position_ = 0;
  Status status_;
};

Status read_lines(std::string_view text, JsonRow& row) {
  for (uint64_t line = 1; !text.empty(); ++line) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view one = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (one.size() > kJsonLineBytesMax) {
      return resource_exhausted("line {}: longer than the limit of {} bytes", line,
                                kJsonLineBytesMax);
    }
    if (one.find_first_not_of(" \t\r") == one.npos) continue;
    Events events(row, false);
    if (nlohmann::json::sax_parse(one.begin(), one.end(), &events)) continue;
    if (!events.status().ok()) return annotate(events.status(), fmt::format("line {}", line));
    return invalid_argument("line {}, column {}: this is not JSON", line, events.position());
  }
  return absl::OkStatus();
}

Status read_list(std::string_view text, JsonRow& row) {
  if (text.size() > kJsonFileBytesMax) {
    return resource_exhausted("{} bytes, the limit of one JSON list is {}; use JSON lines",
                              text.size(), kJsonFileBytesMax);
  }
  Events events(row, true);
  if (nlohmann::json::sax_parse(text.begin(), text.end(), &events)) return absl::OkStatus();
  if (!events.status().ok()) {
    return annotate(events.status(), fmt::format("object {}", events.object()));
  }
  const std::string_view before = text.substr(0, std::min(events.position(), text.size()));
  const auto line = 1 + std::ranges::count(before.substr(0, before.size() - 1), '\n');
  return invalid_argument("line {}: this is not JSON", line);
}

Status read_text(std::string_view text, JsonRow& row) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  const size_t start = text.find_first_not_of(" \t\r\n");
  if (start == text.npos) return invalid_argument("the file is empty");
  const size_t before = row.rows();
  UMBEL_RETURN_IF_ERROR(text[start] == '[' ? read_list(text, row) : read_lines(text, row));
  if (row.rows() == before) return invalid_argument("there is no object");
  return absl::OkStatus();
}

}  // namespace

Result<Table> parse_json(std::string_view text, std::string_view name, const JsonOptions& options) {
  JsonRow row(options);
  if (Status status = read_text(text, row); !status.ok()) return annotate(status, name);
  return row.finish();
}

Result<Table> read_json(const std::vector<std::filesystem::path>& paths,
                        const JsonOptions& options) {
  if (paths.empty()) return invalid_argument("no file");
  JsonRow row(options);
  for (const std::filesystem::path& path : paths) {
    UMBEL_ASSIGN_OR_RETURN(const Buffer file, Buffer::map_file(path.string()));
    const Status status = read_text({reinterpret_cast<const char*>(file.data()), file.size()}, row);
    if (!status.ok()) return annotate(status, path.string());
  }
  return row.finish();
}

Result<Dataset> load_json(const std::filesystem::path& path, const JsonOptions& options) {
  UMBEL_ASSIGN_OR_RETURN(Table table, read_json(std::vector{path}, options));
  Result<Dataset> dataset = to_dataset(std::move(table), path.filename().string());
  if (!dataset.ok()) return annotate(dataset.status(), path.string());
  return dataset;
}

Dataset json(const std::filesystem::path& path, const JsonOptions& options) {
  return or_throw(load_json(path, options));
}

}  // namespace umbel::data

#include "manifest_population.h"

#include "manifest_table.h"
#include "umbel/base/files.h"

namespace umbel::cli {

namespace {

constexpr size_t kFileBytesMax = 1 << 20;

// The choice whose name_of() is the text.
template <class Choice>
Status take_choice(Table& table, std::string_view key, std::initializer_list<Choice> choices,
                   Choice& choice) {
  std::string text(name_of(choice)), all;
  UMBEL_RETURN_IF_ERROR(table.take_text(key, text));
  for (const Choice candidate : choices) {
    if (text == name_of(candidate)) {
      choice = candidate;
      return absl::OkStatus();
    }
    all += (all.empty() ? "\"" : ", \"") + std::string(name_of(candidate)) + "\"";
  }
  return table.wrong(*table.take(key),
                     fmt::format("expected one of {}; got \"{}\"", all, escaped(text)));
}

Status take_truth(Table& table, std::string_view key, bool& truth) {
  const TomlEntry* entry = table.take(key);
  if (entry == nullptr) return absl::OkStatus();
  const auto* value = entry->value ? std::get_if<bool>(&entry->value->base()) : nullptr;
  if (value == nullptr) return table.wrong(*entry, "expected true or false, got " + entry->kind);
  truth = *value;
  return absl::OkStatus();
}

Status take_reals(Table& table, std::string_view key, std::vector<double>& reals) {
  const TomlEntry* entry = table.take(key);
  if (entry == nullptr) return absl::OkStatus();
  if (entry->value) {
    if (const auto* given = std::get_if<std::vector<double>>(&entry->value->base())) {
      reals = *given;
      return absl::OkStatus();
    }
    if (const auto* given = std::get_if<std::vector<int64_t>>(&entry->value->base())) {
      reals.assign(given->begin(), given->end());
      return absl::OkStatus();
    }
  }
  return table.wrong(*entry, "expected a list of numbers, got " + entry->kind);
}

Status take_attributes(Table& table, std::string_view file, std::vector<Attribute>& attributes) {
  const TomlEntry* entry = table.take("attributes");
  if (entry == nullptr) return absl::OkStatus();
  if (!entry->table) {
    return table.wrong(*entry, "expected tables, [population.attributes.NAME]; got " + entry->kind);
  }
  for (const TomlEntry& child : entry->children) {
    if (!child.table) {
      return table.wrong(child,
                         "expected a table of categories with their shares, got " + child.kind);
    }
    Attribute& attribute = attributes.emplace_back(Attribute{child.key, {}, {}});
    Table categories(file, &child, "population.attributes." + escaped(child.key));
    for (const TomlEntry& category : child.children) {
      attribute.categories.push_back(category.key);
      UMBEL_RETURN_IF_ERROR(categories.take_real(category.key, attribute.shares.emplace_back()));
    }
  }
  return absl::OkStatus();
}

Status take_numbers(Table& table, PopulationOptions& options) {
  const std::pair<const char*, double*> numbers[] = {
      {"available-share", &options.available_share},
      {"session-hours", &options.session_hours},
      {"day-from", &options.day_from},
      {"day-hours", &options.day_hours},
      {"day-jitter-hours", &options.day_jitter_hours},
      {"start-hour", &options.start_hour},
      {"speed-spread", &options.speed_spread},
      {"down-mbits", &options.down_mbits},
      {"up-mbits", &options.up_mbits},
      {"bandwidth-spread", &options.bandwidth_spread},
      {"latency-seconds", &options.latency_seconds},
      {"latency-spread", &options.latency_spread},
      {"seconds-per-example", &options.seconds_per_example},
      {"dropout", &options.dropout}};
  for (const auto& [key, number] : numbers) {
    UMBEL_RETURN_IF_ERROR(table.take_real(key, *number));
  }
  return absl::OkStatus();
}

const TomlEntry* child_of(const TomlEntry& entry, std::string_view key) {
  for (const TomlEntry& child : entry.children) {
    if (child.key == key) return &child;
  }
  return nullptr;
}

// The line of the key that a message of PopulationOptions::validate() begins with.
int line_of(const TomlEntry& table, std::string_view message) {
  constexpr std::string_view kAttributes = "attributes.";
  const TomlEntry* found = &table;
  if (message.starts_with(kAttributes)) {
    message.remove_prefix(kAttributes.size());
    if (const TomlEntry* child = child_of(table, "attributes")) found = child;
  }
  const TomlEntry* child = child_of(*found, message.substr(0, message.find(':')));
  return child != nullptr ? child->line : found->line;
}

}  // namespace

Result<PopulationOptions> population_of(const TomlEntry& entry, std::string_view file) {
  PopulationOptions options;
  Table table(file, &entry, "population");
  UMBEL_RETURN_IF_ERROR(take_choice(table, "availability",
                                    {Availability::kAlways, Availability::kProbability,
                                     Availability::kDaily, Availability::kTrace},
                                    options.availability));
  UMBEL_RETURN_IF_ERROR(take_numbers(table, options));
  UMBEL_RETURN_IF_ERROR(take_reals(table, "time-zones", options.time_zones));
  UMBEL_RETURN_IF_ERROR(table.take_text("trace", options.trace));
  UMBEL_RETURN_IF_ERROR(
      take_choice(table, "trace-end", {TraceEnd::kRepeat, TraceEnd::kStop}, options.trace_end));
  UMBEL_RETURN_IF_ERROR(take_truth(table, "trace-reuse", options.trace_reuse));
  UMBEL_RETURN_IF_ERROR(take_attributes(table, file, options.attributes));
  UMBEL_RETURN_IF_ERROR(table.require_no_others());
  const Status status = options.validate();
  if (status.ok()) return options;
  const std::string message = message_of(status);
  return invalid_argument("{}:{}: [population] {}", file, line_of(entry, message), message);
}

Result<PopulationOptions> read_population(const std::filesystem::path& path) {
  const std::string file = escaped(path.string());
  UMBEL_ASSIGN_OR_RETURN(const std::string text, read_file(path, kFileBytesMax));
  UMBEL_ASSIGN_OR_RETURN(const std::vector<TomlEntry> entries, parse_toml(text, file));
  for (const TomlEntry& entry : entries) {
    if (entry.key == "population" && entry.table) continue;
    return invalid_argument("{}:{}: {}: expected nothing but the table [population]", file,
                            entry.line, escaped(entry.key));
  }
  if (entries.empty()) return invalid_argument("{}:1: [population]: missing", file);
  return population_of(entries.front(), file);
}

}  // namespace umbel::cli

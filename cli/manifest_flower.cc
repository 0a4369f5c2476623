#include <algorithm>

#include "manifest.h"
#include "manifest_table.h"
#include "umbel/base/text.h"
#include "umbel/toml/toml.h"

namespace umbel::cli {

namespace {

constexpr const char* kFile = "pyproject.toml";
constexpr int64_t kNodes = 10;  // of Flower's default federation
constexpr size_t kSettingsMax = 1000;

const TomlEntry* child_of(const TomlEntry* table, std::string_view key) {
  if (table == nullptr) return nullptr;
  const auto at = std::ranges::find(table->children, key, &TomlEntry::key);
  return at == table->children.end() ? nullptr : &*at;
}

// [a.b.c] of the document.
const TomlEntry* table_at(const TomlEntry& document, std::initializer_list<const char*> path) {
  const TomlEntry* at = &document;
  for (const char* key : path) at = child_of(at, key);
  return at;
}

Result<TomlEntry> document_of(std::string_view text, std::string_view file) {
  TomlEntry document;
  UMBEL_ASSIGN_OR_RETURN(document.children, parse_toml(text, file));
  return document;
}

// "Quick_Start.App" is quick-start-app to whoever installs it.
std::string normalised(std::string_view name) {
  std::string text;
  for (const char c : name) {
    const bool joint = c == '-' || c == '_' || c == '.';
    if (joint && text.ends_with('-')) continue;
    text += joint ? '-' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return text;
}

// "1.0" is 1.0.0 here, and "1.0.0rc1" 1.0.0-rc1.
std::string version_of(const std::string& text) {
  size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
  std::string numbers = text.substr(0, end), rest = text.substr(end);
  if (numbers.ends_with('.') && !rest.empty()) {  // 1.0.dev1
    numbers.pop_back();
    rest = "-" + rest;
  }
  while (std::ranges::count(numbers, '.') < 2) numbers += ".0";
  if (!rest.empty() && rest.front() != '-' && rest.front() != '+') rest = "-" + rest;
  return numbers + rest;
}

class Reader {
 public:
  Reader(const TomlEntry& document, std::string_view file) : document_(document), file_(file) {}

  Result<Manifest> read() {
    manifest_.cmake.clear();
    manifest_.python.flower = true;
    UMBEL_RETURN_IF_ERROR(read_project());
    Table app(file_, at({"tool", "flwr", "app"}), "tool.flwr.app");
    UMBEL_RETURN_IF_ERROR(app.take_text("publisher", manifest_.publisher));
    manifest_.publisher = normalised(manifest_.publisher);
    if (manifest_.publisher.empty()) manifest_.publisher = "example";
    UMBEL_RETURN_IF_ERROR(check_app_name("publisher", manifest_.publisher));
    Table components(file_, at({"tool", "flwr", "app", "components"}), "tool.flwr.app.components");
    UMBEL_RETURN_IF_ERROR(
        components.take_checked("serverapp", manifest_.python.server, bundle::check_python_object));
    UMBEL_RETURN_IF_ERROR(
        components.take_checked("clientapp", manifest_.python.client, bundle::check_python_object));
    if (const TomlEntry* config = at({"tool", "flwr", "app", "config"})) {
      UMBEL_RETURN_IF_ERROR(add_settings(*config, ""));
    }
    UMBEL_RETURN_IF_ERROR(read_nodes());
    return std::move(manifest_);
  }

 private:
  const TomlEntry* at(std::initializer_list<const char*> path) const {
    return table_at(document_, path);
  }
  Status read_project() {
    Table project(file_, at({"project"}), "project");
    UMBEL_RETURN_IF_ERROR(project.take_checked("name", manifest_.name, [](const std::string& name) {
      return check_app_name("name", normalised(name));
    }));
    manifest_.name = normalised(manifest_.name);
    manifest_.version = "0.0.0";  // of a project whose version is made when it is packed
    UMBEL_RETURN_IF_ERROR(project.take_text("version", manifest_.version));
    manifest_.version = version_of(manifest_.version);
    const Status good = check_app_version(manifest_.version);
    return good.ok() ? good : project.wrong(*project.take("version"), message_of(good));
  }
  Status add_settings(const TomlEntry& table, const std::string& prefix) {
    for (const TomlEntry& entry : table.children) {
      const std::string key = prefix + entry.key;
      if (entry.table) {
        UMBEL_RETURN_IF_ERROR(add_settings(entry, key + "."));
        continue;
      }
      if (!entry.value || manifest_.config.size() == kSettingsMax) {
        return invalid_argument("{}:{}: [tool.flwr.app.config] {}: {}", file_, entry.line,
                                escaped(key),
                                entry.value ? "too many settings" : "cannot be " + entry.kind);
      }
      manifest_.config.push_back({key, *entry.value, fmt::format("{}:{}", kFile, entry.line)});
    }
    return absl::OkStatus();
  }
  // Of the default federation, or else of the first that says how many.
  Status read_nodes() {
    manifest_.nodes = kNodes;
    const TomlEntry* federations = at({"tool", "flwr", "federations"});
    if (federations == nullptr) return absl::OkStatus();
    std::string chosen;
    UMBEL_RETURN_IF_ERROR(
        Table(file_, federations, "tool.flwr.federations").take_text("default", chosen));
    for (const bool by_name : {true, false}) {
      for (const TomlEntry& federation : federations->children) {
        const TomlEntry* options = child_of(&federation, "options");
        if (child_of(options, "num-supernodes") == nullptr) continue;
        if (by_name && federation.key != chosen) continue;
        return Table(file_, options, "tool.flwr.federations." + federation.key + ".options")
            .take_integer("num-supernodes", 1, INT64_MAX, manifest_.nodes);
      }
    }
    return absl::OkStatus();
  }

  const TomlEntry& document_;
  std::string_view file_;
  Manifest manifest_;
};

}  // namespace

bool is_flower_manifest(std::string_view text) {
  const Result<TomlEntry> document = document_of(text, kFile);
  if (document.ok()) return table_at(*document, {"tool", "flwr", "app"}) != nullptr;
  return text.find("[tool.flwr.app") != std::string_view::npos;
}

Result<Manifest> parse_flower_manifest(std::string_view text, std::string_view file) {
  UMBEL_ASSIGN_OR_RETURN(const TomlEntry document, document_of(text, file));
  if (table_at(document, {"tool", "flwr", "app"}) == nullptr) {
    return invalid_argument("{}:1: [tool.flwr.app]: missing", file);
  }
  return Reader(document, file).read();
}

}  // namespace umbel::cli

#include "doctor_subject.h"

#include <algorithm>
#include <sstream>

#include "umbel/base/files.h"
#include "umbel/bundle/source_files.h"

namespace umbel::cli {

namespace fs = std::filesystem;

namespace {

constexpr size_t kSourceBytesMax = 1 << 20;
constexpr size_t kSourcesMax = 200;
constexpr size_t kFilesLookedAtMax = 20'000;
constexpr size_t kTomlBytesMax = 1 << 20;

std::optional<std::string> text_of_file(const fs::path& file) {
  std::error_code error;
  if (!fs::is_regular_file(file, error)) return std::nullopt;
  auto text = read_file(file, kSourceBytesMax);
  return text.ok() ? std::optional(*std::move(text)) : std::nullopt;
}

bool is_source(const fs::path& path) {
  const std::string ending = path.extension().string();
  for (const char* known : {".cc", ".cpp", ".cxx", ".h", ".hpp", ".hh", ".py"}) {
    if (ending == known) return true;
  }
  return false;
}

bool is_virtual_environment(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(folder / "pyvenv.cfg", ignored);
}

void walk(AppSubject& app) {
  std::error_code error;
  fs::recursive_directory_iterator entries(app.folder, error);
  for (; !error && entries != fs::recursive_directory_iterator(); entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    const bool build = entries.depth() == 0 && name == "build";
    const bool of_python = name == "__pycache__" || is_virtual_environment(entries->path());
    if (name.starts_with('.') || build || of_python) {
      entries.disable_recursion_pending();
      continue;
    }
    std::error_code ignored;
    if (!entries->is_regular_file(ignored)) continue;
    if (app.files.size() == kFilesLookedAtMax) return;
    app.files.push_back(
        {entries->path().lexically_relative(app.folder).string(), entries->file_size(ignored)});
  }
  std::ranges::sort(app.files, {}, &AppFile::path);
}

void read_sources(AppSubject& app) {
  for (const AppFile& file : app.files) {
    if (!is_source(file.path) || app.sources.size() == kSourcesMax) continue;
    if (auto text = text_of_file(app.folder / file.path)) {
      app.sources.emplace_back(file.path, *std::move(text));
    }
  }
}

std::string without_comments(const std::string& cmake) {
  std::istringstream lines(cmake);
  std::string text;
  for (std::string line; std::getline(lines, line);) {
    text += line.substr(0, line.find('#')) + "\n";
  }
  return text;
}

const TomlEntry* child_of(const std::vector<TomlEntry>& entries, std::string_view key) {
  const auto at = std::ranges::find(entries, key, &TomlEntry::key);
  return at == entries.end() ? nullptr : &*at;
}

// A word of a command, without what systemd and shells may have put before it:
// ExecStart=/usr/bin/x.
bool is_hub_program(std::string_view word) {
  word.remove_prefix(std::min(word.size(), word.find('=') + 1));
  return fs::path(word).filename() == "umbel-superlink";
}

bool names_hub(const std::string& line) {
  std::istringstream words(line);
  for (std::string word; words >> word && !word.starts_with('#');) {
    if (is_hub_program(word)) return true;
  }
  return false;
}

// Adds the words after the program's name; all of them where the command began on a line before.
void read_command_line(const std::string& line, bool inside, std::vector<std::string>& into) {
  if (!inside && !names_hub(line)) return;
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    if (!inside) {
      inside = is_hub_program(word);
      continue;
    }
    std::erase_if(word, [](char c) { return c == '"' || c == '\''; });
    into.push_back(word);
  }
}

}  // namespace

void look_at_app(const fs::path& folder, Subject& subject) {
  std::error_code error;
  const fs::path file = manifest_file(folder);
  if (!fs::exists(fs::symlink_status(file, error))) {
    subject.no_app = folder.string();
    return;
  }
  AppSubject& app = subject.app.emplace();
  app.folder = folder;
  app.manifest_name = file.filename().string();
  if (const auto text = text_of_file(file)) {
    const bool own = app.manifest_name == "umbel.toml";
    app.manifest = own ? parse_manifest(*text) : parse_flower_manifest(*text, app.manifest_name);
    if (auto entries = parse_toml(*text, app.manifest_name); entries.ok()) app.entries = *entries;
  } else {
    app.manifest = not_found("umbel.toml: no such file, or none that can be read");
  }
  app.has_program = !app.manifest.ok() || app.manifest->has_program();
  const std::string below = app.manifest.ok() ? app.manifest->cmake : ".";
  app.cmake_path = (fs::path(below) / "CMakeLists.txt").lexically_normal().string();
  if (const auto cmake = text_of_file(folder / app.cmake_path); cmake && app.has_program) {
    app.cmake = without_comments(*cmake);
  }
  app.has_readme = text_of_file(folder / "README.md").has_value();
  app.gitignore = text_of_file(folder / ".gitignore");
  app.has_git = fs::exists(folder / ".git", error);
  app.packable = bundle::source_files(folder).status();
  walk(app);
  read_sources(app);
}

const Setting* AppSubject::setting(const SettingNames& names) const {
  if (!manifest.ok()) return nullptr;
  for (const std::string_view name : names) {
    const auto at = std::ranges::find(manifest->config, name, &Setting::key);
    if (at != manifest->config.end()) return &*at;
  }
  return nullptr;
}

std::optional<double> AppSubject::number(const SettingNames& names) const {
  const Setting* found = setting(names);
  if (found == nullptr) return std::nullopt;
  if (const auto* integer = std::get_if<int64_t>(&found->value.base())) {
    return static_cast<double>(*integer);
  }
  const auto* real = std::get_if<double>(&found->value.base());
  return real == nullptr ? std::nullopt : std::optional(*real);
}

std::string AppSubject::place(std::string_view table, std::string_view key) const {
  const TomlEntry* found = child_of(entries, table);
  if (found != nullptr) found = child_of(found->children, key);
  return found == nullptr ? manifest_name : fmt::format("{}:{}", manifest_name, found->line);
}

bool AppSubject::code_has(std::string_view word) const {
  return std::ranges::any_of(
      sources, [&](const Source& source) { return source.find_word(word) != std::string::npos; });
}

std::optional<TomlSubject> look_at_toml(const fs::path& file, bool optional) {
  std::error_code error;
  if (optional && !fs::exists(file, error)) return std::nullopt;
  TomlSubject subject;
  subject.file = file.string();
  const auto text = read_file(file, kTomlBytesMax);
  subject.status = text.status();
  if (!text.ok()) return subject;
  auto entries = parse_toml(*text, subject.file);
  subject.status = entries.status();
  if (entries.ok()) subject.entries = *std::move(entries);
  return subject;
}

const TomlEntry* TomlSubject::find(std::string_view table, std::string_view key) const {
  const TomlEntry* found = child_of(entries, table);
  return found == nullptr ? nullptr : child_of(found->children, key);
}

std::string TomlSubject::text(std::string_view table, std::string_view key) const {
  const TomlEntry* found = find(table, key);
  if (found == nullptr || !found->value) return "";
  const auto* text = std::get_if<std::string>(&found->value->base());
  return text == nullptr ? "" : *text;
}

bool TomlSubject::flag(std::string_view table, std::string_view key) const {
  const TomlEntry* found = find(table, key);
  if (found == nullptr || !found->value) return false;
  const auto* flag = std::get_if<bool>(&found->value->base());
  return flag != nullptr && *flag;
}

std::optional<int64_t> TomlSubject::integer(std::string_view table, std::string_view key) const {
  const TomlEntry* found = find(table, key);
  if (found == nullptr || !found->value) return std::nullopt;
  const auto* integer = std::get_if<int64_t>(&found->value->base());
  return integer == nullptr ? std::nullopt : std::optional(*integer);
}

std::string TomlSubject::place(std::string_view table, std::string_view key) const {
  const TomlEntry* found = find(table, key);
  if (found == nullptr) found = child_of(entries, table);
  return found == nullptr ? file : fmt::format("{}:{}", file, found->line);
}

HubSubject look_at_hub(const fs::path& file) {
  HubSubject hub;
  hub.file = file.string();
  const auto text = read_file(file, kTomlBytesMax);
  hub.status = text.status();
  if (!text.ok()) return hub;
  std::istringstream lines(*text);
  int number = 0;
  bool inside = false;  // the command goes on from the line before
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (hub.line != 0 && !inside) break;
    const bool goes_on = line.ends_with('\\');
    if (goes_on) line.pop_back();
    read_command_line(line, inside, hub.words);
    if (hub.line == 0 && names_hub(line)) hub.line = number;
    inside = hub.line != 0 && goes_on;
  }
  return hub;
}

bool HubSubject::has(std::string_view option) const {
  return std::ranges::any_of(words, [&](const std::string& word) {
    return word == option || word.starts_with(std::string(option) + "=");
  });
}

std::string HubSubject::value(std::string_view option) const {
  for (size_t i = 0; i != words.size(); ++i) {
    if (words[i] == option) return i + 1 < words.size() ? words[i + 1] : "";
    if (words[i].starts_with(std::string(option) + "=")) return words[i].substr(option.size() + 1);
  }
  return "";
}

std::string HubSubject::place() const { return fmt::format("{}:{}", file, line); }

bool is_path_of_one_machine(std::string_view text) {
  for (const std::string_view root : {"/home/", "/Users/", "/root/", "/mnt/", "/media/", "/tmp/",
                                      "/srv/", "/data/", "/opt/", "/var/", "C:\\", "D:\\"}) {
    if (text.starts_with(root)) return true;
  }
  return false;
}

bool is_loopback(std::string_view address) {
  std::string_view host = address;
  if (host.starts_with('[')) {
    host = host.substr(1, host.find(']') - 1);
  } else if (std::ranges::count(host, ':') == 1) {
    host = host.substr(0, host.find(':'));
  }
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

std::string_view name_of(Severity severity) {
  switch (severity) {
    case Severity::kError:
      return "error";
    case Severity::kWarning:
      return "warning";
    case Severity::kHint:
      return "hint";
  }
  return "hint";
}

const SubjectRules& subject_rules() {
  static const SubjectRules rules({layout_rules(), setting_rules(), training_rules(),
                                   privacy_rules(), code_rules(), python_rules(), config_rules(),
                                   link_rules(), node_rules(), hub_rules()});
  return rules;
}

}  // namespace umbel::cli

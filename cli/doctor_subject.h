#pragma once

#include <deque>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "doctor_rule.h"
#include "doctor_source.h"
#include "manifest.h"
#include "umbel/toml/toml.h"

namespace umbel::cli {

// A file that lies in the app's folder: not in build/, not hidden.
struct AppFile {
  std::string path;
  uint64_t bytes = 0;
};

// What a setting may be called, the best name first.
using SettingNames = std::vector<std::string_view>;

// An app's folder as rules look at it; nothing of it is built or run.
struct AppSubject {
  std::filesystem::path folder;
  Result<Manifest> manifest = Manifest{};
  std::string manifest_name = "umbel.toml";
  bool has_program = true;         // something of it is in C++, as far as the manifest can say
  std::vector<TomlEntry> entries;  // of umbel.toml, also where the manifest is wrong
  std::vector<AppFile> files;
  std::deque<Source> sources;
  std::string cmake_path;            // within the folder
  std::optional<std::string> cmake;  // the text of CMakeLists.txt without comments
  bool has_readme = false;
  std::optional<std::string> gitignore;
  bool has_git = false;
  Status packable;  // whether a bundle can be made of the folder

  // The first setting of these names; the place that it comes from.
  const Setting* setting(const SettingNames& names) const;
  std::optional<double> number(const SettingNames& names) const;
  // Where a key of a table stands: "umbel.toml:12"; "umbel.toml" if it does not.
  std::string place(std::string_view table, std::string_view key) const;
  int64_t nodes() const { return manifest.ok() ? manifest->nodes : 0; }
  // Whether the word stands in some source's code.
  bool code_has(std::string_view word) const;
};

// A TOML file of somebody's deployment.
struct TomlSubject {
  std::string file;
  Status status;  // whether it could be read
  std::vector<TomlEntry> entries;

  const TomlEntry* find(std::string_view table, std::string_view key) const;
  std::string text(std::string_view table, std::string_view key) const;
  bool flag(std::string_view table, std::string_view key) const;
  std::optional<int64_t> integer(std::string_view table, std::string_view key) const;
  std::string place(std::string_view table, std::string_view key) const;
};

// The command line of umbel-superlink, as a script or a systemd unit has it.
struct HubSubject {
  std::string file;
  Status status;
  int line = 0;                    // of the command; 0: there is none
  std::vector<std::string> words;  // after the program's name
  bool has(std::string_view option) const;
  std::string value(std::string_view option) const;  // "--port 1" and "--port=1"
  std::string place() const;
};

// All that `umbel doctor` looks at before a run; what was not asked for is not there.
struct Subject {
  std::optional<AppSubject> app;
  std::optional<std::string> no_app;  // a folder that was given for an app's and is none
  std::optional<TomlSubject> links;   // $UMBEL_HOME/config.toml
  std::optional<TomlSubject> node;
  std::optional<HubSubject> hub;
};

// A folder is an app's if an umbel.toml lies in it; of one that is not, nothing else is said.
void look_at_app(const std::filesystem::path& folder, Subject& subject);
// No value if there is no such file and `optional` is set.
std::optional<TomlSubject> look_at_toml(const std::filesystem::path& file, bool optional);
HubSubject look_at_hub(const std::filesystem::path& file);

// Whether the text begins as an absolute path to somebody's own files does.
bool is_path_of_one_machine(std::string_view text);
// Whether HOST:PORT is this machine itself.
bool is_loopback(std::string_view address);

using SubjectRules = Rules<Subject>;
// Every rule on apps, links, nodes and hubs.
const SubjectRules& subject_rules();

// Its parts.
std::vector<Rule<Subject>> layout_rules();
std::vector<Rule<Subject>> setting_rules();
std::vector<Rule<Subject>> training_rules();
std::vector<Rule<Subject>> privacy_rules();
std::vector<Rule<Subject>> code_rules();
std::vector<Rule<Subject>> python_rules();
std::vector<Rule<Subject>> config_rules();
std::vector<Rule<Subject>> link_rules();
std::vector<Rule<Subject>> node_rules();
std::vector<Rule<Subject>> hub_rules();

}  // namespace umbel::cli

#include "link_profile.h"

#include "umbel/base/files.h"
#include "umbel/base/text.h"
#include "umbel/toml/toml.h"

namespace umbel::cli {

namespace {

constexpr size_t kConfigBytesMax = 1 << 20;

}  // namespace

Status require_no_link(const std::string& link) {
  if (link.empty()) return absl::OkStatus();
  const auto file = umbel_home() / "config.toml";
  const auto text = read_file(file, kConfigBytesMax);
  std::vector<std::string> names;
  if (text.ok()) {
    UMBEL_ASSIGN_OR_RETURN(const auto entries, parse_toml(*text, file.string()));
    for (const TomlEntry& table : entries) {
      if (table.key != "link") continue;
      for (const TomlEntry& profile : table.children) names.push_back(profile.key);
    }
  }
  for (const std::string& name : names) {
    if (name != link) continue;
    return failed_precondition(
        "link \"{}\": link profiles come with the deployment runtime, which this version does not "
        "have; without LINK the app is simulated on this machine",
        escaped(link));
  }
  return not_found(
      "link \"{}\": {} has no such link profile{}; link profiles come with the deployment runtime, "
      "which this version does not have; without LINK the app is simulated on this machine",
      escaped(link), file.string(), did_you_mean(link, names));
}

}  // namespace umbel::cli

#include "link_profile.h"

#include <algorithm>

#include "manifest.h"
#include "umbel/base/files.h"
#include "umbel/base/text.h"
#include "umbel/toml/toml.h"

namespace umbel::cli {

namespace fs = std::filesystem;

namespace {

constexpr size_t kConfigBytesMax = 1 << 20;
constexpr std::string_view kHash = "sha256:";

fs::path config_file() { return umbel_home() / "config.toml"; }

Result<std::string> read_config() {
  auto text = read_file(config_file(), kConfigBytesMax);
  if (text.status().code() == absl::StatusCode::kNotFound) return std::string();
  return text;
}

Status write_config(const std::string& text) {
  std::error_code ignored;
  fs::create_directories(umbel_home(), ignored);
  return write_file_atomic(config_file(), text);
}

Status wrong(const TomlEntry& entry, std::string_view why) {
  return invalid_argument("{}:{}: {}: {}", config_file().string(), entry.line, escaped(entry.key),
                          why);
}

Status check_trust(const std::string& trust) {
  const bool good =
      trust.empty() ||
      (trust.size() == kHash.size() + 64 && trust.starts_with(kHash) &&
       trust.find_first_not_of("0123456789abcdef", kHash.size()) == std::string::npos);
  if (good) return absl::OkStatus();
  return invalid_argument("\"{}\": expected \"sha256:\" and 64 hexadecimal digits in lower case",
                          escaped(trust.substr(0, 80)));
}

Status read_key(const TomlEntry& entry, LinkProfile& link) {
  if (entry.key == "insecure-no-tls") {
    const auto* flag = entry.value ? std::get_if<bool>(&entry.value->base()) : nullptr;
    if (flag == nullptr) return wrong(entry, "expected true or false, got " + entry.kind);
    link.plain = *flag;
    return absl::OkStatus();
  }
  const auto* text = entry.value ? std::get_if<std::string>(&entry.value->base()) : nullptr;
  if (text == nullptr) return wrong(entry, "expected text, got " + entry.kind);
  if (entry.key == "address") {
    link.address = *text;
  } else if (entry.key == "trust") {
    link.trust = *text;
    if (const Status status = check_trust(*text); !status.ok()) {
      return wrong(entry, message_of(status));
    }
  } else if (entry.key == "key") {
    link.key = *text;
    if (!link.key.is_absolute()) return wrong(entry, "expected an absolute path");
  } else {
    return wrong(entry, "unknown key" + did_you_mean(entry.key, {"address", "trust", "key",
                                                                 "insecure-no-tls"}));
  }
  return absl::OkStatus();
}

Result<LinkProfile> read_link(const TomlEntry& table) {
  LinkProfile link;
  link.name = table.key;
  link.key = user_key_path();
  if (const Status status = check_app_name("link", link.name); !status.ok()) {
    return wrong(table, message_of(status));
  }
  if (!table.table) return wrong(table, "expected a table, got " + table.kind);
  for (const TomlEntry& entry : table.children) UMBEL_RETURN_IF_ERROR(read_key(entry, link));
  if (link.address.empty()) return wrong(table, "address is missing");
  return link;
}

// The lines of config.toml with their ends.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return lines;
}

bool starts_table(std::string_view line) {
  const size_t first = line.find_first_not_of(" \t");
  return first != std::string_view::npos && line[first] == '[';
}

}  // namespace

Result<http::Endpoint> LinkProfile::endpoint() const {
  http::Trust trusted;
  trusted.authority_sha256 = trust;
  trusted.plain = plain;
  auto endpoint = http::parse_endpoint(address, std::move(trusted));
  if (endpoint.ok()) return endpoint;
  return annotate(endpoint.status(), fmt::format("link \"{}\"", name));
}

fs::path user_key_path() { return umbel_home() / "user.key"; }

Result<std::vector<LinkProfile>> read_links() {
  UMBEL_ASSIGN_OR_RETURN(const std::string text, read_config());
  UMBEL_ASSIGN_OR_RETURN(const auto entries, parse_toml(text, config_file().string()));
  std::vector<LinkProfile> links;
  for (const TomlEntry& table : entries) {
    if (table.key != "link") continue;
    for (const TomlEntry& profile : table.children) {
      UMBEL_ASSIGN_OR_RETURN(links.emplace_back(), read_link(profile));
    }
  }
  return links;
}

Result<LinkProfile> find_link(const std::string& name) {
  UMBEL_ASSIGN_OR_RETURN(auto links, read_links());
  std::vector<std::string> names;
  for (LinkProfile& link : links) {
    if (link.name == name) return std::move(link);
    names.push_back(link.name);
  }
  return not_found(
      "link \"{}\": {} has no such link profile{}; `umbel link add` makes one; without LINK the "
      "app "
      "is simulated on this machine",
      escaped(name), config_file().string(), did_you_mean(name, names));
}

Status add_link(const LinkProfile& link) {
  UMBEL_RETURN_IF_ERROR(check_app_name("link", link.name));
  UMBEL_RETURN_IF_ERROR(check_trust(link.trust));
  UMBEL_RETURN_IF_ERROR(link.endpoint().status());
  UMBEL_ASSIGN_OR_RETURN(const auto links, read_links());
  for (const LinkProfile& known : links) {
    if (known.name != link.name) continue;
    return absl::AlreadyExistsError(
        fmt::format("link \"{}\": is there already; `umbel link remove {}` takes it away",
                    link.name, link.name));
  }
  UMBEL_ASSIGN_OR_RETURN(std::string text, read_config());
  if (!text.empty() && text.back() != '\n') text += "\n";
  if (!text.empty()) text += "\n";
  text += fmt::format("[link.{}]\naddress = {}\n", link.name, ConfigValue(link.address).text());
  if (!link.trust.empty()) text += fmt::format("trust = {}\n", ConfigValue(link.trust).text());
  text += fmt::format("key = {}\n", ConfigValue(link.key.string()).text());
  if (link.plain) text += "insecure-no-tls = true\n";
  UMBEL_RETURN_IF_ERROR(parse_toml(text, config_file().string()).status());
  return write_config(text);
}

Status remove_link(const std::string& name) {
  UMBEL_RETURN_IF_ERROR(find_link(name).status());
  UMBEL_ASSIGN_OR_RETURN(const std::string text, read_config());
  const auto lines = lines_of(text);
  std::string kept;
  bool found = false, inside = false;
  for (const std::string_view line : lines) {
    if (starts_table(line)) {
      const std::string header(line.substr(0, line.find(']') + 1));
      inside = header == fmt::format("[link.{}]", name);
      found = found || inside;
    }
    if (!inside) kept += line;
  }
  if (!found) {
    return failed_precondition(
        "link \"{}\": is not written as [link.{}]; take it out of {} by hand", name, name,
        config_file().string());
  }
  while (kept.ends_with("\n\n")) kept.pop_back();
  UMBEL_RETURN_IF_ERROR(parse_toml(kept, config_file().string()).status());
  return write_config(kept);
}

}  // namespace umbel::cli

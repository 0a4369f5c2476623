#include <nlohmann/json.hpp>

#include "commands.h"
#include "link_profile.h"
#include "text_format.h"
#include "umbel/base/keys.h"

namespace umbel::cli {

namespace {

namespace fs = std::filesystem;

Json json_of(const LinkProfile& link) {
  return {{"name", link.name},
          {"address", link.address},
          {"trust", link.trust.empty() ? Json(nullptr) : Json(link.trust)},
          {"key", link.key.string()},
          {"insecure-no-tls", link.plain}};
}

Result<LinkProfile> added(const LinkOptions& options) {
  LinkProfile link;
  link.name = options.name;
  link.address = options.address;
  link.trust = options.trust;
  link.plain = options.plain;
  if (link.trust.size() == 64) link.trust = "sha256:" + link.trust;
  link.key = user_key_path();
  if (!options.key.empty()) {
    link.key = fs::absolute(options.key).lexically_normal();
    UMBEL_RETURN_IF_ERROR(PrivateKey::read(link.key).status());
  }
  UMBEL_RETURN_IF_ERROR(add_link(link));
  return link;
}

int list(const Output& output) {
  const auto links = read_links();
  if (!links.ok()) return output.fail(links.status());
  std::vector<std::vector<std::string>> rows = {{"LINK", "ADDRESS", "TRUST", "KEY"}};
  Json objects = Json::array();
  for (const LinkProfile& link : *links) {
    const std::string trust =
        link.trust.empty() ? "the system's" : link.trust.substr(0, 23) + "...";
    rows.push_back({link.name, terminal_safe(link.address), link.plain ? "no TLS" : trust,
                    terminal_safe(link.key.string())});
    objects.push_back(json_of(link));
  }
  if (output.format() == Format::kText) output.say(links->empty() ? "no links" : text_table(rows));
  output.result({{"links", objects}});
  return kDone;
}

}  // namespace

int run_link(const LinkOptions& options, const Output& output) {
  if (options.change == Change::kList) return list(output);
  if (options.change == Change::kRemove) {
    if (const Status status = remove_link(options.name); !status.ok()) return output.fail(status);
    output.say(fmt::format("link {}: removed", options.name));
    output.result({{"name", options.name}});
    return kDone;
  }
  const auto link = added(options);
  if (!link.ok()) return output.fail(link.status());
  output.say(fmt::format("link {}: {}; `umbel run APP {}` runs an app there", link->name,
                         link->address, link->name));
  output.result(json_of(*link));
  return kDone;
}

int run_key(const KeyOptions&, const Output& output) {
  const auto key = PrivateKey::read_or_make(user_key_path());
  if (!key.ok()) return output.fail(key.status());
  if (output.format() == Format::kText) output.say(key->public_key().text());
  output.result({{"key", key->public_key().text()}, {"file", user_key_path().string()}});
  return kDone;
}

}  // namespace umbel::cli

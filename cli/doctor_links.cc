#include <sys/stat.h>

#include "doctor_subject.h"
#include "energy.h"
#include "link_profile.h"

namespace umbel::cli {

namespace {

// A link profile as a subject: its table's keys by name.
struct Profile {
  std::string name, where, address, trust, key;
  bool plain = false;
};

std::vector<Profile> profiles(const Subject& subject) {
  std::vector<Profile> all;
  if (!subject.links) return all;
  for (const TomlEntry& table : subject.links->entries) {
    if (table.key != "link") continue;
    for (const TomlEntry& link : table.children) {
      Profile profile;
      profile.name = link.key;
      profile.where = fmt::format("{}:{}", subject.links->file, link.line);
      for (const TomlEntry& entry : link.children) {
        if (!entry.value) continue;
        if (const auto* flag = std::get_if<bool>(&entry.value->base())) {
          if (entry.key == "insecure-no-tls") profile.plain = *flag;
        }
        const auto* text = std::get_if<std::string>(&entry.value->base());
        if (text == nullptr) continue;
        if (entry.key == "address") profile.address = *text;
        if (entry.key == "trust") profile.trust = *text;
        if (entry.key == "key") profile.key = *text;
      }
      all.push_back(std::move(profile));
    }
  }
  return all;
}

void config(const Subject& subject, Findings& findings) {
  if (!subject.links) return;
  Status status = subject.links->status;
  if (status.ok()) {
    const auto links = read_links();
    status = links.status();
    if (links.ok()) {
      for (const LinkProfile& link : *links) {
        if (status.ok()) status = link.endpoint().status();
      }
    }
  }
  if (status.ok()) status = read_energy_factors().status();
  if (!status.ok()) findings.add("", message_of(status));
}

void plain(const Subject& subject, Findings& findings) {
  for (const Profile& profile : profiles(subject)) {
    if (!profile.plain || is_loopback(profile.address)) continue;
    findings.add(profile.where, fmt::format("link {} to {}", profile.name, profile.address));
  }
}

void unpinned(const Subject& subject, Findings& findings) {
  for (const Profile& profile : profiles(subject)) {
    if (profile.plain || !profile.trust.empty() || is_loopback(profile.address)) continue;
    findings.add(profile.where, fmt::format("link {} to {}", profile.name, profile.address));
  }
}

void key(const Subject& subject, Findings& findings) {
  for (const Profile& profile : profiles(subject)) {
    const std::string file = profile.key.empty() ? user_key_path().string() : profile.key;
    struct stat found {};
    if (stat(file.c_str(), &found) != 0) {
      if (!profile.key.empty()) findings.add(profile.where, file + ": no such file");
    } else if ((found.st_mode & 077) != 0) {
      findings.add(profile.where, fmt::format("{}: mode {:04o}", file,
                                              static_cast<unsigned>(found.st_mode & 0777)));
    }
  }
}

}  // namespace

std::vector<Rule<Subject>> link_rules() {
  return {
      {"D050", Severity::kError, "a link without TLS to another machine",
       "remove insecure-no-tls: models and settings could be read and changed on the way", plain},
      {"D051", Severity::kHint, "a link that pins no authority",
       "add trust = \"sha256:...\" as the hub prints it, unless its certificate is one that the "
       "system trusts",
       unpinned},
      {"D052", Severity::kError, "config.toml is not as it has to be",
       "correct it; umbel link add writes its link profiles", config},
      {"D053", Severity::kError, "a link's private key is missing, or others may read it",
       "chmod 600 the file; if it was ever open, make a new key", key},
  };
}

}  // namespace umbel::cli

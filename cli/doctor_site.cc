#include <algorithm>
#include <map>

#include "doctor_subject.h"
#include "umbel/base/text.h"
#include "umbel/bundle/interpreter.h"

namespace umbel::cli {

namespace {

// --- The node's config file (docs/supernode.md). ---

const std::map<std::string, std::vector<std::string>>& known_keys() {
  static const std::map<std::string, std::vector<std::string>> known = {
      {"superlink", {"address", "trust", "insecure-no-tls"}},
      {"node",
       {"name", "state", "apps-max", "apps", "build-from-source", "python", "drain-seconds",
        "idle-seconds", "lock-memory", "exit-on-refusal"}},
      {"policy",
       {"trust-publishers", "allow-any-app", "client-logs", "reply-bytes-max", "replies-per-hour",
        "arrays", "metrics", "message-types"}}};
  return known;
}

void node_file(const Subject& subject, Findings& findings) {
  if (!subject.node) return;
  const TomlSubject& node = *subject.node;
  if (!node.status.ok()) return findings.add("", message_of(node.status));
  for (const TomlEntry& table : node.entries) {
    if (table.key == "config" && table.table) continue;
    const auto known = known_keys().find(table.key);
    if (known == known_keys().end() || !table.table) {
      findings.add(fmt::format("{}:{}", node.file, table.line),
                   fmt::format("{}: expected the tables superlink, node, config, policy",
                               escaped(table.key)));
      continue;
    }
    for (const TomlEntry& entry : table.children) {
      if (std::ranges::count(known->second, entry.key) != 0) continue;
      findings.add(fmt::format("{}:{}", node.file, entry.line),
                   fmt::format("[{}] {}: unknown key{}", table.key, escaped(entry.key),
                               did_you_mean(entry.key, known->second)));
    }
  }
}

void node_plain(const Subject& subject, Findings& findings) {
  if (!subject.node || !subject.node->flag("superlink", "insecure-no-tls")) return;
  const std::string address = subject.node->text("superlink", "address");
  if (is_loopback(address)) return;
  findings.add(subject.node->place("superlink", "insecure-no-tls"), "to " + address);
}

void node_any_app(const Subject& subject, Findings& findings) {
  if (!subject.node || !subject.node->flag("policy", "allow-any-app")) return;
  findings.add(subject.node->place("policy", "allow-any-app"), "allow-any-app = true");
}

void node_no_app(const Subject& subject, Findings& findings) {
  if (!subject.node || !subject.node->status.ok()) return;
  const TomlSubject& node = *subject.node;
  const bool some = node.find("policy", "trust-publishers") != nullptr ||
                    node.find("node", "apps") != nullptr || node.flag("policy", "allow-any-app");
  if (!some) findings.add(node.file, "neither trust-publishers nor apps");
}

void node_unpinned(const Subject& subject, Findings& findings) {
  if (!subject.node || !subject.node->status.ok()) return;
  const TomlSubject& node = *subject.node;
  if (node.find("superlink", "trust") != nullptr || node.flag("superlink", "insecure-no-tls") ||
      is_loopback(node.text("superlink", "address"))) {
    return;
  }
  findings.add(node.place("superlink", "address"), "no trust");
}

void node_logs(const Subject& subject, Findings& findings) {
  if (!subject.node || subject.node->text("policy", "client-logs") != "full") return;
  findings.add(subject.node->place("policy", "client-logs"), "client-logs = \"full\"");
}

void node_limits(const Subject& subject, Findings& findings) {
  if (!subject.node || !subject.node->status.ok()) return;
  const TomlSubject& node = *subject.node;
  if (node.find("policy", "reply-bytes-max") != nullptr ||
      node.integer("policy", "replies-per-hour").value_or(0) > 0) {
    return;
  }
  findings.add(node.place("policy", "reply-bytes-max"),
               "neither reply-bytes-max nor replies-per-hour");
}

void node_source(const Subject& subject, Findings& findings) {
  if (!subject.node || !subject.node->flag("node", "build-from-source")) return;
  findings.add(subject.node->place("node", "build-from-source"), "build-from-source = true");
}

void node_state(const Subject& subject, Findings& findings) {
  if (!subject.node) return;
  const std::string state = subject.node->text("node", "state");
  const bool passing =
      state.starts_with("/tmp") || state.starts_with("/var/tmp") || state.starts_with("/dev/shm");
  if (passing) findings.add(subject.node->place("node", "state"), state);
}

void node_drain(const Subject& subject, Findings& findings) {
  if (!subject.node || subject.node->integer("node", "drain-seconds") != 0) return;
  findings.add(subject.node->place("node", "drain-seconds"), "drain-seconds = 0");
}

void node_python(const Subject& subject, Findings& findings) {
  if (!subject.node) return;
  const std::string python = subject.node->text("node", "python");
  if (python.empty()) return;
  const std::string where = subject.node->place("node", "python");
  if (!python.starts_with('/')) {
    return findings.add(where,
                        fmt::format("\"{}\" is looked for where the node is started", python));
  }
  const auto found = bundle::find_interpreter({.given = python, .of_user = false});
  if (!found.ok()) findings.add(where, python + " is not on this machine");
}

// --- The hub's command line (docs/superlink.md). ---

bool is_hub(const Subject& subject) { return subject.hub && subject.hub->line != 0; }

void hub_none(const Subject& subject, Findings& findings) {
  if (!subject.hub || subject.hub->line != 0) return;
  findings.add(subject.hub->file, subject.hub->status.ok() ? "no line starts umbel-superlink"
                                                           : message_of(subject.hub->status));
}

void hub_plain(const Subject& subject, Findings& findings) {
  if (!is_hub(subject) || !subject.hub->has("--insecure-no-tls")) return;
  const std::string address = subject.hub->value("--address");
  if (is_loopback(address)) return;
  findings.add(subject.hub->place(), address.empty() ? "it listens on 0.0.0.0" : "on " + address);
}

void hub_replies(const Subject& subject, Findings& findings) {
  if (is_hub(subject) && !subject.hub->has("--fold-only")) {
    findings.add(subject.hub->place(), "no --fold-only");
  }
}

void hub_name(const Subject& subject, Findings& findings) {
  if (!is_hub(subject) || subject.hub->has("--name")) return;
  if (is_loopback(subject.hub->value("--address"))) return;
  findings.add(subject.hub->place(), "no --name");
}

void hub_grace(const Subject& subject, Findings& findings) {
  if (!is_hub(subject)) return;
  const std::string grace = subject.hub->value("--node-grace");
  const bool number = !grace.empty() && grace.size() < 6 &&
                      grace.find_first_not_of("0123456789") == std::string::npos;
  if (number && std::stoi(grace) < 10) {
    findings.add(subject.hub->place(), "--node-grace " + grace);
  }
}

void hub_state(const Subject& subject, Findings& findings) {
  if (!is_hub(subject)) return;
  const std::string state = subject.hub->value("--state");
  if (state.starts_with("/tmp") || state.starts_with("/var/tmp") || state.starts_with("/dev/shm")) {
    findings.add(subject.hub->place(), "--state " + state);
  }
}

}  // namespace

std::vector<Rule<Subject>> node_rules() {
  return {
      {"D060", Severity::kError, "the node's config file is not as it has to be",
       "correct it; docs/supernode.md lists the keys", node_file},
      {"D061", Severity::kError, "the node speaks to another machine without TLS",
       "remove insecure-no-tls: updates could be read and changed on the way", node_plain},
      {"D062", Severity::kError, "the node runs anybody's code",
       "remove allow-any-app and list whose apps may run: trust-publishers = [\"ed25519:...\"]",
       node_any_app},
      {"D063", Severity::kWarning, "the node runs nobody's apps",
       "list whose apps may run: [policy] trust-publishers = [\"ed25519:...\"]", node_no_app},
      {"D064", Severity::kHint, "the node pins no authority",
       "add [superlink] trust = \"sha256:...\" as the hub prints it", node_unpinned},
      {"D065", Severity::kWarning, "all that apps log at the node goes to the hub",
       "set client-logs to \"errors\" or \"off\": log lines can have data in them", node_logs},
      {"D066", Severity::kHint, "nothing limits what leaves the node",
       "set [policy] reply-bytes-max to a few times the model's size, and replies-per-hour",
       node_limits},
      {"D067", Severity::kWarning, "the node builds apps from their sources",
       "let publishers send programs for this platform: to build runs what their CMakeLists.txt "
       "says",
       node_source},
      {"D068", Severity::kWarning, "the node's key lies where restarts empty it",
       "give it a folder that stays, such as /var/lib/umbel: a new key has to be registered anew",
       node_state},
      {"D069", Severity::kWarning, "the node ends without finishing its work",
       "set drain-seconds to what a round takes: else its share of the round is lost", node_drain},
      {"D076", Severity::kWarning, "the node's Python interpreter may not be found",
       "give the absolute path of one that is there, best of a virtual environment that has umbel "
       "and what apps import",
       node_python},
  };
}

std::vector<Rule<Subject>> hub_rules() {
  return {
      {"D070", Severity::kError, "the file starts no hub",
       "give the script or systemd unit that starts umbel-superlink", hub_none},
      {"D071", Severity::kError, "the hub speaks without TLS to other machines",
       "remove --insecure-no-tls: anybody on the way could read and change the updates", hub_plain},
      {"D072", Severity::kHint, "ServerApps may ask for single replies",
       "add --fold-only unless an app needs them: then it sees means alone", hub_replies},
      {"D073", Severity::kWarning, "the hub's certificate has no name that others know",
       "add --name and the name or address by which nodes reach it", hub_name},
      {"D074", Severity::kWarning, "nodes fail at the shortest break",
       "set --node-grace to 30 or more: a node that restarts or changes networks is away for "
       "seconds",
       hub_grace},
      {"D075", Severity::kWarning, "the hub's state lies where restarts empty it",
       "give it a folder that stays: accounts, nodes and its authority would be lost", hub_state},
  };
}

}  // namespace umbel::cli

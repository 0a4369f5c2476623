#include "umbel/supernode/program_options.h"

#include <algorithm>
#include <functional>
#include <map>
#include <system_error>

#include "umbel/base/files.h"
#include "umbel/base/text.h"
#include "umbel/bundle/interpreter.h"
#include "umbel/toml/toml.h"

namespace umbel::supernode {

namespace fs = std::filesystem;

namespace {

using Setter = std::function<bool(const ConfigValue&)>;  // false: of another kind

template <class T>
Setter into(T& place) {
  return [&place](const ConfigValue& value) {
    const auto* it = std::get_if<T>(&value.base());
    if (it != nullptr) place = *it;
    return it != nullptr;
  };
}
Setter into(uint64_t& place) {
  return [&place](const ConfigValue& value) {
    const auto* it = std::get_if<int64_t>(&value.base());
    if (it == nullptr || *it < 0) return false;
    place = static_cast<uint64_t>(*it);
    return true;
  };
}
Setter into(std::vector<fs::path>& place) {
  return [&place](const ConfigValue& value) {
    const auto* it = std::get_if<std::vector<std::string>>(&value.base());
    if (it != nullptr) place.assign(it->begin(), it->end());
    return it != nullptr;
  };
}

using Keys = std::map<std::string, Setter>;

std::map<std::string, Keys> tables_of(ProgramOptions& options) {
  NodeOptions& node = options.node;
  PolicyOptions& policy = node.policy;
  return {{"superlink",
           {{"address", into(options.superlink)},
            {"trust", into(options.trust)},
            {"insecure-no-tls", into(options.insecure_no_tls)}}},
          {"node",
           {{"name", into(node.name)},
            {"state", into(options.state)},
            {"apps-max", into(options.apps_max)},
            {"apps", into(node.apps)},
            {"build-from-source", into(node.build_from_source)},
            {"python", into(node.python)},
            {"drain-seconds", into(options.drain_seconds)},
            {"idle-seconds", into(options.idle_seconds)},
            {"lock-memory", into(options.lock_memory)},
            {"exit-on-refusal", into(node.exit_on_refusal)}}},
          {"policy",
           {{"trust-publishers", into(options.trust_publishers)},
            {"allow-any-app", into(policy.allow_any_app)},
            {"client-logs", into(options.client_logs)},
            {"reply-bytes-max", into(policy.reply_bytes_max)},
            {"replies-per-hour", into(policy.replies_per_hour)},
            {"arrays", into(policy.arrays)},
            {"metrics", into(policy.metrics)},
            {"message-types", into(policy.message_types)}}}};
}

template <class Map>
std::string hint(const Map& known, const std::string& key) {
  std::vector<std::string> names;
  for (const auto& [name, value] : known) names.push_back(name);
  return did_you_mean(key, names);
}

// The end of a word: a blank outside quotes and brackets.
size_t word_end(std::string_view text, size_t from) {
  char quote = 0;
  int depth = 0;
  for (size_t i = from; i != text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      if (c == '\\' && quote == '"' && i + 1 != text.size()) {
        ++i;
      } else if (c == quote) {
        quote = 0;
      }
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '[') {
      ++depth;
    } else if (c == ']') {
      --depth;
    } else if (c == ' ' && depth <= 0) {
      return i;
    }
  }
  return text.size();
}

bool is_bare(std::string_view text) {
  return !text.empty() && text.find_first_of("\"'[]{}=,#\n\r\\") == std::string_view::npos;
}

Result<ConfigValue> value_of(const std::string& key, std::string_view text) {
  const auto parsed = parse_toml(fmt::format("value = {}", text), "--node-config");
  if (parsed.ok() && parsed->size() == 1 && parsed->front().value) return *parsed->front().value;
  if (!parsed.ok() && is_bare(text)) return ConfigValue(std::string(text));
  return invalid_argument("--node-config {}={}: expected a value as in TOML", key, escaped(text));
}

Result<http::Trust> trust_of(const ProgramOptions& options) {
  http::Trust trust;
  if (options.insecure_no_tls) {
    trust.plain = true;
  } else if (options.trust.starts_with("sha256:")) {
    trust.authority_sha256 = options.trust;
  } else if (!options.trust.empty()) {
    std::error_code ignored;
    if (!fs::exists(options.trust, ignored)) {
      return invalid_argument("--trust {}: expected sha256:... or a file of certificates",
                              options.trust);
    }
    trust.authority_file = options.trust;
  }
  return trust;
}

}  // namespace

Status apply_config_file(std::string_view text, std::string_view file, ProgramOptions& options) {
  UMBEL_ASSIGN_OR_RETURN(const auto entries, parse_toml(text, file));
  const auto tables = tables_of(options);
  for (const TomlEntry& table : entries) {
    const auto known = tables.find(table.key);
    const bool config = table.key == "config";
    if (!table.table || (known == tables.end() && !config)) {
      return invalid_argument("{}:{}: {}: expected the tables superlink, node, config, policy{}",
                              file, table.line, escaped(table.key), hint(tables, table.key));
    }
    for (const TomlEntry& entry : table.children) {
      if (config && entry.value) {
        options.node.node_config.set(entry.key, *entry.value);
        continue;
      }
      if (config) {
        return invalid_argument("{}:{}: [config] {}: cannot be {}", file, entry.line,
                                escaped(entry.key), entry.kind);
      }
      const auto setter = known->second.find(entry.key);
      if (setter == known->second.end()) {
        return invalid_argument("{}:{}: [{}] {}: unknown key{}", file, entry.line, table.key,
                                escaped(entry.key), hint(known->second, entry.key));
      }
      if (!entry.value || !setter->second(*entry.value)) {
        return invalid_argument("{}:{}: [{}] {}: cannot be {}", file, entry.line, table.key,
                                entry.key, entry.value ? entry.value->text() : entry.kind);
      }
    }
  }
  return absl::OkStatus();
}

Status apply_node_config(std::string_view text, ConfigRecord& config) {
  ConfigRecord added = config;
  for (size_t at = 0; at < text.size();) {
    if (text[at] == ' ') {
      ++at;
      continue;
    }
    const size_t end = word_end(text, at);
    const std::string_view word = text.substr(at, end - at);
    at = end;
    const size_t equals = word.find('=');
    if (equals == 0 || equals == std::string_view::npos) {
      return invalid_argument("--node-config: \"{}\": expected key=value", escaped(word));
    }
    const std::string key(word.substr(0, equals));
    UMBEL_ASSIGN_OR_RETURN(ConfigValue value, value_of(key, word.substr(equals + 1)));
    added.set(key, std::move(value));
  }
  config = std::move(added);
  return absl::OkStatus();
}

Result<NodeOptions> finish_options(ProgramOptions options) {
  NodeOptions node = std::move(options.node);
  if (options.superlink.empty()) {
    return invalid_argument("--superlink HOST:PORT: expected, to know where to connect to");
  }
  UMBEL_ASSIGN_OR_RETURN(const http::Trust trust, trust_of(options));
  UMBEL_ASSIGN_OR_RETURN(node.hub, http::parse_endpoint(options.superlink, trust));
  for (const std::string& text : options.node_config) {
    UMBEL_RETURN_IF_ERROR(apply_node_config(text, node.node_config));
  }
  for (const std::string& text : options.trust_publishers) {
    const auto key = PublicKey::parse(text);
    if (!key.ok()) return annotate(key.status(), "--trust-publisher");
    node.policy.trust_publishers.push_back(*key);
  }
  UMBEL_ASSIGN_OR_RETURN(node.policy.client_logs, parse_client_logs(options.client_logs));
  if (options.apps_max < 1 || options.apps_max > 1'000) {
    return invalid_argument("--apps-max {}: expected 1 to 1000", options.apps_max);
  }
  constexpr int64_t kSecondsMax = 86'400;
  if (std::min(options.drain_seconds, options.idle_seconds) < 0 ||
      std::max(options.drain_seconds, options.idle_seconds) > kSecondsMax) {
    return invalid_argument("--drain-seconds and idle-seconds: expected 0 to {}", kSecondsMax);
  }
  if (!node.python.empty()) {
    UMBEL_RETURN_IF_ERROR(
        bundle::find_interpreter({.given = node.python, .of_user = false}).status());
  }
  node.apps_max = static_cast<size_t>(options.apps_max);
  node.drain_max = std::chrono::seconds(options.drain_seconds);
  node.idle_max = std::chrono::seconds(options.idle_seconds);
  node.state = options.state.empty() ? umbel_home() / "supernode" : fs::absolute(options.state);
  return node;
}

}  // namespace umbel::supernode

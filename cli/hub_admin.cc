#include <nlohmann/json.hpp>

#include "commands.h"
#include "hub_client.h"
#include "text_format.h"
#include "umbel/base/text.h"

namespace umbel::cli {

namespace {

std::string text_in(const Json& object, const char* key) {
  const auto at = object.find(key);
  if (at == object.end()) return "-";
  if (at->is_boolean()) return at->get<bool>() ? "yes" : "no";
  if (at->is_number_integer()) return std::to_string(at->get<int64_t>());
  if (at->is_array()) {  // of texts and numbers, such as the runs that a node works at
    std::string list;
    for (const Json& element : *at) {
      list += (list.empty() ? "" : ",") +
              (element.is_string() ? element.get<std::string>() : text_of(element));
    }
    return list.empty() ? "-" : escaped(list.substr(0, 100));
  }
  const std::string text = at->is_string() ? at->get<std::string>() : "";
  return text.empty() ? "-" : escaped(text);
}

// One kind of thing that a hub keeps by name: what a command does with it.
struct Kind {
  const char *path, *list, *noun;
  std::vector<std::pair<const char*, const char*>> columns;  // heading, key
};

const Kind kNodes = {"/v1/nodes",
                     "nodes",
                     "node",
                     {{"NODE", "name"},
                      {"STATUS", "status"},
                      {"FEDERATION", "federation"},
                      {"PLATFORM", "platform"},
                      {"WORKING", "working"},
                      {"KEY", "key"}}};
const Kind kAccounts = {
    "/v1/accounts",
    "accounts",
    "account",
    {{"ACCOUNT", "name"}, {"ROLE", "role"}, {"FEDERATION", "federation"}, {"KEY", "key"}}};

Result<Json> list_of(HubClient& client, const Kind& kind) {
  UMBEL_ASSIGN_OR_RETURN(const Json answer, client.get(kind.path));
  const auto list = answer.is_object() ? answer.find(kind.list) : answer.end();
  if (list == answer.end() || !list->is_array()) {
    return data_loss("the hub's answer has no list of {}", kind.list);
  }
  for (const Json& object : *list) {
    if (!object.is_object()) return data_loss("the hub's list of {} is malformed", kind.list);
  }
  return *list;
}

int show_list(HubClient& client, const Kind& kind, const Output& output) {
  const auto list = list_of(client, kind);
  if (!list.ok()) return output.fail_on(client.link().name, list.status());
  std::vector<std::vector<std::string>> rows(1);
  for (const auto& [heading, key] : kind.columns) rows.front().emplace_back(heading);
  for (const Json& object : *list) {
    auto& row = rows.emplace_back();
    for (const auto& [heading, key] : kind.columns) row.push_back(text_in(object, key));
  }
  if (output.format() == Format::kText) {
    output.say(list->empty() ? fmt::format("no {}", kind.list) : text_table(rows));
  }
  output.result({{kind.list, *list}});
  return kDone;
}

// A name goes into a path: what would mean something there is refused here.
Status check_name(const std::string& name) {
  const bool plain = !name.empty() && name.size() <= 64 &&
                     name.find_first_not_of(
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                         "0123456789._-") == std::string::npos &&
                     name.front() != '.';
  if (plain) return absl::OkStatus();
  return invalid_argument("NAME \"{}\": expected 1 to 64 letters, digits, '.', '_' and '-'",
                          escaped(name.substr(0, 80)));
}

int change(HubClient& client, const Kind& kind, Change change, const std::string& name,
           const Json& body, const Output& output) {
  const bool adds = change == Change::kAdd;
  if (const Status status = check_name(name); !status.ok()) return output.fail(status);
  const auto answer =
      adds ? client.post(kind.path, body) : client.remove(fmt::format("{}/{}", kind.path, name));
  if (!answer.ok()) return output.fail_on(client.link().name, answer.status());
  output.say(fmt::format("{} {}: {} at {}", kind.noun, name, adds ? "registered" : "removed",
                         client.link().name));
  output.result(adds ? body : Json{{"name", name}});
  return kDone;
}

template <class Options>
int run_kind(const Kind& kind, const Options& options, Json body, const Output& output) {
  auto client = HubClient::open(options.link);
  if (!client.ok()) return output.fail(client.status());
  if (options.change == Change::kList) return show_list(*client, kind, output);
  if (options.change == Change::kAdd) {
    const auto key = PublicKey::parse(options.key);
    if (!key.ok()) return output.fail(annotate(key.status(), "KEY"));
    body["name"] = options.name;
    body["key"] = options.key;
    if (!options.federation.empty()) body["federation"] = options.federation;
  }
  return change(*client, kind, options.change, options.name, body, output);
}

}  // namespace

int run_supernode(const SupernodeOptions& options, const Output& output) {
  return run_kind(kNodes, options, Json::object(), output);
}

int run_account(const AccountOptions& options, const Output& output) {
  const std::string role = options.role.empty() ? "user" : options.role;
  return run_kind(kAccounts, options, Json{{"role", role}}, output);
}

}  // namespace umbel::cli

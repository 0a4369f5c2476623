#include "umbel/bundle/list.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "umbel/base/check.h"
#include "umbel/base/sha256.h"
#include "umbel/base/text.h"
#include "umbel/bundle/entry.h"

namespace umbel::bundle {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kSigned = "umbel.v1 bundle";
constexpr int kFormat = 1;
constexpr int kNestingMax = 3;
constexpr size_t kNameBytesMax = 64;
constexpr size_t kProgramsMax = 64;

bool is_alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}
bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kNameBytesMax && is_alnum(text.front()) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return is_alnum(c) || c == '.' || c == '_' || c == '-'; });
}
bool is_hash(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::string folded(std::string_view path) {
  std::string lower(path);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lower;
}

// Files and folders by their names in lower case: some file systems know no other.
class Names {
 public:
  Status add(const std::string& path) {
    for (size_t at = path.find('/'); at != std::string::npos; at = path.find('/', at + 1)) {
      UMBEL_RETURN_IF_ERROR(add(path.substr(0, at), true));
    }
    return add(path, false);
  }

 private:
  Status add(const std::string& path, bool folder) {
    const auto [at, is_new] = known_.try_emplace(folded(path), path, folder);
    const auto& [spelt, was_folder] = at->second;
    if (is_new || (folder && was_folder && spelt == path)) return absl::OkStatus();
    if (spelt != path) {
      return invalid_argument("\"{}\" and \"{}\": names that differ in case only", spelt, path);
    }
    return invalid_argument("\"{}\": {}", path,
                            folder == was_folder ? "listed twice" : "both a file and a folder");
  }
  std::map<std::string, std::pair<std::string, bool>> known_;
};

Status check_description(const Description& description) {
  const std::pair<const char*, const std::string*> names[] = {{"publisher", &description.publisher},
                                                              {"name", &description.name},
                                                              {"version", &description.version}};
  for (const auto& [what, name] : names) {
    if (is_name(*name)) continue;
    return invalid_argument(
        "{} \"{}\": expected 1 to {} letters, digits, '.', '_' and '-', the first a letter or "
        "digit",
        what, escaped(std::string_view(*name).substr(0, kNameBytesMax + 1)), kNameBytesMax);
  }
  if (description.programs.size() > kProgramsMax) {
    return resource_exhausted("{} programs, the limit is {}", description.programs.size(),
                              kProgramsMax);
  }
  for (const std::string* object : {&description.python.server, &description.python.client}) {
    if (!object->empty()) UMBEL_RETURN_IF_ERROR(check_python_object(*object));
  }
  return absl::OkStatus();
}

Status check_programs(const Description& description, const std::vector<Bundle::File>& files) {
  const std::string* last = nullptr;
  for (const auto& [platform, path] : description.programs) {
    if (!is_name(platform) || (last != nullptr && platform <= *last)) {
      return invalid_argument("platform \"{}\": not a name, or not in order",
                              escaped(std::string_view(platform).substr(0, kNameBytesMax + 1)));
    }
    const auto at = std::lower_bound(
        files.begin(), files.end(), path,
        [](const Bundle::File& file, const std::string& wanted) { return file.path < wanted; });
    if (at == files.end() || at->path != path || !at->executable) {
      return invalid_argument("program for {}: \"{}\" is not among the executable files", platform,
                              escaped(path));
    }
    last = &platform;
  }
  return absl::OkStatus();
}

std::string hex_of(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) text += fmt::format("{:02x}", std::to_integer<int>(byte));
  return text;
}

// What is signed: the purpose, then the list's hash.
std::vector<std::byte> signed_message(std::string_view list) {
  const std::string hash = sha256_hex(std::as_bytes(std::span(list)));
  const auto purpose = std::as_bytes(std::span(kSigned));
  std::vector<std::byte> message(purpose.begin(), purpose.end());
  for (size_t i = 0; i != hash.size(); i += 2) {
    message.push_back(static_cast<std::byte>(std::stoi(hash.substr(i, 2), nullptr, 16)));
  }
  return message;
}

// A discarded value for what is no JSON or nests deeper than ours does.
Json parse(std::string_view text) {
  bool deep = false;
  const auto watch = [&](int depth, Json::parse_event_t, Json&) {
    deep = deep || depth > kNestingMax;
    return !deep;
  };
  Json json = Json::parse(text, watch, false);
  return deep ? Json(Json::value_t::discarded) : json;
}

template <class Value>
bool take(const Json& object, const char* key, Value& value) {
  if (!object.is_object()) return false;
  const auto at = object.find(key);
  if (at == object.end()) return false;
  if constexpr (std::is_same_v<Value, std::string>) {
    if (!at->is_string()) return false;
  } else if constexpr (std::is_same_v<Value, bool>) {
    if (!at->is_boolean()) return false;
  } else {
    if (!at->is_number_unsigned()) return false;
  }
  value = at->get<Value>();
  return true;
}

Json python_json(const PythonEntry& python) {
  Json json = Json::object();
  if (!python.server.empty()) json["server"] = python.server;
  if (!python.client.empty()) json["client"] = python.client;
  if (python.flower) json["flower"] = true;
  return json;
}

bool read_programs(const Json& json, Description& description) {
  const auto programs = json.find("programs");
  if (programs == json.end() || !programs->is_array()) return false;
  for (const Json& entry : *programs) {
    auto& [platform, path] = description.programs.emplace_back();
    if (!take(entry, "platform", platform) || !take(entry, "path", path)) return false;
  }
  return true;
}

// Absent for an app that is not in Python.
bool read_python(const Json& json, PythonEntry& python) {
  const auto found = json.find("python");
  if (found == json.end()) return true;
  if (!found->is_object()) return false;
  const bool server = !found->contains("server") || take(*found, "server", python.server);
  const bool client = !found->contains("client") || take(*found, "client", python.client);
  return server && client && (!found->contains("flower") || take(*found, "flower", python.flower));
}

bool read_files(const Json& json, std::vector<Bundle::File>& files) {
  const auto list = json.find("files");
  if (list == json.end() || !list->is_array()) return false;
  for (const Json& entry : *list) {
    Bundle::File& file = files.emplace_back();
    if (!take(entry, "path", file.path) || !take(entry, "bytes", file.bytes) ||
        !take(entry, "sha256", file.sha256) || !take(entry, "executable", file.executable)) {
      return false;
    }
  }
  return true;
}

}  // namespace

Status check_list(const Description& description, const std::vector<Bundle::File>& files) {
  UMBEL_RETURN_IF_ERROR(check_description(description));
  if (files.size() > kFilesMax) {
    return resource_exhausted("{} files, the limit is {}", files.size(), kFilesMax);
  }
  Names names;
  uint64_t total = 0;
  for (size_t i = 0; i != files.size(); ++i) {
    const Bundle::File& file = files[i];
    UMBEL_RETURN_IF_ERROR(check_path(file.path));
    if (folded(file.path) == kListName || folded(file.path) == kSignatureName) {
      return invalid_argument("\"{}\": a name that the bundle's own entries have", file.path);
    }
    if (!is_hash(file.sha256)) return invalid_argument("\"{}\": no SHA-256", file.path);
    UMBEL_RETURN_IF_ERROR(names.add(file.path));
    if (i != 0 && file.path < files[i - 1].path) {
      return invalid_argument("\"{}\": the list is not in order", file.path);
    }
    if (file.bytes > kUnpackedBytesMax - total) {
      return resource_exhausted("\"{}\": with it the files have more than {} bytes", file.path,
                                kUnpackedBytesMax);
    }
    total += file.bytes;
  }
  return check_programs(description, files);
}

std::string format_list(const Description& description, const std::vector<Bundle::File>& files) {
  Json programs = Json::array(), list = Json::array();
  for (const auto& [platform, path] : description.programs) {
    programs.push_back({{"platform", platform}, {"path", path}});
  }
  for (const Bundle::File& file : files) {
    list.push_back({{"path", file.path},
                    {"bytes", file.bytes},
                    {"sha256", file.sha256},
                    {"executable", file.executable}});
  }
  Json json = {{"format", kFormat},
               {"publisher", description.publisher},
               {"name", description.name},
               {"version", description.version},
               {"programs", std::move(programs)}};
  if (!description.python.empty()) json["python"] = python_json(description.python);
  json["files"] = std::move(list);
  return json.dump() + "\n";
}

Result<List> parse_list(std::string_view text) {
  const Json json = parse(text);
  List list;
  uint64_t format = 0;
  if (json.is_discarded() || !take(json, "format", format)) {
    return invalid_argument("entry \"{}\": no list of a bundle", kListName);
  }
  if (format != kFormat) {
    return invalid_argument("entry \"{}\": format {}, this version reads {}", kListName, format,
                            kFormat);
  }
  if (!take(json, "publisher", list.description.publisher) ||
      !take(json, "name", list.description.name) ||
      !take(json, "version", list.description.version) || !read_programs(json, list.description) ||
      !read_python(json, list.description.python) || !read_files(json, list.files)) {
    return invalid_argument("entry \"{}\": a field is missing or of another kind", kListName);
  }
  const Status checked = check_list(list.description, list.files);
  if (!checked.ok()) return annotate(checked, fmt::format("entry \"{}\"", kListName));
  if (format_list(list.description, list.files) != text) {
    return invalid_argument("entry \"{}\": not in the spelling that docs/bundle.md gives",
                            kListName);
  }
  return list;
}

std::string format_signature(std::string_view list, const PrivateKey& signer) {
  const Json json = {{"key", signer.public_key().text()},
                     {"signature", hex_of(signer.sign(signed_message(list)))}};
  return json.dump() + "\n";
}

Result<PublicKey> check_signature(std::string_view text, std::string_view list) {
  const auto wrong = [](std::string_view why) {
    return invalid_argument("entry \"{}\": {}", kSignatureName, why);
  };
  const Json json = parse(text);
  std::string key_text, digits;
  if (json.is_discarded() || !take(json, "key", key_text) || !take(json, "signature", digits)) {
    return wrong("no signature");
  }
  const Result<PublicKey> key = PublicKey::parse(key_text);
  if (!key.ok()) return annotate(key.status(), fmt::format("entry \"{}\"", kSignatureName));
  if (digits.size() != 128 || !is_hash(std::string_view(digits).substr(0, 64)) ||
      !is_hash(std::string_view(digits).substr(64))) {
    return wrong("expected 128 hexadecimal digits in lower case");
  }
  if ((Json{{"key", key_text}, {"signature", digits}}).dump() + "\n" != text) {
    return wrong("not in the spelling that docs/bundle.md gives");
  }
  Signature signature;
  for (size_t i = 0; i != signature.size(); ++i) {
    signature[i] = static_cast<std::byte>(std::stoi(digits.substr(2 * i, 2), nullptr, 16));
  }
  if (!key->verifies(signed_message(list), signature)) {
    return wrong("it is not that of this list under this key");
  }
  return *key;
}

}  // namespace umbel::bundle

#include "umbel/supernode/status.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <system_error>

#include "umbel/base/text.h"

namespace umbel::supernode {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

// Asking about a lock of this kind does not take it: a look at a node's status disturbs nobody.
struct flock whole_file() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

}  // namespace

std::string format_json(const NodeStatus& status, bool running) {
  json runs = json::array();
  for (const auto& run : status.runs) {
    runs.push_back({{"run-id", run.run},
                    {"app", run.app},
                    {"working", run.working},
                    {"process", run.process}});
  }
  const json object = {{"running", running},
                       {"connected", status.connected},
                       {"draining", status.draining},
                       {"hub", status.hub},
                       {"name", status.name},
                       {"key", status.key},
                       {"software", status.software},
                       {"pid", status.pid},
                       {"started-ms", status.started_ms},
                       {"changed-ms", status.changed_ms},
                       {"runs", std::move(runs)},
                       {"fetching", status.fetching},
                       {"waiting", status.waiting},
                       {"working", status.working},
                       {"kept", status.kept},
                       {"replies", status.replies},
                       {"failures", status.failures},
                       {"last-error", status.last_error}};
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<NodeStatus> parse_status(const std::string& text) {
  try {
    const json object = json::parse(text);
    NodeStatus status;
    object.at("connected").get_to(status.connected);
    object.at("draining").get_to(status.draining);
    object.at("hub").get_to(status.hub);
    object.at("name").get_to(status.name);
    object.at("key").get_to(status.key);
    object.at("software").get_to(status.software);
    object.at("pid").get_to(status.pid);
    object.at("started-ms").get_to(status.started_ms);
    object.at("changed-ms").get_to(status.changed_ms);
    for (const json& run : object.at("runs")) {
      status.runs.push_back({.run = run.at("run-id"),
                             .app = run.at("app"),
                             .working = run.at("working"),
                             .process = run.at("process")});
    }
    object.at("fetching").get_to(status.fetching);
    object.at("waiting").get_to(status.waiting);
    object.at("working").get_to(status.working);
    object.at("kept").get_to(status.kept);
    object.at("replies").get_to(status.replies);
    object.at("failures").get_to(status.failures);
    object.at("last-error").get_to(status.last_error);
    return status;
  } catch (const json::exception& error) {
    return invalid_argument("status.json: {}", escaped(error.what()));
  }
}

std::string format_text(const NodeStatus& status, bool running) {
  const char* state = !running           ? "not running"
                      : status.draining  ? "shutting down"
                      : status.connected ? "connected"
                                         : "not connected";
  std::string text = fmt::format(
      "state      {}\nhub        {}\nname       {}\nkey        {}\nsoftware   {}\npid        {}\n"
      "work       {} fetching, {} waiting, {} working, {} replies kept\n"
      "in all     {} replies, {} failures\n",
      state, escaped(status.hub), status.name.empty() ? "-" : escaped(status.name),
      escaped(status.key), escaped(status.software), status.pid, status.fetching, status.waiting,
      status.working, status.kept, status.replies, status.failures);
  if (!status.last_error.empty()) text += "last error " + escaped(status.last_error) + "\n";
  for (const auto& run : status.runs) {
    text += fmt::format("run {:<6} {}  {}\n", run.run, escaped(run.app),
                        run.working   ? "working"
                        : run.process ? "idle"
                                      : "waiting");
  }
  return text;
}

Status write_status(const fs::path& file, const NodeStatus& status) {
  const fs::path temporary = file.string() + ".new";
  const std::string text = format_json(status) + "\n";
  {
    const Descriptor out(
        open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!out || write(out.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      return unavailable("{}: {}", temporary.string(), std::strerror(errno));
    }
  }
  if (std::rename(temporary.c_str(), file.c_str()) != 0) {
    return unavailable("{}: {}", file.string(), std::strerror(errno));
  }
  return absl::OkStatus();
}

Result<Descriptor> lock_state(const fs::path& state) {
  std::error_code error;
  fs::create_directories(state, error);
  fs::permissions(state, fs::perms::owner_all, error);
  const fs::path file = state / "lock";
  Descriptor descriptor(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!descriptor) return unavailable("{}: {}", file.string(), std::strerror(errno));
  struct flock whole = whole_file();
  if (fcntl(descriptor.get(), F_OFD_SETLK, &whole) == 0) return descriptor;
  if (errno != EAGAIN && errno != EACCES) {
    return unavailable("{}: {}", file.string(), std::strerror(errno));
  }
  return absl::AlreadyExistsError(
      fmt::format("{}: another umbel-supernode uses this state folder", state.string()));
}

bool is_locked(const fs::path& state) {
  const Descriptor descriptor(open((state / "lock").c_str(), O_RDWR | O_CLOEXEC));
  struct flock whole = whole_file();
  return descriptor && fcntl(descriptor.get(), F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
}

}  // namespace umbel::supernode

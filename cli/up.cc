#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <regex>

#include "child.h"
#include "commands.h"
#include "hub_client.h"
#include "line_splitter.h"
#include "signal_watch.h"
#include "text_format.h"
#include "umbel/base/files.h"
#include "umbel/bundle/interpreter.h"
#include "up_detached.h"

namespace umbel::cli {

namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kLocal = "local";
constexpr const char* kHost = "127.0.0.1";
constexpr auto kStartPatience = std::chrono::seconds(60);
constexpr auto kEndPatience = std::chrono::seconds(15);
constexpr auto kLook = std::chrono::milliseconds(100);  // how often the nodes are asked for
constexpr size_t kLineBytesMax = 4096;

// The program of this name beside the one that runs, else on PATH.
std::string program_beside(const std::string& name) {
  std::error_code error;
  const fs::path beside = fs::read_symlink("/proc/self/exe", error).parent_path() / name;
  return !error && access(beside.c_str(), X_OK) == 0 ? beside.string() : name;
}

class LocalFederation {
 public:
  LocalFederation(const UpOptions& options, const Output& output)
      : options_(options), output_(output), home_(umbel_home() / "up") {}
  ~LocalFederation() { end(); }

  Status start() {
    std::error_code error;
    fs::create_directories(home_, error);
    if (error) return unavailable("{}: cannot make it: {}", home_.string(), error.message());
    UMBEL_ASSIGN_OR_RETURN(user_, PrivateKey::read_or_make(user_key_path()));
    UMBEL_RETURN_IF_ERROR(start_hub());
    UMBEL_RETURN_IF_ERROR(write_link());
    UMBEL_RETURN_IF_ERROR(open_accounts());
    for (int64_t i = 1; i <= options_.nodes; ++i) UMBEL_RETURN_IF_ERROR(start_node(i));
    return wait_for_nodes();
  }
  // Until a signal comes (OK) or the hub ends.
  Status run() {
    while (true) {
      UMBEL_RETURN_IF_ERROR(step(-1));
      if (signals_.first() != 0) return absl::OkStatus();
    }
  }
  // Asks all to end, nodes first, and makes them after a while.
  void end() {
    end_all(nodes_);
    end_all(hub_);
  }
  bool was_interrupted() const { return signals_.first() != 0; }
  std::string address() const { return fmt::format("{}:{}", kHost, port_); }

 private:
  struct Process {
    std::string name;
    Child child;
    Descriptor log;  // where its words go
    LineSplitter lines{kLineBytesMax};
  };

  Result<Process> spawn(const std::string& name, std::vector<std::string> arguments) {
    const fs::path file = home_ / (name + ".log");
    Descriptor log(open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (log.get() < 0) return unavailable("{}: cannot be written", file.string());
    ChildCommand command;
    command.arguments = std::move(arguments);
    UMBEL_ASSIGN_OR_RETURN(Child child, Child::start(command));
    return Process{name, std::move(child), std::move(log), LineSplitter(kLineBytesMax)};
  }

  // Apps run in the interpreter that this user's simulations have, if there is one.
  std::vector<std::string> with_python(std::vector<std::string> arguments) const {
    const auto python = bundle::find_interpreter({.given = options_.python});
    if (python.ok()) arguments.insert(arguments.end(), {"--python", python->program.string()});
    return arguments;
  }
  Status start_hub() {
    if (!options_.python.empty()) {
      UMBEL_RETURN_IF_ERROR(bundle::find_interpreter({.given = options_.python}).status());
    }
    UMBEL_ASSIGN_OR_RETURN(
        Process hub, spawn("superlink", with_python({program_beside("umbel-superlink"), "--address",
                                                     kHost, "--port", std::to_string(options_.port),
                                                     "--state", (home_ / "superlink").string(),
                                                     "--name", kHost, "--name", "localhost"})));
    hub_.push_back(std::move(hub));
    const auto deadline = Clock::now() + kStartPatience;
    while (port_ == 0 || trust_.empty()) {
      if (Clock::now() > deadline) return late("superlink");
      UMBEL_RETURN_IF_ERROR(step(static_cast<int>(kLook.count())));
      if (signals_.first() != 0) return absl::CancelledError("stopped");
    }
    return absl::OkStatus();
  }
  Status late(const std::string& name) const {
    return absl::DeadlineExceededError(fmt::format("{}: not ready after {} seconds; {} may say why",
                                                   name, kStartPatience.count(),
                                                   (home_ / (name + ".log")).string()));
  }
  // "superlink: ready on 127.0.0.1:9092", "... --trust sha256:..."
  void take_hub_line(std::string_view view) {
    const std::string line(view);
    std::smatch match;
    static const std::regex kReady("ready on .*:([0-9]+)$");
    static const std::regex kTrust("--trust (sha256:[0-9a-f]{64})");
    if (std::regex_search(line, match, kReady)) port_ = std::stoi(match[1]);
    if (std::regex_search(line, match, kTrust)) trust_ = match[1];
  }

  Status write_link() {
    UMBEL_ASSIGN_OR_RETURN(const auto links, read_links());
    for (const LinkProfile& known : links) {
      if (known.name == kLocal) UMBEL_RETURN_IF_ERROR(remove_link(kLocal));
    }
    link_.name = kLocal;
    link_.address = address();
    link_.trust = trust_;
    link_.key = user_key_path();
    return add_link(link_);
  }
  // The hub's own administrator lets this user in, and the nodes.
  Status open_accounts() {
    LinkProfile admin = link_;
    admin.key = home_ / "superlink" / "admin.key";
    UMBEL_ASSIGN_OR_RETURN(admin_, HubClient::open(admin));
    return put("/v1/accounts",
               {{"name", kLocal}, {"key", user_->public_key().text()}, {"role", "admin"}});
  }
  // What is there already under that name is made anew.
  Status put(const std::string& path, const Json& body) {
    const auto first = admin_->post(path, body);
    if (first.status().code() != absl::StatusCode::kAlreadyExists) return first.status();
    UMBEL_RETURN_IF_ERROR(
        admin_->remove(fmt::format("{}/{}", path, body["name"].get<std::string>())).status());
    return admin_->post(path, body).status();
  }
  Status start_node(int64_t number) {
    const std::string name = fmt::format("node-{}", number);
    const fs::path state = home_ / name;
    UMBEL_ASSIGN_OR_RETURN(const PrivateKey key, PrivateKey::read_or_make(state / "node.key"));
    UMBEL_RETURN_IF_ERROR(put("/v1/nodes", {{"name", name}, {"key", key.public_key().text()}}));
    UMBEL_ASSIGN_OR_RETURN(
        Process node,
        spawn(name,
              with_python({program_beside("umbel-supernode"), "--superlink", address(), "--trust",
                           trust_, "--state", state.string(), "--name", name, "--trust-publisher",
                           user_->public_key().text(), "--client-logs", "full"})));
    nodes_.push_back(std::move(node));
    return absl::OkStatus();
  }
  Status wait_for_nodes() {
    const auto deadline = Clock::now() + kStartPatience;
    while (true) {
      UMBEL_ASSIGN_OR_RETURN(const Json answer, admin_->get("/v1/nodes"));
      int64_t online = 0;
      for (const Json& node : answer.value("nodes", Json::array())) {
        const std::string name = node.value("name", ""), status = node.value("status", "");
        online += name.starts_with("node-") && status == "online" ? 1 : 0;
      }
      if (online >= options_.nodes) return absl::OkStatus();
      if (Clock::now() > deadline) return late(fmt::format("node-{}", options_.nodes));
      UMBEL_RETURN_IF_ERROR(step(static_cast<int>(kLook.count())));
      if (signals_.first() != 0) return absl::CancelledError("stopped");
    }
  }

  std::vector<Process*> all() {
    std::vector<Process*> processes;
    for (auto* list : {&hub_, &nodes_}) {
      for (Process& process : *list) processes.push_back(&process);
    }
    return processes;
  }
  // Waits until something happens: words are kept, signals taken, ends noticed.
  Status step(int milliseconds) {
    const std::vector<Process*> processes = all();
    std::vector<pollfd> polled = {{signals_.descriptor(), POLLIN, 0}};
    for (const Process* process : processes) {
      polled.push_back({process->child.ended_descriptor(), POLLIN, 0});
      polled.push_back({const_cast<Process*>(process)->child.output().get(), POLLIN, 0});
      polled.push_back({const_cast<Process*>(process)->child.errors().get(), POLLIN, 0});
    }
    if (poll(polled.data(), polled.size(), milliseconds) < 0) return absl::OkStatus();
    while (signals_.take() != 0) {
    }
    for (size_t i = 0; i != processes.size(); ++i) {
      take_words(*processes[i], processes[i]->child.output());
      take_words(*processes[i], processes[i]->child.errors());
      if (polled[1 + 3 * i].revents != 0 && signals_.first() == 0) {
        const std::string name = processes[i]->name;
        return unavailable("{} {}; {} may say why", name, describe_end(processes[i]->child.wait()),
                           (home_ / (name + ".log")).string());
      }
    }
    return absl::OkStatus();
  }
  void take_words(Process& process, Descriptor& from) {
    if (from.get() < 0) return;
    char bytes[4096];
    ssize_t got = 0;
    while ((got = read(from.get(), bytes, sizeof bytes)) > 0) {
      const std::string_view text(bytes, static_cast<size_t>(got));
      [[maybe_unused]] const ssize_t put = write(process.log.get(), text.data(), text.size());
      if (process.name != "superlink") continue;
      process.lines.feed(text, [&](std::string_view line, bool) { take_hub_line(line); });
    }
    if (got == 0) from.reset();
  }
  void end_all(std::vector<Process>& processes) {
    for (Process& process : processes) process.child.signal_group(SIGTERM);
    const auto deadline = Clock::now() + kEndPatience;
    for (Process& process : processes) {
      while (true) {
        take_words(process, process.child.output());
        take_words(process, process.child.errors());
        pollfd ended = {process.child.ended_descriptor(), POLLIN, 0};
        if (poll(&ended, 1, static_cast<int>(kLook.count())) > 0 || Clock::now() > deadline) break;
        if (signals_.take() != 0) break;  // a second Ctrl-C: at once
      }
    }
    processes.clear();  // kills what is left
  }

  const UpOptions& options_;
  const Output& output_;
  SignalWatch signals_;
  fs::path home_;
  Result<PrivateKey> user_ = absl::UnknownError("");
  LinkProfile link_;
  Result<HubClient> admin_ = absl::UnknownError("");
  std::vector<Process> hub_, nodes_;
  int port_ = 0;
  std::string trust_;
};

}  // namespace

int run_up(const UpOptions& options, const Output& output) {
  if (const Status free = require_no_up_process(); !free.ok()) return output.fail(free);
  const auto said = [&](const std::string& how) {
    return fmt::format(
        "a hub and {} nodes are up; `umbel run APP {}` runs an app there; {} ends them",
        options.nodes, kLocal, how);
  };
  const auto run = [&](const std::function<void(const Status&)>& started) {
    LocalFederation federation(options, output);
    Status status = federation.start();
    if (status.ok()) status = write_up_process();
    started(status);
    if (!status.ok()) {
      federation.end();
      if (federation.was_interrupted()) return output.fail("stopped", kSignalBase + SIGINT);
      return output.fail_on(kLocal, status);
    }
    if (!options.detach) output.say(said("Ctrl-C, or `umbel down`,"));
    status = federation.run();
    federation.end();
    if (!status.ok()) return output.fail_on(kLocal, status);
    if (!options.detach) {
      output.result({{"address", federation.address()}, {"nodes", options.nodes}});
    }
    return static_cast<int>(kDone);
  };
  if (!options.detach) return run([](const Status&) {});
  const Status status = start_detached((umbel_home() / "up" / "up.log").string(), run);
  if (!status.ok()) return output.fail_on(kLocal, status);
  output.say(said("`umbel down`"));
  output.result({{"link", kLocal}, {"nodes", options.nodes}});
  return kDone;
}

int run_down(const DownOptions&, const Output& output) {
  const Status status = end_up_process();
  if (!status.ok()) return output.fail(status);
  output.say("the hub and its nodes are down");
  output.result({{"status", "down"}});
  return kDone;
}

}  // namespace umbel::cli

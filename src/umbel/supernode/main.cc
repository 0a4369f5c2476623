#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <iostream>
#include <optional>
#include <thread>

#include "umbel/base/files.h"
#include "umbel/supernode/log.h"
#include "umbel/supernode/program_options.h"
#include "umbel/supernode/status.h"

namespace umbel::supernode {
namespace {

namespace fs = std::filesystem;

constexpr size_t kConfigBytesMax = 1 << 20;
constexpr int kFailed = 1, kBadArguments = 4;

struct Arguments {
  ProgramOptions options;
  std::string config;
  std::string format = "text";
  bool version = false, status = false;
};

int refuse(const Status& status, int exit_code) {
  std::cerr << "umbel-supernode: " << message_of(status) << "\n";
  return exit_code;
}

void add_options(CLI::App& app, Arguments& arguments) {
  ProgramOptions& options = arguments.options;
  NodeOptions& node = options.node;
  app.add_option("--superlink", options.superlink, "The hub, HOST:PORT");
  app.add_option("--trust", options.trust, "The hub's authority: sha256:..., or a file of PEM");
  app.add_option("--state", options.state, "Its folder (default: $UMBEL_HOME/supernode)");
  app.add_option("--name", node.name, "The node's name");
  app.add_option("--config", arguments.config, "A TOML file with all of this; arguments win");
  app.add_option("--node-config", options.node_config, "Settings for ClientApps: 'key=value ...'");
  app.add_option("--trust-publisher", options.trust_publishers,
                 "A key, ed25519:..., whose apps may run here; may be repeated");
  app.add_flag("--allow-any-app", node.policy.allow_any_app, "Run apps of any publisher");
  app.add_option("--app", node.apps, "An app's folder or program to run in place of bundles");
  app.add_flag("--build-from-source", node.build_from_source,
               "Build apps that have no program for this platform");
  app.add_option("--python", node.python, "The interpreter for apps in Python");
  app.add_option("--apps-max", options.apps_max, "Apps' processes at once (default: 2)");
  app.add_option("--client-logs", options.client_logs,
                 "What the hub sees of apps' logs: off (default), errors or full");
  app.add_option("--drain-seconds", options.drain_seconds,
                 "How long running work may take after SIGTERM (default: 60)");
  app.add_flag("--exit-on-refusal", node.exit_on_refusal, "End with code 2 if the hub refuses");
  app.add_flag("--lock-memory", options.lock_memory, "Keep all memory out of swap");
  app.add_flag("--insecure-no-tls", options.insecure_no_tls, "Connect without TLS: for tests");
  app.add_flag("--version", arguments.version, "Print the version");
  CLI::App* status = app.add_subcommand("status", "Show what the node is doing");
  status->add_option("--state", options.state, "The node's folder");
  status->add_option("--format", arguments.format, "text or json")
      ->check(CLI::IsMember({"text", "json"}));
  status->callback([&arguments] { arguments.status = true; });
}

// The exit code if the program is to end here.
std::optional<int> parse(int argc, char** argv, Arguments& arguments) {
  CLI::App app("The agent of a data site: joins a hub, and runs its apps where the data is",
               "umbel-supernode");
  add_options(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kBadArguments;
  }
  return std::nullopt;
}

int show_status(const Arguments& arguments) {
  const fs::path state = arguments.options.state.empty() ? umbel_home() / "supernode"
                                                         : fs::path(arguments.options.state);
  const auto text = read_file(state / "status.json", kConfigBytesMax);
  if (!text.ok())
    return refuse(not_found("{}: no node was started there", state.string()), kFailed);
  auto status = parse_status(*text);
  if (!status.ok()) return refuse(status.status(), kFailed);
  const bool running = is_locked(state);
  if (!running) status->connected = false;
  std::cout << (arguments.format == "json" ? format_json(*status, running) + "\n"
                                           : format_text(*status, running));
  return 0;
}

void harden(bool lock_memory) {
  umask(0077);
  signal(SIGPIPE, SIG_IGN);
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0);
  if (lock_memory && mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
    log_warn("node: memory cannot be locked (RLIMIT_MEMLOCK)");
  }
}

// Reads the node's key or makes it; tells how to register one that is new.
Result<PrivateKey> key_of(const NodeOptions& options) {
  const fs::path file = options.state / "node.key";
  std::error_code ignored;
  const bool is_new = !fs::exists(file, ignored);
  UMBEL_ASSIGN_OR_RETURN(PrivateKey key, PrivateKey::read_or_make(file));
  const std::string text = key.public_key().text();
  std::cout << "supernode: its key is " << text;
  if (is_new) {
    std::cout << "; register it by:  umbel supernode register "
              << (options.name.empty() ? "NAME" : options.name) << " " << text << " LINK";
  }
  std::cout << std::endl;
  return key;
}

// The first SIGTERM or SIGINT drains the node, the second ends it.
int run_until_signal(Node& node) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1}) sigaddset(&signals, signal);
  std::jthread watcher([&] {
    for (int signal = 0; sigwait(&signals, &signal) == 0 && signal != SIGUSR1;) node.stop();
  });
  const int exit_code = node.run();
  pthread_kill(watcher.native_handle(), SIGUSR1);
  return exit_code;
}

int run(Arguments arguments) {
  harden(arguments.options.lock_memory);
  const bool plain = arguments.options.insecure_no_tls;
  auto options = finish_options(std::move(arguments.options));
  if (!options.ok()) return refuse(options.status(), kBadArguments);
  options->software = "umbel " UMBEL_VERSION;
  if (plain) log_warn("node: without TLS: anyone on the way can read and change what is sent");
  // Before any thread is started, so that all of them leave the signals to the watcher.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  auto key = key_of(*options);
  if (!key.ok()) return refuse(key.status(), kBadArguments);
  auto node = Node::create(*std::move(options), *std::move(key));
  if (!node.ok()) return refuse(node.status(), kBadArguments);
  return run_until_signal(**node);
}

int main_of(int argc, char** argv) {
  Arguments arguments;
  if (const auto code = parse(argc, argv, arguments)) return *code;
  if (arguments.version) {
    std::cout << "umbel-supernode " UMBEL_VERSION << std::endl;
    return 0;
  }
  if (arguments.status) return show_status(arguments);
  if (arguments.config.empty()) return run(std::move(arguments));

  const auto text = read_file(arguments.config, kConfigBytesMax);
  if (!text.ok()) return refuse(text.status(), kBadArguments);
  Arguments again;
  const Status applied = apply_config_file(*text, arguments.config, again.options);
  if (!applied.ok()) return refuse(applied, kBadArguments);
  if (const auto code = parse(argc, argv, again)) return *code;
  return run(std::move(again));
}

}  // namespace
}  // namespace umbel::supernode

int main(int argc, char** argv) { return umbel::supernode::main_of(argc, argv); }

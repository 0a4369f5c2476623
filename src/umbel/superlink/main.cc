// The program umbel-superlink.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "umbel/base/files.h"
#include "umbel/bundle/interpreter.h"
#include "umbel/superlink/hub.h"
#include "umbel/superlink/log.h"

namespace {

constexpr int kExitFailed = 1;
constexpr int kExitArguments = 4;

// Updates must not reach a disk: not by a core file either.
void no_core_dumps() {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::prctl(PR_SET_DUMPABLE, 0);
}

// Thousands of nodes are thousands of descriptors.
void many_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

void say_how_to_go_on(const umbel::superlink::Hub& hub,
                      const umbel::superlink::HubOptions& options) {
  const std::string name = options.names.empty() ? "HOST" : options.names[0];
  const std::string where = fmt::format("{}:{}", name, hub.port());
  const std::string trust = hub.authority_sha256().empty()
                                ? "--insecure-no-tls"
                                : "--trust sha256:" + hub.authority_sha256();
  fmt::print("superlink: ready on {}:{}\n", options.address, hub.port());
  fmt::print("superlink: a node joins by:  umbel-supernode --superlink {} {}\n", where, trust);
  if (!hub.new_admin_key().empty()) {
    fmt::print("superlink: administrate it by:  umbel link add NAME {} {} --key {}\n", where, trust,
               hub.new_admin_key().string());
  }
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  umbel::superlink::HubOptions options;
  options.state = umbel::umbel_home() / "superlink";
  bool no_tls = false, fold_only = false;
  CLI::App app("The hub of a federation: knows its nodes and runs, routes messages, folds replies.",
               "umbel-superlink");
  app.set_version_flag("--version", "umbel-superlink " UMBEL_VERSION);
  app.add_option("--address", options.address, "Address to listen on")->capture_default_str();
  app.add_option("--port", options.port, "Port to listen on; 0: any free one")
      ->capture_default_str();
  app.add_option("--state", options.state, "Folder for what it must not forget")
      ->capture_default_str();
  app.add_option(
      "--name", options.names,
      "Host name or address by which nodes reach it, for its certificate; repeat for more");
  app.add_option("--runs-max", options.runs_max, "Runs at the same time; others are queued")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_option("--memory-max", options.memory_max,
                 "Bytes for replies that are kept until they are whole; larger ones are folded as "
                 "they come")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  app.add_option("--node-grace", options.node_grace_seconds,
                 "Seconds to wait for a node that owes a reply and is not connected")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
  app.add_option("--threads", options.threads, "Threads for connections and folding")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--connections-max", options.connections_max, "Connections at the same time")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--python", options.python, "The interpreter for ServerApps in Python");
  app.add_flag("--fold-only", fold_only, "Give ServerApps folds only, never a single node's reply");
  app.add_flag("--insecure-no-tls", no_tls,
               "Without TLS: everybody on the way can read and change everything; for trials");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitArguments;
  }
  if (!options.python.empty()) {
    const auto python =
        umbel::bundle::find_interpreter({.given = options.python, .of_user = false});
    if (!python.ok()) {
      std::fprintf(stderr, "umbel-superlink: %s\n", umbel::message_of(python.status()).c_str());
      return kExitArguments;
    }
  }
  options.tls = !no_tls;
  options.single_replies = !fold_only;
  options.state = std::filesystem::absolute(options.state);
  ::umask(077);
  no_core_dumps();
  many_descriptors();
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&signals, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  auto hub = umbel::superlink::Hub::start(options);
  if (!hub.ok()) {
    std::fprintf(stderr, "umbel-superlink: %s\n", umbel::message_of(hub.status()).c_str());
    return hub.status().code() == absl::StatusCode::kInvalidArgument ? kExitArguments : kExitFailed;
  }
  say_how_to_go_on(**hub, options);
  int signal = 0;
  ::sigwait(&signals, &signal);
  umbel::superlink::log_info("hub: going down signal={}", signal);
  (*hub)->stop();
  return 0;
}

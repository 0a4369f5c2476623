#include "umbel/main/main.h"

#include <signal.h>

#include <cstdio>
#include <string_view>

#include "umbel/main/host.h"

namespace umbel {

int run_app(int argc, const char* const* argv, const ServerApp& server, const ClientApp& client) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  const bool is_client = argc == 2 && mode == "--umbel-client";
  if (!is_client && (argc != 3 || mode != "--umbel-run")) {
    std::fprintf(stderr,
                 "This is a federated app.  Start it with `umbel run` in the app's folder.\n");
    return kExitArguments;
  }
  ::signal(SIGPIPE, SIG_IGN);
  keep_freed_memory();
  return is_client ? host_clients(client) : host_run(argv[2], server, simulated(client));
}

}  // namespace umbel

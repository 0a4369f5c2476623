#pragma once

#include "umbel/app/client_app.h"
#include "umbel/app/server_app.h"

namespace umbel {

// The main function of an app's program.  `umbel run` starts the program as
//
//   PROGRAM --umbel-run SPEC.json        with UMBEL_EVENTS_FD set to a descriptor for events
//   PROGRAM --umbel-client               at a SuperNode, with UMBEL_CHANNEL_FD set
//
// (docs/app-process.md); at a SuperLink --umbel-run has UMBEL_CHANNEL_FD as well.  This function
// carries it out and returns the exit code: 0 done, 1 the run failed, 4 bad arguments or
// configuration, 143 stopped.
int run_app(int argc, const char* const* argv, const ServerApp& server, const ClientApp& client);

}  // namespace umbel

// Defines main() for an app made of these two objects.
#define UMBEL_MAIN(server, client) \
  int main(int argc, char** argv) { return ::umbel::run_app(argc, argv, server, client); }

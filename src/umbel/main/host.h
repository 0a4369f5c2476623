#pragma once

#include <signal.h>

#include <array>
#include <atomic>
#include <functional>
#include <thread>

#include "umbel/app/client_handler.h"
#include "umbel/app/server_app.h"
#include "umbel/main/carrier.h"

namespace umbel {

// What a program does that carries out a run's side of docs/app-process.md, whatever language its
// app is written in.

inline constexpr int kExitArguments = 4;

// Calls a function, on a thread of its own, at each SIGTERM, SIGINT and SIGHUP.
class StopOnSignal {
 public:
  // Before any other thread starts, so that all of them leave the signals to that one.
  static void block();

  explicit StopOnSignal(std::function<void()> stop);
  ~StopOnSignal();

 private:
  void wait();

  std::function<void()> stop_;
  std::atomic<bool> ended_{false};
  std::thread thread_;
  std::array<struct sigaction, 3> before_;
};

// Lets those signals through on this thread for as long as it lives: the processes that an app's
// code starts there inherit what is blocked, and could not be ended by terminate().  One that
// arrives here still reaches StopOnSignal, unless the app has a handler of its own.
class SignalsLetThrough {
 public:
  SignalsLetThrough();
  ~SignalsLetThrough();
  SignalsLetThrough(const SignalsLetThrough&) = delete;

 private:
  sigset_t before_;
};

// UMBEL_EVENTS_FD, or -1.
int events_descriptor();

// Updates of a model are allocated and freed for every client: keeps that memory instead of giving
// it back to the kernel and faulting it in again, page by page.
void keep_freed_memory();

// --umbel-run SPEC: the ServerApp's process, at a SuperLink if it was given a channel, otherwise in
// a simulation.  Returns the exit code.  Ends the process itself if some client's code does not
// return.
int host_run(const char* spec_path, const ServerApp& server, const MakeCarrier& simulation);

// --umbel-client: a process of clients, which whoever started it gave a channel.  SIGTERM ends it
// as any program: the other end keeps what counts.  Returns the exit code.
int host_clients(const ClientHandler& client);

}  // namespace umbel

#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "umbel/app/grid.h"
#include "umbel/base/parallel.h"
#include "umbel/main/events.h"
#include "umbel/main/run_spec.h"
#include "umbel/runner/channel.h"

namespace umbel {

class ClientHandler;

// What carries a run's messages, in either runtime.
class Carrier {
 public:
  virtual ~Carrier() = default;
  virtual Grid& grid() = 0;
  // For the ServerApp's own work.
  virtual Parallel& parallel() = 0;
  virtual void request_stop() = 0;  // any thread
  virtual bool stop_requested() const = 0;
  virtual bool sent() const = 0;  // any message
  // False if the app's code is still running after `grace`: the process has to end without
  // unwinding.
  virtual bool shut_down(std::chrono::milliseconds grace) = 0;
};
// Made once the run's final place is known, its runtime among it; both arguments outlive the
// carrier.
using MakeCarrier = std::function<std::unique_ptr<Carrier>(const RunSpec&, Events&)>;

// Who answers the clients of a simulation.  Made before the first message; both arguments outlive
// it.  Where the spec names programs for the clients, they are used instead.
using MakeClients =
    std::function<std::unique_ptr<ClientHandler>(const RunSpec& spec, Runtime& runtime)>;
// Virtual clients; making the carrier throws umbel::Error if the spec cannot be carried out.
MakeCarrier simulated(MakeClients clients);
// As well, answered in this process; `client` outlives the carrier.
MakeCarrier simulated(const ClientHandler& client);
// The clients of a federation, by way of the SuperLink at the channel's other end.
MakeCarrier deployed(runner::Channel channel);

}  // namespace umbel

#pragma once

#include <cstdint>
#include <memory>

#include "umbel/app/client_app.h"
#include "umbel/app/context.h"
#include "umbel/simulation/client_states.h"

namespace umbel {

// The clients of a simulation: each exists only while it handles a message, as a function of its
// number, the run and the message.  Any threads, one message per client at a time.
class VirtualClients {
 public:
  VirtualClients(const ClientApp& app, const Run& run) : app_(app), run_(run) {}

  Message handle(const Message& message, const WrapUp* wrap_up = nullptr) {
    const Metadata& metadata = message.metadata();
    const uint64_t client = metadata.destination.value();
    Context context(run_, metadata.destination, client_seed(run_.seed, metadata), nullptr, wrap_up);
    context.state() = states_.take(client);
    Message reply = app_.handle(message, context);
    states_.put(client, std::move(context.state()));
    return reply;
  }

 private:
  const ClientApp& app_;
  const Run& run_;
  ClientStates states_;
};

}  // namespace umbel

#pragma once

#include <cstdint>
#include <memory>

#include "umbel/app/client_handler.h"
#include "umbel/app/context.h"
#include "umbel/population/population.h"
#include "umbel/simulation/client_states.h"

namespace umbel {

// The clients of a simulation: each exists only while it handles a message, as a function of its
// number, the run and the message.  Any threads, one message per client at a time.
class VirtualClients {
 public:
  // All outlive them; the population may be absent.
  VirtualClients(const ClientHandler& clients, const Run& run, const Population* population)
      : clients_(clients), run_(run), population_(population) {}

  Message handle(const Message& message, const WrapUp* wrap_up = nullptr) {
    return handle(message, wrap_up, [](Message reply) { return reply; });
  }
  // The reply goes through `judge`.  A client whose action failed, or that left, keeps what it had
  // before; one whose reply is only late has done its work.
  template <class Judge>
  Message handle(const Message& message, const WrapUp* wrap_up, const Judge& judge) {
    const Metadata& metadata = message.metadata();
    const uint64_t client = metadata.destination.value();
    ConfigRecord settings;
    if (population_) settings = population_->settings(client);
    Context context(run_, metadata.destination, client_seed(run_.seed, metadata),
                    settings.empty() ? nullptr : &settings, wrap_up);
    RecordDict before = states_.take(client);
    context.state() = before;  // shares the arrays
    Message reply = judge(clients_.handle(message, context));
    const bool failed = reply.has_error() && reply.error().code != MessageError::Code::kDeadline;
    states_.put(client, failed ? std::move(before) : std::move(context.state()));
    return reply;
  }

  const ClientHandler& handler() const { return clients_; }

 private:
  const ClientHandler& clients_;
  const Run& run_;
  const Population* population_;
  ClientStates states_;
};

}  // namespace umbel

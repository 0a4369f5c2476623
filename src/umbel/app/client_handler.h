#pragma once

#include "umbel/app/context.h"
#include "umbel/record/message.h"

namespace umbel {

// Who answers the messages of clients: an app's code in this process, which is a ClientApp, or
// processes that carry it (runner/process_clients.h).
class ClientHandler {
 public:
  virtual ~ClientHandler() = default;

  // Before the first message, from the ServerApp's thread; waits until clients can be served.
  // umbel::Error that says why they cannot.
  virtual void prepare() const {}
  // The reply of the client that `message` is for; what goes wrong with one client is an error
  // reply that names it.  Throws umbel::Error only where no client can be served any more, such as
  // when no process for them can be started: the run is over then.  Any threads, for distinct
  // clients.
  virtual Message handle(const Message& message, Context& context) const = 0;
  // Nobody waits for the reply to this message any more: whoever can end the work on it, does, and
  // handle() then returns soon, with an error.  Any thread; the message may be done by now.
  virtual void give_up(const Metadata& message) const { (void)message; }
  // The run is being stopped: gives up on all messages, and no other will come.  Any thread.
  virtual void stop() const {}

 protected:
  ClientHandler() = default;
  ClientHandler(const ClientHandler&) = default;
  ClientHandler& operator=(const ClientHandler&) = default;
  ClientHandler(ClientHandler&&) = default;
  ClientHandler& operator=(ClientHandler&&) = default;
};

}  // namespace umbel

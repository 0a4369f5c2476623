#pragma once

#include "umbel/app/client_handler.h"
#include "umbel/runner/channel.h"

namespace umbel::runner {

// A process of ClientApps: takes messages from whoever started it (a SuperNode, a simulation), has
// `client` answer them one after another, on the calling thread, and sends the replies back, until
// the other end closes the channel.  Returns the exit code.
//
// The bytes of a message's arrays are this process's and this message's alone: in its frame, or a
// private mapping of shared memory, whose pages the kernel copies when they are written to.  So a
// handler that knows where it runs may hand them to its user to write in place.
int run_client_process(Channel channel, const ClientHandler& client);

}  // namespace umbel::runner

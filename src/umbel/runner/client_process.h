#pragma once

#include "umbel/app/client_app.h"
#include "umbel/runner/channel.h"

namespace umbel::runner {

// An app's process at a node: takes messages from its SuperNode, hands them to the ClientApp one
// after another, and sends the replies back, until the node closes the channel.  Returns the exit
// code.
int run_client_process(Channel channel, const ClientApp& client);

}  // namespace umbel::runner

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "umbel/app/client_handler.h"
#include "umbel/app/context.h"
#include "umbel/app/model.h"
#include "umbel/record/message.h"

namespace umbel {

// What to do with the data at one site: actions by message type, and mods around them.
//
//   umbel::ClientApp client;
//   client.train([](const umbel::Message& message, umbel::Context& context) {
//     ...
//     return message.reply(arrays, {{"num-examples", n}, {"loss", loss}});
//   });
//
// An action that may take long should look at context.wrap_up() now and then: see context.h.
//
// Register everything before the run; then handle() may be called from many threads at once, for
// distinct clients, so an action must not write to what it captured without a lock.
class ClientApp : public ClientHandler {
 public:
  using Action = std::function<Message(const Message&, Context&)>;
  // Sees the message on its way in and the reply on its way out; calls `next` for the rest.
  using Mod = std::function<Message(const Message&, Context&, const Action& next)>;

  // Actions for messages of type "train", "evaluate" and "query".  With a name, for "train.lora"
  // and so on.  umbel::Error if the type has an action already.
  ClientApp& train(Action action) { return on("train", std::move(action)); }
  ClientApp& train(std::string_view name, Action action);
  ClientApp& evaluate(Action action) { return on("evaluate", std::move(action)); }
  ClientApp& evaluate(std::string_view name, Action action);
  ClientApp& query(Action action) { return on("query", std::move(action)); }
  ClientApp& query(std::string_view name, Action action);
  // A mod around all actions, whenever registered; the first mod added is the outermost.
  ClientApp& mod(Mod mod);

  // Which tensors are the federation's and which the client's own: train and evaluate actions then
  // get and return the whole model (app/model.h).  It is the innermost of all mods: the others see
  // what travels.  From then on no reply to any message leaves with a private tensor in it.  Given
  // a function, the options may depend on the run's settings.  umbel::Error if there is a model
  // already, or it lacks `initial`.
  ClientApp& model(ModelOptions options);
  ClientApp& model(std::function<ModelOptions(const Context&)> options);

  // The reply to a message.  Never throws: what the action throws becomes an error reply that
  // names the client and the cause, and so does a reply to another message.
  Message handle(const Message& message, Context& context) const override;
  // "train, evaluate"
  std::string actions() const;

 private:
  ClientApp& on(std::string type, Action action);
  Message call(size_t mods_passed, const Action& action, const Message& message,
               Context& context) const;

  std::vector<std::pair<std::string, Action>> actions_;
  std::vector<Mod> mods_;
  std::shared_ptr<const ClientModel> model_;
};

}  // namespace umbel

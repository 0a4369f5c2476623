#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <memory>
#include <string>

#include "umbel/app/context.h"
#include "umbel/record/layout.h"
#include "umbel/record/message.h"
#include "umbel/record/role.h"

namespace umbel {

// How clients hold a model of which not all tensors are the federation's (docs/roles.md).
struct ModelOptions {
  // The whole model before anything was learned: what a client has of private tensors until it
  // trained, and of frozen ones for ever.  A function of the run (its seed and settings), the same
  // at server and clients; private tensors alone may depend on the client.  Needed if roles make
  // anything private or frozen, or the server exchanges subsets of tensors.
  std::function<ArrayRecord(const Context&)> initial = {};
  // The client's word on what is private: a server that sends or asks for such a tensor is refused.
  Roles roles = {};
  // The train actions return gradients in place of the shared tensors, in their shapes; the server
  // must ask for them (PayloadMode::kGradient).  Private tensors, statistics and integers are
  // returned as values all the same.
  bool returns_gradients = false;
};

// The client's half of roles and payloads, around train and evaluate actions: an action gets the
// whole model in its message and returns the whole model (frozen and private tensors that it leaves
// out stay as they are); what leaves is what the server asks for and roles allow.
//
// Private tensors are kept under kPrivateStateKey of Context::state(), and with subsets the tensors
// as they came last under kReceivedStateKey.  A message that fails leaves both as they were.
// Any threads, for distinct clients.
class ClientModel {
 public:
  using Options = std::function<ModelOptions(const Context&)>;
  using Action = std::function<Message(const Message&, Context&)>;

  explicit ClientModel(Options options) : options_(std::move(options)) {}

  // umbel::Error that names the tensor for what must not be sent, asked for or changed.
  Message handle(const Message& message, Context& context, const Action& action) const;
  // That a reply has no private tensor, whatever it answers.
  Status may_leave(const Message& reply, const Context& context) const;

 private:
  struct Prepared;
  std::shared_ptr<const Prepared> prepared(const Context& context) const;

  Options options_;
  mutable absl::Mutex mutex_;
  mutable std::shared_ptr<const Prepared> last_ ABSL_GUARDED_BY(mutex_);
};

inline constexpr char kPrivateStateKey[] = "umbel.private";
inline constexpr char kReceivedStateKey[] = "umbel.received";

// INVALID_ARGUMENT if the roles need `initial` and there is none.
Status require_valid(const ModelOptions& options);

}  // namespace umbel

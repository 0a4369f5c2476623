#include "umbel/app/client_app.h"

#include <exception>

namespace umbel {

namespace {

std::string named(std::string_view kind, std::string_view name) {
  if (name.empty())
    throw Error(invalid_argument("an action of kind \"{}\" has an empty name", kind));
  return fmt::format("{}.{}", kind, name);
}

Message client_failed(const Message& message, std::string_view what) {
  return message.reply(
      MessageError{MessageError::Code::kClientFailed,
                   fmt::format("client {}: {}", message.metadata().destination.value(), what)});
}

}  // namespace

ClientApp& ClientApp::train(std::string_view name, Action action) {
  return on(named("train", name), std::move(action));
}
ClientApp& ClientApp::evaluate(std::string_view name, Action action) {
  return on(named("evaluate", name), std::move(action));
}
ClientApp& ClientApp::query(std::string_view name, Action action) {
  return on(named("query", name), std::move(action));
}

ClientApp& ClientApp::on(std::string type, Action action) {
  if (!action) throw Error(invalid_argument("ClientApp: the action for \"{}\" is empty", type));
  for (const auto& [known, existing] : actions_) {
    if (known == type)
      throw Error(invalid_argument("ClientApp has an action for \"{}\" already", type));
  }
  actions_.emplace_back(std::move(type), std::move(action));
  return *this;
}

ClientApp& ClientApp::mod(Mod mod) {
  mods_.push_back(std::move(mod));
  return *this;
}

ClientApp& ClientApp::model(ModelOptions options) {
  or_throw(require_valid(options));
  return model([options = std::move(options)](const Context&) { return options; });
}

ClientApp& ClientApp::model(std::function<ModelOptions(const Context&)> options) {
  if (model_) throw Error(invalid_argument("ClientApp has a model already"));
  if (!options) throw Error(invalid_argument("ClientApp::model: the function is empty"));
  model_ = std::make_shared<const ClientModel>(std::move(options));
  return *this;
}

Message ClientApp::call(size_t mods_passed, const Action& action, const Message& message,
                        Context& context) const {
  if (mods_passed == mods_.size()) {
    return model_ ? model_->handle(message, context, action) : action(message, context);
  }
  const Action next = [&](const Message& inner, Context& inner_context) {
    return call(mods_passed + 1, action, inner, inner_context);
  };
  return mods_[mods_passed](message, context, next);
}

Message ClientApp::handle(const Message& message, Context& context) const {
  const Action* action = nullptr;
  for (const auto& [type, candidate] : actions_) {
    if (type == message.metadata().type) action = &candidate;
  }
  if (!action) {
    return message.reply(
        MessageError{MessageError::Code::kUnknownAction,
                     fmt::format("the ClientApp has no action for \"{}\"; it has: {}",
                                 message.metadata().type, actions())});
  }
  try {
    Message reply = call(0, *action, message, context);
    if (reply.metadata().reply_to == message.metadata().id &&
        reply.metadata().source == message.metadata().destination) {
      const Status allowed = model_ ? model_->may_leave(reply, context) : absl::OkStatus();
      if (allowed.ok()) return reply;
      return message.reply(MessageError{MessageError::Code::kBadReply, message_of(allowed)});
    }
    return message.reply(MessageError{MessageError::Code::kBadReply,
                                      "the action did not return a reply to its message: make it "
                                      "with message.reply(...)"});
  } catch (const std::exception& error) {
    return client_failed(message, error.what());
  } catch (...) {
    return client_failed(message, "threw something that is not a std::exception");
  }
}

std::string ClientApp::actions() const {
  std::string text;
  for (const auto& [type, action] : actions_) text += (text.empty() ? "" : ", ") + type;
  return text.empty() ? "none" : text;
}

}  // namespace umbel

#include "umbel/app/model.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "umbel/app/model_reply.h"
#include "umbel/base/text.h"
#include "umbel/strategy/payload.h"
#include "umbel/strategy/slices.h"

namespace umbel {

namespace {

bool is_for(const Message& message, std::string_view kind) {
  const std::string& type = message.metadata().type;
  return type.starts_with(kind) && (type.size() == kind.size() || type[kind.size()] == '.');
}

const ArrayRecord& kept(const Context& context, std::string_view key) {
  static const ArrayRecord kNone;
  const AnyRecord* record = context.state().find(key);
  const auto* arrays = record ? std::get_if<ArrayRecord>(record) : nullptr;
  return arrays ? *arrays : kNone;
}

void keep(Context& context, std::string_view key, ArrayRecord arrays) {
  if (!arrays.empty()) context.state().set(key, std::move(arrays));
}

// The content with other arrays in place of its first ones.
RecordDict with_arrays(const RecordDict& content, ArrayRecord arrays) {
  RecordDict other;
  bool done = false;
  for (const auto& [name, record] : content) {
    if (!done && std::holds_alternative<ArrayRecord>(record)) {
      other.append(name, std::move(arrays));
      done = true;
    } else {
      other.append(name, record);
    }
  }
  return other;
}

}  // namespace

// What is the same for all clients of a run: made once, by the first of them.
struct ClientModel::Prepared {
  RunId run;
  uint64_t seed = 0;
  ConfigRecord config;
  ModelOptions options;
  std::optional<Layout> layout;  // of `initial`
  ArrayRecord frozen;
  std::string frozen_sha256;
};

namespace {

bool is_of_model(const Layout& layout, std::string_view name) {
  return std::ranges::any_of(layout, [&](const ArraySpec& spec) { return spec.name == name; });
}

// The private tensor, of those that the client keeps, that `array` is; or nullptr.
const std::string* same_bytes(const Array& array, const Context& context) {
  const AnyRecord* record = context.state().find(kPrivateStateKey);
  const auto* kept = record ? std::get_if<ArrayRecord>(record) : nullptr;
  const auto is_zero = [](std::byte byte) { return byte == std::byte{0}; };
  if (!kept || std::ranges::all_of(array.bytes(), is_zero)) return nullptr;
  for (const auto& entry : *kept) {
    if (entry.second.byte_size() == array.byte_size() &&
        std::ranges::equal(entry.second.bytes(), array.bytes())) {
      return &entry.first;
    }
  }
  return nullptr;
}

}  // namespace

Status require_valid(const ModelOptions& options) {
  const bool needed = options.roles.any(Role::kPrivate) || options.roles.any(Role::kFrozen);
  if (options.initial || !needed) return absl::OkStatus();
  return invalid_argument(
      "ClientApp::model: roles \"{}\" have private or frozen tensors, so it needs .initial to make "
      "them",
      options.roles.text());
}

std::shared_ptr<const ClientModel::Prepared> ClientModel::prepared(const Context& context) const {
  absl::MutexLock lock(&mutex_);
  const ConfigRecord& config = context.run_config().record();
  if (last_ && last_->run == context.run_id() && last_->seed == context.run_seed() &&
      last_->config == config) {
    return last_;
  }
  auto fresh = std::make_shared<Prepared>();
  fresh->run = context.run_id();
  fresh->seed = context.run_seed();
  fresh->config = config;
  fresh->options = options_(context);
  const ModelOptions& options = fresh->options;
  or_throw(require_valid(options));
  if (options.initial) {
    const ArrayRecord model = options.initial(context);
    or_throw(options.roles.validate(model));
    fresh->layout = layout_of(model);
    fresh->frozen = arrays_of(model, options.roles, Role::kFrozen);
    if (!fresh->frozen.empty()) fresh->frozen_sha256 = arrays_sha256(fresh->frozen);
  }
  last_ = fresh;
  return last_;
}

namespace {

double width_of(const RecordDict& content) {
  const auto* config = first_of<ConfigRecord>(content);
  const double width =
      config && config->contains(kSliceWidthKey) ? config->real(kSliceWidthKey) : 1;
  or_throw(require_width(width));
  return width;
}

// Puts the whole model together for one message.
class Assembly {
 public:
  Assembly(const ModelOptions& options, const Context& context, const RecordDict& content)
      : options_(options),
        context_(context),
        came_(*first_of<ArrayRecord>(content)),
        width_(width_of(content)) {}

  ArrayRecord whole(const Layout& layout, const ArrayRecord& frozen) {
    ArrayRecord model;
    model.reserve(layout.size());
    for (const ArraySpec& spec : layout) {
      const Role role = options_.roles.of(spec.name);
      model.append(spec.name, role == Role::kPrivate ? own(spec.name) : given(spec, role, frozen));
    }
    for (const auto& [name, array] : came_) {
      if (!model.contains(name)) {
        throw Error(invalid_argument("the server sends \"{}\"; this client's model has: {}",
                                     escaped(name), escaped(model.names())));
      }
    }
    return model;
  }

 private:
  Array own(const std::string& name) {
    if (const Array* array = kept(context_, kPrivateStateKey).find(name)) return *array;
    return initial()[name];
  }

  Array given(const ArraySpec& spec, Role role, const ArrayRecord& frozen) {
    const Array* array = came_.find(spec.name);
    if (!array && role == Role::kFrozen) return frozen[spec.name];
    if (!array) array = kept(context_, kReceivedStateKey).find(spec.name);
    if (!array) return initial()[spec.name];
    const bool fits = role == Role::kSlice ? is_leading_block(array->shape(), spec.shape)
                                           : array->shape() == spec.shape;
    if (array->dtype() == spec.dtype && fits) return *array;
    throw Error(invalid_argument("the server sends \"{}\" as {}, this client's model has {}{}",
                                 escaped(spec.name), array->describe(), name_of(spec.dtype),
                                 to_string(spec.shape)));
  }

  const ArrayRecord& initial() {
    if (!initial_) initial_ = narrowed(options_.initial(context_), options_.roles, width_);
    return *initial_;
  }

  const ModelOptions& options_;
  const Context& context_;
  const ArrayRecord& came_;
  double width_;  // of slices
  std::optional<ArrayRecord> initial_;
};

void require_no_private(const ArrayRecord& came, const Roles& roles) {
  for (const auto& [name, array] : came) {
    if (roles.of(name) != Role::kPrivate) continue;
    throw Error(invalid_argument(
        "the server sends \"{}\", which is private here: it neither comes nor leaves",
        escaped(name)));
  }
}

void require_frozen(const ArrayRecord& frozen, const std::string& ours, const ArrayRecord& came,
                    const RecordDict& content) {
  const auto sent = [&came](const auto& entry) { return came.contains(entry.first); };
  if (std::ranges::all_of(frozen, sent)) return;
  const auto* config = first_of<ConfigRecord>(content);
  const std::string theirs =
      config && config->contains(kFrozenSha256Key) ? config->text(kFrozenSha256Key) : "";
  if (theirs == ours) return;
  throw Error(failed_precondition(
      "the frozen tensors ({}) have SHA-256 {} here, {} at the server: both sides must make the "
      "same ones, or the server sends them (Payload::frozen_down)",
      escaped(frozen.names()), ours, theirs.empty() ? "none" : escaped(theirs)));
}

// What a client holds of the shared tensors after this message; nothing if all of them came.
ArrayRecord received(const Context& context, const ArrayRecord& whole, const ArrayRecord& came,
                     const Roles& roles) {
  ArrayRecord record;
  bool some = false;
  for (const auto& [name, array] : whole) {
    if (!comes_back(roles.of(name))) continue;
    some = some || !came.contains(name);
    if (came.contains(name) || kept(context, kReceivedStateKey).contains(name)) {
      record.append(name, array);
    }
  }
  return some ? record : ArrayRecord();
}

}  // namespace

Message ClientModel::handle(const Message& message, Context& context, const Action& action) const {
  const bool train = is_for(message, "train");
  const auto* came = message.has_error() ? nullptr : first_of<ArrayRecord>(message.content());
  if ((!train && !is_for(message, "evaluate")) || !came) return action(message, context);
  const auto known = prepared(context);
  const Roles& roles = known->options.roles;
  require_no_private(*came, roles);
  ArrayRecord whole = *came;
  if (known->layout) {
    require_frozen(known->frozen, known->frozen_sha256, *came, message.content());
    whole =
        Assembly(known->options, context, message.content()).whole(*known->layout, known->frozen);
  }
  const Message inner(message.metadata(), with_arrays(message.content(), whole));
  const Message reply = action(inner, context);
  const auto* trained = reply.has_error() ? nullptr : first_of<ArrayRecord>(reply.content());
  if (!train || !trained) return reply;

  const Wanted wanted = or_throw(wanted_by(message.content(), *came, whole, roles));
  const TrainedModel result{.roles = roles,
                            .returns_gradients = known->options.returns_gradients,
                            .received = whole,
                            .trained = *trained};
  or_throw(check_trained(result));
  ArrayRecord leaves = or_throw(leaving(result, wanted));
  keep(context, kPrivateStateKey, private_after(result));
  keep(context, kReceivedStateKey, received(context, whole, *came, roles));
  return Message(reply.metadata(), with_arrays(reply.content(), std::move(leaves)));
}

Status ClientModel::may_leave(const Message& reply, const Context& context) const {
  if (reply.has_error()) return absl::OkStatus();
  std::shared_ptr<const Prepared> known;
  for (const auto& [name, record] : reply.content()) {
    const auto* arrays = std::get_if<ArrayRecord>(&record);
    if (!arrays) continue;
    if (!known) known = prepared(context);
    if (!known->options.roles.any(Role::kPrivate)) return absl::OkStatus();
    for (const auto& [tensor, array] : *arrays) {
      if (known->options.roles.of(tensor) == Role::kPrivate) {
        return invalid_argument("the reply has \"{}\", which is private: it never leaves its site",
                                escaped(tensor));
      }
      if (is_of_model(*known->layout, tensor)) continue;
      if (const std::string* kept = same_bytes(array, context)) {
        return invalid_argument(
            "the reply has the private tensor \"{}\" under the name \"{}\": it never leaves its "
            "site",
            escaped(*kept), escaped(tensor));
      }
      // What is made in training, an optimizer's moments say, may tell as much as the tensor
      // itself.
      if (reply.metadata().type.starts_with("train")) {
        return invalid_argument(
            "the reply has \"{}\", which is no tensor of the model: from a client with private "
            "tensors "
            "nothing else leaves in training",
            escaped(tensor));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace umbel

#include "umbel/app/load_mod.h"

#include <dlfcn.h>

#include <array>
#include <exception>
#include <memory>
#include <optional>
#include <string>

#include "umbel/app/mod_abi.h"

// What the mods' opaque pointer points to.
struct UmbelModCall {
  const umbel::Message& message;
  umbel::Context& context;
  const umbel::ClientApp::Action& next;
  std::optional<umbel::RecordDict> changed = {};  // the message's content, if the mod wrote to it
  bool went_on = false;
  std::exception_ptr thrown = {};
  std::optional<umbel::Metadata> reply = {};
  std::optional<umbel::MessageError> error = {};  // that the rest replied
  umbel::RecordDict answer = {};                  // the reply's content
  std::optional<std::string> failure = {};        // what the mod said
};

namespace umbel {

namespace {

constexpr size_t kReasonBytes = 512;

const RecordDict* content_of(const UmbelModCall& call, UmbelModSide side) {
  if (side == UMBEL_MOD_REPLY) return call.reply && !call.error ? &call.answer : nullptr;
  return call.changed ? &*call.changed : &call.message.content();
}

template <class R>
R* first_in(RecordDict* content) {
  return content ? const_cast<R*>(first_of<R>(*content)) : nullptr;
}

size_t arrays(const UmbelModCall* call, UmbelModSide side) {
  const RecordDict* content = content_of(*call, side);
  const ArrayRecord* found = content ? first_of<ArrayRecord>(*content) : nullptr;
  return found ? found->size() : 0;
}

int array(const UmbelModCall* call, UmbelModSide side, size_t index, UmbelModArray* out) {
  if (index >= arrays(call, side)) return 1;
  const auto& [name, tensor] = first_of<ArrayRecord>(*content_of(*call, side))->entry(index);
  *out = {.name = name.c_str(),
          .dtype = name_of(tensor.dtype()).data(),
          .shape = tensor.shape().data(),
          .rank = tensor.shape().size(),
          .data = tensor.bytes().data(),
          .bytes = tensor.byte_size()};
  return 0;
}

void* edit(UmbelModCall* call, UmbelModSide side, size_t index) {
  if (index >= arrays(call, side)) return nullptr;
  if (side == UMBEL_MOD_MESSAGE) {
    if (call->went_on) return nullptr;
    if (!call->changed) call->changed = call->message.content();
  }
  auto* found = first_in<ArrayRecord>(side == UMBEL_MOD_REPLY ? &call->answer : &*call->changed);
  try {
    return found->at(found->entry(index).first).mutable_bytes().data();
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

std::optional<double> number_in(const RecordDict& content, std::string_view name) {
  if (const auto* metrics = first_of<MetricRecord>(content)) {
    if (const MetricValue* value = metrics->find(name)) {
      if (const auto* real = std::get_if<double>(&value->base())) return *real;
      if (const auto* whole = std::get_if<int64_t>(&value->base())) {
        return static_cast<double>(*whole);
      }
    }
  }
  if (const auto* config = first_of<ConfigRecord>(content)) {
    if (const ConfigValue* value = config->find(name)) {
      if (const auto* real = std::get_if<double>(&value->base())) return *real;
      if (const auto* whole = std::get_if<int64_t>(&value->base())) {
        return static_cast<double>(*whole);
      }
    }
  }
  return std::nullopt;
}

int number(const UmbelModCall* call, UmbelModSide side, const char* name, double* out) {
  const RecordDict* content = content_of(*call, side);
  const auto found = content ? number_in(*content, name) : std::nullopt;
  if (!found) return 1;
  *out = *found;
  return 0;
}

int set_metric(UmbelModCall* call, const char* name, double value) {
  if (!content_of(*call, UMBEL_MOD_REPLY)) return 1;
  auto* metrics = first_in<MetricRecord>(&call->answer);
  if (!metrics) {
    call->answer.set("metrics", MetricRecord());
    metrics = first_in<MetricRecord>(&call->answer);
  }
  metrics->set(name, value);
  return 0;
}

int next(UmbelModCall* call) {
  if (call->went_on) {
    call->failure = "it called next() a second time";
    return 1;
  }
  call->went_on = true;
  try {
    const Message reply =
        call->changed ? call->next(Message(call->message.metadata(), std::move(*call->changed)),
                                   call->context)
                      : call->next(call->message, call->context);
    call->changed.reset();
    call->reply = reply.metadata();
    if (reply.has_error()) {
      call->error = reply.error();
    } else {
      call->answer = reply.content();
    }
  } catch (...) {  // must not unwind through the mod's frames
    call->changed.reset();
    call->thrown = std::current_exception();
  }
  return call->reply && !call->error ? 0 : 1;
}

constexpr UmbelModHost kHost = {
    .size = sizeof(UmbelModHost),
    .abi = UMBEL_MOD_ABI,
    .type = [](const UmbelModCall* call) { return call->message.metadata().type.c_str(); },
    .round = [](const UmbelModCall* call) { return call->message.metadata().round; },
    .seed = [](const UmbelModCall* call) { return call->context.seed(); },
    .next = next,
    .arrays = arrays,
    .array = array,
    .edit = edit,
    .number = number,
    .set_metric = set_metric,
    .fail = [](UmbelModCall* call, const char* reason) { call->failure = reason; }};

class LoadedMod {
 public:
  LoadedMod(const std::filesystem::path& path, std::string_view settings)
      : path_(path.string()), library_(dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL), &dlclose) {
    if (!library_) throw Error(not_found("mod \"{}\": {}", path_, dlerror()));
    using Entry = const UmbelMod* (*)();
    const auto entry = reinterpret_cast<Entry>(dlsym(library_.get(), UMBEL_MOD_SYMBOL));
    mod_ = entry ? entry() : nullptr;
    if (!mod_) {
      throw Error(invalid_argument("mod \"{}\": it has no function {}() that returns a mod", path_,
                                   UMBEL_MOD_SYMBOL));
    }
    if (mod_->abi != UMBEL_MOD_ABI || mod_->size < sizeof(UmbelMod)) {
      throw Error(invalid_argument(
          "mod \"{}\": it is written for version {} of the interface ({} bytes), here is version "
          "{} ({} bytes)",
          path_, mod_->abi, mod_->size, UMBEL_MOD_ABI, sizeof(UmbelMod)));
    }
    if (!mod_->name || !mod_->open || !mod_->handle || !mod_->close) {
      throw Error(invalid_argument("mod \"{}\": a name or a function is missing", path_));
    }
    std::array<char, kReasonBytes> reason{};
    instance_ = mod_->open(std::string(settings).c_str(), reason.data(), reason.size());
    if (!instance_) {
      reason.back() = 0;
      throw Error(invalid_argument("mod \"{}\": settings \"{}\": {}", path_, settings,
                                   reason[0] ? reason.data() : "refused, without a reason"));
    }
  }
  ~LoadedMod() { mod_->close(instance_); }
  LoadedMod(const LoadedMod&) = delete;
  LoadedMod& operator=(const LoadedMod&) = delete;

  Message handle(const Message& message, Context& context, const ClientApp::Action& next) const {
    UmbelModCall call{.message = message, .context = context, .next = next};
    const int code = mod_->handle(instance_, &kHost, &call);
    if (call.thrown) std::rethrow_exception(call.thrown);
    if (call.failure) return refuse(message, *call.failure);
    if (call.error) return Message(*call.reply, *call.error);
    if (code != 0) return refuse(message, fmt::format("it returned {}", code));
    if (!call.reply) return refuse(message, "it made no reply: it never called next()");
    return Message(*call.reply, std::move(call.answer));
  }

 private:
  Message refuse(const Message& message, std::string_view why) const {
    return message.reply(
        MessageError{MessageError::Code::kClientFailed,
                     fmt::format("client {}: mod \"{}\": {}",
                                 message.metadata().destination.value(), mod_->name, why)});
  }

  std::string path_;
  std::unique_ptr<void, int (*)(void*)> library_;
  const UmbelMod* mod_ = nullptr;
  void* instance_ = nullptr;
};

}  // namespace

ClientApp::Mod load_mod(const std::filesystem::path& library, std::string_view settings) {
  const auto mod = std::make_shared<const LoadedMod>(library, settings);
  return [mod](const Message& message, Context& context, const ClientApp::Action& next) {
    return mod->handle(message, context, next);
  };
}

}  // namespace umbel

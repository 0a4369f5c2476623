#include "umbel/torch/draws.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "umbel/base/check.h"

namespace umbel::torch {

namespace {

// A key that stands before all others and that torch itself uses in its tests alone.
constexpr c10::DispatchKey kKey = c10::DispatchKey::TESTING_ONLY_GenericMode;

thread_local const at::Generator* drawn_from = nullptr;

// Where an operator takes its generator.
std::optional<size_t> generator_argument(const c10::FunctionSchema& schema) {
  const auto& arguments = schema.arguments();
  for (size_t i = 0; i != arguments.size(); ++i) {
    const auto optional = arguments[i].type()->cast<c10::OptionalType>();
    if (optional && optional->getElementType()->kind() == c10::TypeKind::GeneratorType) return i;
  }
  return std::nullopt;
}

bool elsewhere(const c10::IValue& argument) {
  if (argument.isDevice()) return !argument.toDevice().is_cpu();
  return argument.isTensor() && argument.toTensor().defined() && !argument.toTensor().is_cpu();
}

struct Redirect final : c10::OperatorKernel {
  explicit Redirect(size_t at) : argument(at) {}
  void operator()(const c10::OperatorHandle& op, c10::DispatchKeySet keys, c10::Stack* stack) {
    const auto arguments = stack->end() - static_cast<ptrdiff_t>(op.schema().arguments().size());
    c10::IValue& generator = arguments[static_cast<ptrdiff_t>(argument)];
    // Ours is the processor's: other devices draw from their own.
    if (generator.isNone() && std::none_of(arguments, stack->end(), elsewhere)) {
      generator = *drawn_from;
    }
    op.redispatchBoxed(keys & c10::DispatchKeySet(c10::DispatchKeySet::FULL_AFTER, kKey), stack);
  }
  size_t argument;
};

using Registrations = std::vector<c10::RegistrationHandleRAII>;

Registrations* registered() {
  auto* handles = new Registrations;
  auto& dispatcher = c10::Dispatcher::singleton();
  handles->push_back(dispatcher.registerFallback(kKey, c10::KernelFunction::makeFallthrough(),
                                                 "umbel: other operators"));
  for (const c10::OperatorName& name : dispatcher.getAllOpNames()) {
    const auto op = dispatcher.findSchema(name);
    if (!op) continue;
    const auto argument = generator_argument(op->schema());
    if (!argument) continue;
    handles->push_back(dispatcher.registerImpl(
        name, kKey,
        c10::KernelFunction::makeFromBoxedFunctor(std::make_unique<Redirect>(*argument)),
        c10::nullopt, nullptr, "umbel: draws of an isolated thread"));
  }
  return handles;
}

// Once in a process, and never taken back: the dispatcher may be gone when statics are destroyed.
void redirect_draws() {
  static const Registrations* const handles = registered();
  UMBEL_CHECK(handles->size() > 1);
}

}  // namespace

struct DrawsFrom::State {
  explicit State(uint64_t seed) : generator(at::detail::createCPUGenerator(seed)) {
    drawn_from = &generator;
  }
  ~State() { drawn_from = before; }

  at::Generator generator;
  const at::Generator* before = drawn_from;
  c10::impl::IncludeDispatchKeyGuard include{kKey};
};

DrawsFrom::DrawsFrom(uint64_t seed) {
  redirect_draws();
  state_ = std::make_unique<State>(seed);
}

DrawsFrom::~DrawsFrom() = default;

}  // namespace umbel::torch

#include <nanobind/stl/string.h>

#include "convert.h"

namespace umbel::python {

namespace {

LogLevel level_from(const std::string& level) {
  if (level == "info") return LogLevel::kInfo;
  if (level == "warn" || level == "warning") return LogLevel::kWarn;
  if (level == "error") return LogLevel::kError;
  throw Error(
      invalid_argument("log: level \"{}\", expected \"info\", \"warn\" or \"error\"", level));
}

void log(const ContextRef& ref, nb::handle message, const std::string& level) {
  const std::string text = shown_text(message);
  const LogLevel at = level_from(level);
  ref.use([&](const Context& context) { context.log(at, text); });
}

void publish(const ContextRef& ref, const std::string& name, nb::handle metrics) {
  const MetricRecord record = metrics_from(metrics);
  ref.use([&](const Context& context) { context.publish(name, record); });
}

void save(const ContextRef& ref, const std::string& name, nb::handle arrays) {
  const ArrayRecord record = arrays_from(arrays);
  ref.use([&](const Context& context) { context.save(name, record); });
}

nb::object time_left(const ContextRef& ref) {
  const auto left = ref.get().time_left();
  return left ? nb::object(nb::float_(left->count())) : nb::none();
}

}  // namespace

Context& ContextRef::get() const {
  if (Context* context = context_) return *context;
  throw Error(failed_precondition(
      "the context is of no use any more: the call that it was given to is over"));
}

Context& context_of(nb::handle context) {
  if (nb::isinstance<ContextRef>(context)) return nb::inst_ptr<ContextRef>(context)->get();
  if (nb::hasattr(context, "_native")) {
    const nb::object native = context.attr("_native");
    if (nb::isinstance<ContextRef>(native)) return nb::inst_ptr<ContextRef>(native)->get();
    throw Error(failed_precondition("this Context was made by hand: no run is behind it"));
  }
  throw WrongType(
      fmt::format("a value of type {}, expected a Context", Py_TYPE(context.ptr())->tp_name));
}

void bind_context(nb::module_& module) {
  nb::class_<ContextRef>(module, "Context", "The core's side of umbel.app.Context.")
      .def(
          "run_config",
          [](const ContextRef& ref) { return to_python(ref.get().run_config().record()); },
          nb::sig("def run_config(self) -> typing.Any"))
      .def(
          "node_config", [](const ContextRef& ref) { return to_python(ref.get().node_config()); },
          nb::sig("def node_config(self) -> typing.Any"))
      .def(
          "state", [](const ContextRef& ref) { return to_python(ref.get().state()); },
          nb::sig("def state(self) -> typing.Any"))
      .def("partition_id", [](const ContextRef& ref) { return ref.get().partition_id(); })
      .def("num_partitions", [](const ContextRef& ref) { return ref.get().num_partitions(); })
      .def("run_seed", [](const ContextRef& ref) { return ref.get().run_seed(); })
      .def("seed", [](const ContextRef& ref) { return ref.get().seed(); })
      .def("is_twin", [](const ContextRef& ref) { return ref.get().is_twin(); })
      .def("stop_requested", [](const ContextRef& ref) { return ref.get().stop_requested(); })
      .def("wrap_up", [](const ContextRef& ref) { return ref.get().wrap_up(); })
      .def("time_left", time_left, nb::sig("def time_left(self) -> float | None"))
      .def("log", log, nb::arg("message").none(), nb::arg("level"))
      .def("publish", publish, nb::arg("name"), nb::arg("metrics").none())
      .def("save", save, nb::arg("name"), nb::arg("arrays").none());
}

}  // namespace umbel::python

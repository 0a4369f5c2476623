#include "bind_strategy.h"
#include "convert.h"
#include "gil.h"
#include "umbel/strategy/server_optimizer.h"

namespace umbel::python {

namespace {

ServerOptimizer valid(ServerOptimizer optimizer) {
  or_throw(optimizer.validate());
  return optimizer;
}

// The next model from arrays of Python's; `self` has the new moments, or what it had if it throws.
nb::object next_model(ServerOptimizer& self, nb::handle global_handle, nb::handle mean_handle) {
  const ArrayRecord global = arrays_from(global_handle), mean = arrays_from(mean_handle);
  Result<ArrayRecord> next = [&] {
    const WithoutGil without_gil;
    return self.apply(global, mean);
  }();
  return to_python(or_throw(std::move(next)));
}

}  // namespace

void bind_optimizer(nb::module_& module) {
  using nb::arg;
  nb::class_<ServerOptimizer>(module, "ServerOptimizer",
                              "Makes the next model from this one and the mean of the replies.")
      .def_static(
          "average", [](double rate) { return valid(ServerOptimizer::average(rate)); },
          arg("learning_rate"))
      .def_static(
          "momentum",
          [](double rate, double beta) {
            return valid(ServerOptimizer::momentum({.learning_rate = rate, .beta = beta}));
          },
          arg("learning_rate"), arg("beta"))
      .def_static(
          "adam",
          [](double rate, double beta_1, double beta_2, double tau) {
            return valid(ServerOptimizer::adam(
                {.learning_rate = rate, .beta_1 = beta_1, .beta_2 = beta_2, .tau = tau}));
          },
          arg("learning_rate"), arg("beta_1"), arg("beta_2"), arg("tau"))
      .def_static(
          "yogi",
          [](double rate, double beta_1, double beta_2, double tau) {
            return valid(ServerOptimizer::yogi(
                {.learning_rate = rate, .beta_1 = beta_1, .beta_2 = beta_2, .tau = tau}));
          },
          arg("learning_rate"), arg("beta_1"), arg("beta_2"), arg("tau"))
      .def_static(
          "adagrad",
          [](double rate, double beta_1, double tau) {
            return valid(
                ServerOptimizer::adagrad({.learning_rate = rate, .beta_1 = beta_1, .tau = tau}));
          },
          arg("learning_rate"), arg("beta_1"), arg("tau"))
      .def("apply", &next_model, arg("arrays"), arg("mean"),
           nb::sig("def apply(self, arrays: Any, mean: Any) -> Any"))
      .def(
          "state", [](const ServerOptimizer& self) { return to_python(self.state()); },
          nb::sig("def state(self) -> Any"));
}

}  // namespace umbel::python

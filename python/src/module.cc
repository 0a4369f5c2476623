#include "convert.h"

namespace nb = nanobind;

NB_MODULE(_core, module) {
  using namespace umbel::python;
  module.doc() = "The native core.  Use umbel's modules; this one's names may change.";
  module.attr("version") = UMBEL_VERSION;
  // Another number, here and in umbel/__init__.py, whenever those files ask for something else.
  module.attr("interface") = 2;
  nb::set_leak_warnings(false);  // objects that live as long as the process are no leaks
  bind_errors(module);
  bind_array(module);
  bind_records(module);
  bind_context(module);
  bind_grid(module);
  bind_evaluation(module);
  bind_run(module);
  bind_data(module);
  bind_strategy(module);
}

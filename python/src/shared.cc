#include "convert.h"
#include "gil.h"

namespace umbel::python {

SharedObject shared(nb::handle object) {
  auto* kept = new nb::object(nb::borrow(object));
  return SharedObject(kept, [](nb::object* mine) {
    if (!interpreter_is_there()) return;  // it goes with the process
    with_gil([mine] { delete mine; });
  });
}

}  // namespace umbel::python

#pragma once

#include <Python.h>

#include <utility>

namespace umbel::python {

inline bool interpreter_is_there() {
#if PY_VERSION_HEX >= 0x030D0000
  return Py_IsInitialized() && !Py_IsFinalizing();
#else
  return Py_IsInitialized() && !_Py_IsFinalizing();
#endif
}

// Runs `work` with the GIL, from any thread.  Not at all once the interpreter is going away: what
// it would have given back goes with the process.
template <class Work>
void with_gil(Work&& work) {
  if (!interpreter_is_there()) return;
  const PyGILState_STATE state = PyGILState_Ensure();
  std::forward<Work>(work)();
  PyGILState_Release(state);
}

}  // namespace umbel::python

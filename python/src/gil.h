#pragma once

#include <Python.h>
#include <cxxabi.h>
#include <unistd.h>

#include <utility>

namespace umbel::python {

inline bool interpreter_is_there() {
#if PY_VERSION_HEX >= 0x030D0000
  return Py_IsInitialized() && !Py_IsFinalizing();
#else
  return Py_IsInitialized() && !_Py_IsFinalizing();
#endif
}

// What needs the GIL when the interpreter may be going away.  Python then ends every other thread
// that wants the GIL by unwinding its stack, which no destructor and no noexcept function survives:
// such a thread stays here, without the GIL, until the process has ended.
template <class Work>
decltype(auto) or_stay(Work&& work) {
  try {
    return std::forward<Work>(work)();
  } catch (const abi::__forced_unwind&) {
    for (;;) ::pause();
  }
}

// Lets other threads have the GIL for as long as it lives.
class WithoutGil {
 public:
  WithoutGil() : state_(PyEval_SaveThread()) {}
  WithoutGil(const WithoutGil&) = delete;
  ~WithoutGil() {
    or_stay([this] { PyEval_RestoreThread(state_); });
  }

 private:
  PyThreadState* state_;
};

// Runs `work` with the GIL, from any thread.  Not at all once the interpreter is going away: what
// it would have given back goes with the process.
template <class Work>
void with_gil(Work&& work) {
  if (!interpreter_is_there()) return;
  const PyGILState_STATE state = or_stay([] { return PyGILState_Ensure(); });
  std::forward<Work>(work)();
  PyGILState_Release(state);
}

}  // namespace umbel::python

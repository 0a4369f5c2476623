#pragma once

#include <nanobind/nanobind.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <thread>

#include "gil.h"
#include "umbel/app/context.h"
#include "umbel/app/grid.h"
#include "umbel/record/message.h"

// Python objects to and from the core's values.  All of it needs the GIL.  What Python cannot give
// throws umbel::Error (WrongType for a value of a type that no record holds), which reaches Python
// as one of umbel's exceptions; exceptions of Python's own come as nb::python_error.
namespace umbel::python {

namespace nb = nanobind;

// INVALID_ARGUMENT that reaches Python as umbel.WrongType, which is a TypeError too.
class WrongType : public Error {
 public:
  explicit WrongType(std::string_view message) : Error(invalid_argument("{}", message)) {}
};

// An umbel.app.Array, or what it can be made of: an ndarray, anything with the buffer protocol or
// __dlpack__ on the CPU.  The bytes are the object's own, which stays alive with them; a copy only
// where they do not lie in C order.  `name` is for errors.
Array array_from(nb::handle object, std::string_view name);
// umbel.app's records or plain dicts of what they hold.
ArrayRecord arrays_from(nb::handle object);
MetricRecord metrics_from(nb::handle object);
ConfigRecord config_from(nb::handle object);
RecordDict content_from(nb::handle object);
// An umbel.app.Message with all its metadata.
Message message_from(nb::handle object);
MetricValue metric_from(std::string_view name, nb::handle object);
ConfigValue setting_from(std::string_view name, nb::handle object);
std::string text_from(nb::handle object, std::string_view what);
// A str, bytes or os.PathLike as the file system has it: names there need not be UTF-8.
std::string path_from(nb::handle object);
// Any text, with what is none in Unicode escaped: for logs and errors.
std::string shown_text(nb::handle text);

// The same with bytes of its own: for what the core keeps beyond the call in which it got it, since
// Python's code may go on writing to its arrays.
ArrayRecord kept(const ArrayRecord& arrays);
RecordDict kept(const RecordDict& content);

// umbel.app's classes.  Arrays share the core's bytes.
nb::object to_python(const Array& array);
nb::object to_python(const ArrayRecord& arrays);
nb::object to_python(const MetricRecord& metrics);
nb::object to_python(const ConfigRecord& config);
nb::object to_python(const RecordDict& content);
nb::object to_python(const Message& message);
nb::object to_python(const MetricValue& value);
nb::object to_python(const ConfigValue& value);
// A dict with the fields of RoundReport under their C++ names, metrics as MetricRecords.
nb::object to_python(const RoundReport& report);

// The number of umbel.app.ErrorCode, and back.
int number_of_error(MessageError::Code code);
MessageError::Code code_of_error(int number);
// What an exception says, in the core's form; umbel's own keep their code.
Status status_of(const nb::python_error& error);

// A Python object that the core may copy, call and drop on any thread, with or without the GIL.
using SharedObject = std::shared_ptr<nb::object>;
SharedObject shared(nb::handle object);

// The core's Grid while a ServerApp runs; `_native` of umbel.serverapp.Grid.
class GridRef {
 public:
  explicit GridRef(Grid& grid) : grid_(&grid) {}
  // FAILED_PRECONDITION once the run is over, or on another thread than the one that made this: the
  // core's Grid is called without the GIL, and ids of messages must not depend on timing.
  Grid& get() const;
  void end() { grid_ = nullptr; }

 private:
  Grid* grid_;
  const std::thread::id thread_ = std::this_thread::get_id();
};

// The core's Context during one call; `_native` of umbel.app.Context.
class ContextRef {
 public:
  explicit ContextRef(Context& context) : context_(&context) {}
  // FAILED_PRECONDITION once the call is over.
  Context& get() const;
  // Calls work(Context&) without the GIL, on any thread: end() waits for it.
  template <class Work>
  void use(Work&& work) const {
    const WithoutGil release;
    const std::shared_lock lock(mutex_);
    work(get());
  }
  void end() {
    const WithoutGil release;
    const std::unique_lock lock(mutex_);
    context_ = nullptr;
  }

 private:
  mutable std::shared_mutex mutex_;
  std::atomic<Context*> context_;
};

// None, or seconds, 0 or more; `timeout` in errors.
Deadline deadline_from(nb::handle timeout);

// From Python's umbel.serverapp.Grid or umbel.app.Context (or their natives).
Grid& grid_of(nb::handle grid);
Context& context_of(nb::handle context);

// module.cc calls these, each once.
void bind_errors(nb::module_& module);
void bind_array(nb::module_& module);
void bind_records(nb::module_& module);
void bind_context(nb::module_& module);
void bind_grid(nb::module_& module);
void bind_evaluation(nb::module_& module);
void bind_run(nb::module_& module);
void bind_data(nb::module_& module);
void bind_strategy(nb::module_& module);

}  // namespace umbel::python

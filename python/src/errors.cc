#include <absl/status/status.h>

#include <nanobind/stl/string.h>

#include <array>
#include <string>

#include "convert.h"

namespace umbel::python {

namespace {

constexpr std::array<absl::StatusCode, 13> kCodes{absl::StatusCode::kInvalidArgument,
                                                  absl::StatusCode::kNotFound,
                                                  absl::StatusCode::kFailedPrecondition,
                                                  absl::StatusCode::kCancelled,
                                                  absl::StatusCode::kAborted,
                                                  absl::StatusCode::kDeadlineExceeded,
                                                  absl::StatusCode::kResourceExhausted,
                                                  absl::StatusCode::kDataLoss,
                                                  absl::StatusCode::kUnavailable,
                                                  absl::StatusCode::kAlreadyExists,
                                                  absl::StatusCode::kOutOfRange,
                                                  absl::StatusCode::kPermissionDenied,
                                                  absl::StatusCode::kUnimplemented};

// The class in umbel._errors for a code; Error itself for what has none.
const char* class_of(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
      return "InvalidArgument";
    case absl::StatusCode::kNotFound:
      return "NotFound";
    case absl::StatusCode::kFailedPrecondition:
      return "FailedPrecondition";
    case absl::StatusCode::kCancelled:
      return "Cancelled";
    case absl::StatusCode::kAborted:
      return "Aborted";
    case absl::StatusCode::kDeadlineExceeded:
      return "DeadlineExceeded";
    case absl::StatusCode::kResourceExhausted:
      return "ResourceExhausted";
    case absl::StatusCode::kDataLoss:
      return "DataLoss";
    case absl::StatusCode::kUnavailable:
      return "Unavailable";
    case absl::StatusCode::kAlreadyExists:
      return "AlreadyExists";
    case absl::StatusCode::kOutOfRange:
      return "OutOfRange";
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return "PermissionDenied";
    case absl::StatusCode::kUnimplemented:
      return "Unimplemented";
    default:
      return "Error";
  }
}

void raise(const char* name, const char* message) {
  const nb::object kind = nb::module_::import_("umbel._errors").attr(name);
  PyObject* text = PyUnicode_DecodeUTF8(message, static_cast<Py_ssize_t>(strlen(message)),
                                        "replace");  // a file's name need not be UTF-8
  if (!text) return;
  PyErr_SetObject(kind.ptr(), text);
  Py_DECREF(text);
}

}  // namespace

namespace {

// What str() makes of it, which may be a method of the user's own.
std::string words_of(const nb::python_error& error) {
  const nb::object text = nb::steal(PyObject_Str(error.value().ptr()));
  if (text.is_valid()) return shown_text(text);
  PyErr_Clear();
  return "its str() fails";
}

}  // namespace

Status status_of(const nb::python_error& error) try {
  const nb::object errors = nb::module_::import_("umbel._errors");
  const std::string text = words_of(error);
  for (const absl::StatusCode code : kCodes) {
    if (error.matches(nb::object(errors.attr(class_of(code))))) return Status(code, text);
  }
  if (error.matches(nb::object(errors.attr("WrongType")))) return invalid_argument("{}", text);
  if (error.matches(nb::object(errors.attr("Error")))) return absl::UnknownError(text);
  const nb::object kind = error.type().attr("__name__");
  return absl::UnknownError(fmt::format("{}: {}", nb::cast<std::string>(kind), text));
} catch (const nb::python_error&) {
  return absl::CancelledError("interrupted");  // Python code ran here, and Ctrl-C with it
}

void bind_errors(nb::module_&) {
  nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
    try {
      std::rethrow_exception(thrown);
    } catch (const WrongType& error) {
      raise("WrongType", error.what());
    } catch (const Error& error) {
      raise(class_of(error.code()), error.what());
    } catch (const std::bad_cast&) {
      raise("WrongType", "a value of a type that this call does not take");
    }
  });
}

}  // namespace umbel::python

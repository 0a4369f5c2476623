#include <cmath>

#include "convert.h"

namespace umbel::python {

namespace {

std::string type_of_value(nb::handle object) { return Py_TYPE(object.ptr())->tp_name; }

nb::handle numpy_class(const char* name) {
  return nb::object(nb::module_::import_("numpy").attr(name)).release();
}

// By its type, not by what its __class__ says.
bool is_of(nb::handle object, nb::handle kind) {
  return PyType_IsSubtype(Py_TYPE(object.ptr()), reinterpret_cast<PyTypeObject*>(kind.ptr())) != 0;
}
bool is_numpy_integer(nb::handle object) {
  static const nb::handle kind = numpy_class("integer");
  return is_of(object, kind);
}
bool is_numpy_real(nb::handle object) {
  static const nb::handle kind = numpy_class("floating");
  return is_of(object, kind);
}
bool is_numpy_bool(nb::handle object) {
  static const nb::handle kind = numpy_class("bool_");
  return is_of(object, kind);
}

// A name of an error's thing, made only when there is an error.
struct Named {
  std::string_view record;
  std::string_view name;
  std::string text() const { return fmt::format("{} \"{}\"", record, name); }
};

int64_t integer_of(nb::handle object, const Named& named) {
  int overflow = 0;
  const nb::object index = nb::steal(PyNumber_Index(object.ptr()));
  if (!index.is_valid()) throw nb::python_error();
  const int64_t value = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
  if (overflow == 0) return value;
  throw Error(invalid_argument("{}: {} does not fit into 64 bits with a sign", named.text(),
                               nb::str(index).c_str()));
}

double real_of(nb::handle object, const Named& named) {
  const double value = PyFloat_AsDouble(object.ptr());
  if (value != -1.0 || !PyErr_Occurred()) return value;
  if (PyErr_ExceptionMatches(PyExc_OverflowError) == 0) throw nb::python_error();
  PyErr_Clear();
  throw Error(invalid_argument("{}: an integer too large for a float of 64 bits", named.text()));
}

enum class Kind { kBool, kInteger, kReal, kText, kBytes, kOther };

Kind kind_of(nb::handle object) {
  PyObject* raw = object.ptr();
  if (PyBool_Check(raw)) return Kind::kBool;
  if (PyLong_Check(raw)) return Kind::kInteger;
  if (PyFloat_Check(raw)) return Kind::kReal;
  if (PyUnicode_Check(raw)) return Kind::kText;
  if (PyBytes_Check(raw)) return Kind::kBytes;
  if (PyList_Check(raw) || PyTuple_Check(raw) || raw == Py_None) return Kind::kOther;
  if (is_numpy_integer(object)) return Kind::kInteger;
  if (is_numpy_real(object)) return Kind::kReal;
  if (is_numpy_bool(object)) return Kind::kBool;
  return Kind::kOther;
}

bool is_list(nb::handle object) {
  return PyList_Check(object.ptr()) || PyTuple_Check(object.ptr());
}

std::string hint(nb::handle object) {
  const bool is_array = nb::hasattr(object, "shape") && nb::hasattr(object, "dtype");
  if (is_array && nb::hasattr(object, "item")) {
    return "; an array or tensor of one element gives its number by .item(), others go into an "
           "ArrayRecord";
  }
  return PyDict_Check(object.ptr()) ? "; a record holds no dict: use several names" : "";
}

// The items of a list or tuple, which stay what they are whatever their methods do to the list.
nb::object items_of(nb::handle object) {
  if (PyTuple_Check(object.ptr())) return nb::borrow(object);
  nb::object items = nb::steal(PyList_AsTuple(object.ptr()));
  if (!items.is_valid()) throw nb::python_error();
  return items;
}

template <class T, class F>
std::vector<T> all(const nb::object& items, F&& value) {
  std::vector<T> values;
  const Py_ssize_t count = PyTuple_GET_SIZE(items.ptr());
  values.reserve(static_cast<size_t>(count));
  for (Py_ssize_t i = 0; i != count; ++i) {
    values.push_back(value(nb::handle(PyTuple_GET_ITEM(items.ptr(), i))));
  }
  return values;
}

// The one kind of a list's items; integers among reals are reals.
Kind common_kind(const nb::object& items, const Named& named, std::string_view expected) {
  Kind common = Kind::kOther;
  const Py_ssize_t count = PyTuple_GET_SIZE(items.ptr());
  for (Py_ssize_t i = 0; i != count; ++i) {
    const nb::handle item = PyTuple_GET_ITEM(items.ptr(), i);
    const Kind kind = kind_of(item);
    if (kind == Kind::kOther) {
      throw WrongType(fmt::format("{}: item {} is of type {}, expected {}{}", named.text(), i,
                                  type_of_value(item), expected, hint(item)));
    }
    const bool widens = (kind == Kind::kInteger && common == Kind::kReal) ||
                        (kind == Kind::kReal && common == Kind::kInteger);
    if (i == 0) {
      common = kind;
    } else if (widens) {
      common = Kind::kReal;
    } else if (kind != common) {
      throw WrongType(
          fmt::format("{}: items of several types, the first of them {} and item {} {}; "
                      "expected {}",
                      named.text(), type_of_value(PyTuple_GET_ITEM(items.ptr(), 0)), i,
                      type_of_value(item), expected));
    }
  }
  return common;
}

constexpr std::string_view kMetricExpected = "a number, or a list of numbers";
constexpr std::string_view kSettingExpected =
    "a bool, a number, a str, bytes, or a list of one of the first three kinds";

}  // namespace

std::string text_from(nb::handle object, std::string_view what) {
  if (!PyUnicode_Check(object.ptr())) {
    throw WrongType(
        fmt::format("{}: a value of type {}, expected a str", what, type_of_value(object)));
  }
  Py_ssize_t size = 0;
  const char* data = PyUnicode_AsUTF8AndSize(object.ptr(), &size);
  if (data) return std::string(data, static_cast<size_t>(size));
  PyErr_Clear();
  throw Error(invalid_argument("{}: a str that is no text in Unicode (a lone surrogate)", what));
}

std::string path_from(nb::handle object) {
  PyObject* bytes = nullptr;
  if (PyUnicode_FSConverter(object.ptr(), &bytes) == 0) throw nb::python_error();
  const nb::object kept = nb::steal(bytes);
  return {PyBytes_AS_STRING(bytes), static_cast<size_t>(PyBytes_GET_SIZE(bytes))};
}

std::string shown_text(nb::handle text) {
  if (!PyUnicode_Check(text.ptr())) return text_from(text, "a text");
  const nb::object bytes =
      nb::steal(PyUnicode_AsEncodedString(text.ptr(), "utf-8", "backslashreplace"));
  if (!bytes.is_valid()) throw nb::python_error();
  return {PyBytes_AS_STRING(bytes.ptr()), static_cast<size_t>(PyBytes_GET_SIZE(bytes.ptr()))};
}

MetricValue metric_from(std::string_view name, nb::handle object) {
  const Named named{"metric", name};
  switch (kind_of(object)) {
    case Kind::kInteger:
      return integer_of(object, named);
    case Kind::kReal:
      return real_of(object, named);
    default:
      break;
  }
  if (!is_list(object)) {
    const bool truth = kind_of(object) == Kind::kBool;
    throw WrongType(fmt::format("{}: a value of type {}, expected {}{}", named.text(),
                                type_of_value(object), kMetricExpected,
                                truth ? ": for a share or a count write int(...)" : hint(object)));
  }
  const nb::object items = items_of(object);
  switch (common_kind(items, named, "numbers")) {
    case Kind::kInteger:
      return all<int64_t>(items, [&](nb::handle item) { return integer_of(item, named); });
    case Kind::kReal:
    case Kind::kOther:  // an empty list
      return all<double>(items, [&](nb::handle item) { return real_of(item, named); });
    default:
      throw WrongType(fmt::format("{}: a list of {}, expected numbers", named.text(),
                                  type_of_value(PyTuple_GET_ITEM(items.ptr(), 0))));
  }
}

ConfigValue setting_from(std::string_view name, nb::handle object) {
  const Named named{"setting", name};
  const auto truth = [](nb::handle item) { return PyObject_IsTrue(item.ptr()) == 1; };
  switch (kind_of(object)) {
    case Kind::kBool:
      return truth(object);
    case Kind::kInteger:
      return integer_of(object, named);
    case Kind::kReal:
      return real_of(object, named);
    case Kind::kText:
      return text_from(object, named.text());
    case Kind::kBytes: {
      const auto* data = reinterpret_cast<const std::byte*>(PyBytes_AS_STRING(object.ptr()));
      return std::vector<std::byte>(data, data + PyBytes_GET_SIZE(object.ptr()));
    }
    case Kind::kOther:
      break;
  }
  if (!is_list(object)) {
    throw WrongType(fmt::format("{}: a value of type {}, expected {}{}", named.text(),
                                type_of_value(object), kSettingExpected, hint(object)));
  }
  const nb::object items = items_of(object);
  switch (common_kind(items, named, "bools, numbers or strs")) {
    case Kind::kBool:
      return all<bool>(items, truth);
    case Kind::kInteger:
    case Kind::kOther:  // an empty list
      return all<int64_t>(items, [&](nb::handle item) { return integer_of(item, named); });
    case Kind::kReal:
      return all<double>(items, [&](nb::handle item) { return real_of(item, named); });
    case Kind::kText:
      return all<std::string>(items, [&](nb::handle i) { return text_from(i, named.text()); });
    case Kind::kBytes:
      break;
  }
  throw WrongType(fmt::format("{}: a list of bytes, expected {}", named.text(), kSettingExpected));
}

namespace {

nb::object text_of(const std::string& text) {
  return nb::steal(
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
}

nb::object item_of(bool value) { return nb::bool_(value); }
nb::object item_of(int64_t value) { return nb::int_(value); }
nb::object item_of(double value) { return nb::float_(value); }
nb::object item_of(const std::string& value) { return text_of(value); }
nb::object item_of(const std::vector<std::byte>& value) {
  return nb::bytes(value.data(), value.size());
}
template <class T>
nb::object item_of(const std::vector<T>& values) {
  nb::list list;
  for (const T& value : values) list.append(item_of(value));
  return list;
}

}  // namespace

nb::object to_python(const MetricValue& value) {
  return std::visit([](const auto& v) -> nb::object { return item_of(v); }, value.base());
}
nb::object to_python(const ConfigValue& value) {
  return std::visit([](const auto& v) -> nb::object { return item_of(v); }, value.base());
}

}  // namespace umbel::python

#include <nanobind/stl/string.h>

#include <array>

#include "convert.h"
#include "gil.h"

namespace umbel::python {

namespace {

// The classes of umbel.app, looked up once.
nb::handle class_named(const char* name) {
  return nb::object(nb::module_::import_("umbel.app").attr(name)).release();
}
nb::handle array_record() {
  static const nb::handle kind = class_named("ArrayRecord");
  return kind;
}
nb::handle metric_record() {
  static const nb::handle kind = class_named("MetricRecord");
  return kind;
}
nb::handle config_record() {
  static const nb::handle kind = class_named("ConfigRecord");
  return kind;
}
nb::handle record_dict() {
  static const nb::handle kind = class_named("RecordDict");
  return kind;
}

bool is_a(nb::handle object, nb::handle kind) {
  return PyType_IsSubtype(Py_TYPE(object.ptr()), reinterpret_cast<PyTypeObject*>(kind.ptr())) != 0;
}

std::string type_name_of(nb::handle object) { return Py_TYPE(object.ptr())->tp_name; }

// An empty one, without __init__: what goes in comes from the core and needs no check.
nb::object empty(nb::handle kind) {
  static PyObject* nothing = PyTuple_New(0);
  auto* type = reinterpret_cast<PyTypeObject*>(kind.ptr());
  PyObject* made = type->tp_new(type, nothing, nullptr);
  if (!made) throw nb::python_error();
  return nb::steal(made);
}

void put(nb::handle dict, const std::string& name, const nb::object& value) {
  const nb::object key =
      nb::steal(PyUnicode_DecodeUTF8(name.data(), static_cast<Py_ssize_t>(name.size()), "replace"));
  if (!key.is_valid() || PyDict_SetItem(dict.ptr(), key.ptr(), value.ptr()) != 0) {
    throw nb::python_error();
  }
}

template <class R>
nb::object record_of(const R& record, nb::handle kind) {
  nb::object made = empty(kind);
  for (const auto& [name, value] : record) put(made, name, to_python(value));
  return made;
}

// Calls entry(name, value) for each item of a dict.
template <class F>
void for_each_item(nb::handle dict, std::string_view what, F&& entry) {
  if (!PyDict_Check(dict.ptr())) {
    throw WrongType(
        fmt::format("{}: a value of type {}, expected one or a dict", what, type_name_of(dict)));
  }
  const Py_ssize_t size = PyDict_GET_SIZE(dict.ptr());
  Py_ssize_t position = 0;
  PyObject* key = nullptr;
  PyObject* value = nullptr;
  while (PyDict_Next(dict.ptr(), &position, &key, &value)) {
    const nb::object kept_key = nb::borrow(key);  // what entry() calls may change the dict
    const nb::object kept_value = nb::borrow(value);
    entry(text_from(kept_key, fmt::format("{}: a name", what)), kept_value);
    if (PyDict_GET_SIZE(dict.ptr()) == size) continue;
    throw Error(failed_precondition("{}: it was changed while it was read", what));
  }
}

}  // namespace

ArrayRecord arrays_from(nb::handle object) {
  ArrayRecord arrays;
  for_each_item(object, "ArrayRecord", [&](std::string name, nb::handle value) {
    Array array = array_from(value, name);
    arrays.append(std::move(name), std::move(array));
  });
  return arrays;
}

MetricRecord metrics_from(nb::handle object) {
  MetricRecord metrics;
  for_each_item(object, "MetricRecord", [&](std::string name, nb::handle value) {
    MetricValue metric = metric_from(name, value);
    metrics.append(std::move(name), std::move(metric));
  });
  return metrics;
}

ConfigRecord config_from(nb::handle object) {
  ConfigRecord config;
  for_each_item(object, "ConfigRecord", [&](std::string name, nb::handle value) {
    ConfigValue setting = setting_from(name, value);
    config.append(std::move(name), std::move(setting));
  });
  return config;
}

RecordDict content_from(nb::handle object) {
  RecordDict content;
  for_each_item(object, "RecordDict", [&](std::string name, nb::handle value) {
    AnyRecord record;
    if (is_a(value, array_record())) {
      record = arrays_from(value);
    } else if (is_a(value, metric_record())) {
      record = metrics_from(value);
    } else if (is_a(value, config_record())) {
      record = config_from(value);
    } else {
      throw WrongType(
          fmt::format("RecordDict: record \"{}\" is of type {}, expected an "
                      "ArrayRecord, a MetricRecord or a ConfigRecord",
                      name, type_name_of(value)));
    }
    content.append(std::move(name), std::move(record));
  });
  return content;
}

ArrayRecord kept(const ArrayRecord& arrays) {
  const WithoutGil release;
  return arrays.clone();
}

RecordDict kept(const RecordDict& content) {
  RecordDict copy;
  copy.reserve(content.size());
  for (const auto& [name, record] : content) {
    const auto* arrays = std::get_if<ArrayRecord>(&record);
    copy.append(name, arrays ? AnyRecord(kept(*arrays)) : record);
  }
  return copy;
}

nb::object to_python(const ArrayRecord& arrays) { return record_of(arrays, array_record()); }
nb::object to_python(const MetricRecord& metrics) { return record_of(metrics, metric_record()); }
nb::object to_python(const ConfigRecord& config) { return record_of(config, config_record()); }

nb::object to_python(const RecordDict& content) {
  nb::object made = empty(record_dict());
  for (const auto& [name, record] : content) {
    put(made, name, std::visit([](const auto& r) { return to_python(r); }, record));
  }
  return made;
}

nb::object to_python(const RoundReport& report) {
  nb::dict made;
  made["round"] = report.round;
  made["seconds"] = report.seconds;
  made["clients"] = report.clients;
  made["failures"] = report.failures;
  nb::dict reasons;
  for (const auto& [kind, count] : report.failure_reasons) reasons[kind.c_str()] = count;
  made["failure_reasons"] = reasons;
  nb::list samples;
  for (const RoundReport::Failure& failure : report.failure_samples) {
    nb::dict sample;
    sample["node"] = failure.node;
    sample["kind"] = failure.kind;
    put(sample, "reason", to_python(ConfigValue(failure.reason)));
    samples.append(sample);
  }
  made["failure_samples"] = samples;
  made["bytes_down"] = report.bytes_down;
  made["bytes_up"] = report.bytes_up;
  made["train"] = to_python(report.train);
  made["evaluate"] = to_python(report.evaluate);
  made["server"] = to_python(report.server);
  made["note"] = report.note;
  return made;
}

void bind_records(nb::module_& module) {
  // A value as a record holds it: numbers of NumPy become Python's.
  module.def(
      "metric_value",
      [](nb::handle name, nb::handle value) {
        return to_python(metric_from(text_from(name, "MetricRecord: a name"), value));
      },
      nb::arg("name"), nb::arg("value").none(),
      nb::sig("def metric_value(name: str, value: object) -> typing.Any"));
  module.def(
      "setting_value",
      [](nb::handle name, nb::handle value) {
        return to_python(setting_from(text_from(name, "ConfigRecord: a name"), value));
      },
      nb::arg("name"), nb::arg("value").none(),
      nb::sig("def setting_value(name: str, value: object) -> typing.Any"));
  module.def(
      "array_value",
      [](nb::handle name, nb::handle value) -> nb::object {
        const std::string text = text_from(name, "ArrayRecord: a name");
        if (nb::isinstance<Array>(value)) return nb::borrow(value);
        return to_python(array_from(value, text));
      },
      nb::arg("name"), nb::arg("value").none(),
      nb::sig("def array_value(name: str, value: object) -> Array"));
}

}  // namespace umbel::python

#include <memory>

#include "convert.h"
#include "dlpack.h"
#include "gil.h"

namespace umbel::python {

namespace {

// A view of an object's memory that is given back with the GIL.
struct Held {
  Py_buffer view{};
  ~Held() {
    with_gil([this] { PyBuffer_Release(&view); });
  }
};

std::string type_text(nb::handle object) { return Py_TYPE(object.ptr())->tp_name; }

// By the struct module's letters, whose sizes on this machine the view says itself.
std::optional<DType> dtype_of_format(std::string_view format, size_t item) {
  if (!format.empty() && std::string_view("@=<").find(format[0]) != std::string_view::npos) {
    format.remove_prefix(1);
  }
  const auto sized = [item](std::string_view kind) {
    return dtype_named(fmt::format("{}{}", kind, item * 8));
  };
  if (format == "?") return DType::kBool;
  if (format == "Zf" || format == "Zd" || format == "F" || format == "D") return sized("complex");
  if (format.size() != 1) return std::nullopt;
  if (std::string_view("bhilqn").find(format) != std::string_view::npos) return sized("int");
  if (std::string_view("BHILQN").find(format) != std::string_view::npos) return sized("uint");
  if (std::string_view("efd").find(format) != std::string_view::npos) return sized("float");
  return std::nullopt;
}

bool is_foreign_endian(std::string_view format) {
  return !format.empty() && (format[0] == '>' || format[0] == '!');
}

[[noreturn]] void refuse_dtype(nb::handle object, std::string_view name, std::string_view format) {
  std::string dtype(format);
  if (nb::hasattr(object, "dtype")) dtype = nb::str(nb::handle(object.attr("dtype"))).c_str();
  throw WrongType(
      fmt::format("array \"{}\": elements of type {}, expected numbers: bool, int8 to "
                  "int64, uint8 to uint64, float16 to float64, bfloat16, complex64 or "
                  "complex128",
                  name, dtype));
}

// Some leave shape or strides out even where they are asked for: ctypes, NumPy's dates.
Shape shape_in(const Py_buffer& view) {
  if (view.shape) return Shape(view.shape, view.shape + view.ndim);
  return view.ndim == 0 ? Shape() : Shape{view.itemsize ? view.len / view.itemsize : 0};
}
Shape strides_in(const Py_buffer& view, const Shape& shape) {
  if (view.strides) return Shape(view.strides, view.strides + view.ndim);
  Shape strides(shape.size(), view.itemsize);
  for (size_t axis = shape.size(); axis-- > 1;) strides[axis - 1] = strides[axis] * shape[axis];
  return strides;
}

// Whether bytes without a type are elements of one: NumPy gives its dates' bytes as such.
bool are_dates(nb::handle object, std::string_view format) {
  if (format != "B" || !nb::hasattr(object, "dtype")) return false;
  const nb::object dtype = object.attr("dtype");
  return nb::hasattr(dtype, "kind") && !nb::object(dtype.attr("kind")).equal(nb::str("u"));
}

// The array that lies in a view; nothing for a layout that NumPy has to change first.
std::optional<Array> array_of(std::unique_ptr<Held> held, nb::handle object,
                              std::string_view name) {
  const Py_buffer& view = held->view;
  const std::string_view format = view.format ? view.format : "B";
  if (is_foreign_endian(format) && view.itemsize > 1) return std::nullopt;
  if (are_dates(object, format)) refuse_dtype(object, name, format);
  const auto item = static_cast<size_t>(view.itemsize);
  const std::optional<DType> dtype =
      dtype_of_format(is_foreign_endian(format) ? format.substr(1) : format, item);
  if (!dtype || size_of(*dtype) != item) refuse_dtype(object, name, format);
  const Shape shape = shape_in(view);
  const Shape strides = strides_in(view, shape);
  const auto* data = static_cast<const std::byte*>(view.buf);
  if (!dlpack::is_packed(shape, strides, item)) {
    return or_throw(Array::make(*dtype, shape, dlpack::packed(data, shape, strides, item)));
  }
  const std::span<const std::byte> bytes(data, static_cast<size_t>(view.len));
  Held* owned = held.release();
  return or_throw(Array::make(*dtype, shape, Buffer::adopt(bytes, [owned] { delete owned; })));
}

std::unique_ptr<Held> buffer_of(nb::handle object) {
  if (!PyObject_CheckBuffer(object.ptr())) return nullptr;
  auto held = std::make_unique<Held>();
  if (PyObject_GetBuffer(object.ptr(), &held->view, PyBUF_RECORDS_RO) == 0) return held;
  PyErr_Clear();  // bfloat16, dates: the object may have other ways
  return nullptr;
}

// An ndarray, whatever class the object is of, with this machine's order of bytes.
nb::object in_native_order(nb::handle object) {
  const nb::object plain = nb::module_::import_("numpy").attr("asarray")(object);
  return plain.attr("astype")(plain.attr("dtype").attr("newbyteorder")("="));
}

std::optional<Array> by_buffer(nb::handle object, std::string_view name) {
  std::unique_ptr<Held> held = buffer_of(object);
  if (!held) return std::nullopt;
  if (std::optional<Array> array = array_of(std::move(held), object, name)) return array;
  const nb::object native = in_native_order(object);
  held = buffer_of(native);
  return held ? array_of(std::move(held), native, name) : std::nullopt;
}

bool is_bfloat16(nb::handle object) {
  if (!nb::hasattr(object, "dtype") || !nb::hasattr(object, "view")) return false;
  const nb::object dtype = object.attr("dtype");
  return nb::hasattr(dtype, "name") &&
         std::string_view(nb::str(nb::handle(dtype.attr("name"))).c_str()) == "bfloat16";
}

Array as_bfloat16(const Array& bits) {
  return or_throw(Array::make(DType::kBfloat16, bits.shape(), bits.buffer()));
}

Array by_dlpack(nb::handle object, std::string_view name) {
  // A tensor that gradients flow into shares its elements without them.
  if (nb::hasattr(object, "requires_grad") && object.attr("requires_grad").is(Py_True)) {
    return dlpack::import(object.attr("detach")(), name);
  }
  return dlpack::import(object, name);
}

}  // namespace

Array array_from(nb::handle object, std::string_view name) {
  if (nb::isinstance<Array>(object)) return *nb::inst_ptr<Array>(object);
  if (std::optional<Array> array = by_buffer(object, name)) return *std::move(array);
  const bool is_ndarray = nb::hasattr(object, "__array_interface__");
  if (is_ndarray && is_bfloat16(object)) {  // of the package ml_dtypes
    const nb::object bits = object.attr("view")("uint16");
    if (const std::optional<Array> array = by_buffer(bits, name)) return as_bfloat16(*array);
  }
  if (is_ndarray) refuse_dtype(object, name, "?");
  if (nb::hasattr(object, "__dlpack__")) return by_dlpack(object, name);
  throw WrongType(
      fmt::format("array \"{}\": a value of type {}, expected an array: umbel.app.Array, "
                  "a NumPy array, or a tensor of a framework",
                  name, type_text(object)));
}

}  // namespace umbel::python

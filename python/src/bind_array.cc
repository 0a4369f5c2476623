#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <cstring>

#include "convert.h"
#include "dlpack.h"
#include "gil.h"
#include "umbel/record/npy.h"

namespace umbel::python {

namespace {

// Bytes that belong to one ndarray.
struct Memory {
  Buffer buffer;
};

// What a view of an array points to besides its bytes.
struct ViewShape {
  std::array<Py_ssize_t, 64> shape;
  std::array<Py_ssize_t, 64> strides;
};

char empty_bytes = 0;

const char* format_of(DType dtype) {
  static constexpr std::array<const char*, kDTypeCount> kFormats{
      "?", "b", "h", "i", "q", "B", "H", "I", "Q", "e", nullptr, "f", "d", "Zf", "Zd"};
  return kFormats[static_cast<size_t>(dtype)];
}

void fill(Py_buffer* view, PyObject* owner, std::span<const std::byte> bytes, bool read_only) {
  view->obj = Py_NewRef(owner);
  view->buf =
      bytes.empty() ? static_cast<void*>(&empty_bytes) : const_cast<std::byte*>(bytes.data());
  view->len = static_cast<Py_ssize_t>(bytes.size());
  view->readonly = read_only;
  view->itemsize = 1;
  view->ndim = 1;
  view->format = nullptr;
  view->shape = nullptr;
  view->strides = nullptr;
  view->suboffsets = nullptr;
  view->internal = nullptr;
}

int memory_buffer(PyObject* self, Py_buffer* view, int) {
  fill(view, self, nb::inst_ptr<Memory>(self)->buffer.bytes(), false);
  view->shape = &view->len;
  view->strides = &view->itemsize;
  return 0;
}

int array_buffer(PyObject* self, Py_buffer* view, int flags) {
  const Array& array = *nb::inst_ptr<Array>(self);
  if (flags & PyBUF_WRITABLE) {
    PyErr_SetString(PyExc_BufferError, "an Array's elements are read-only: numpy() gives a copy");
    view->obj = nullptr;
    return -1;
  }
  const char* format = format_of(array.dtype());
  if (!format && (flags & PyBUF_FORMAT)) {  // the 16 bits alone would be taken for integers
    PyErr_SetString(PyExc_BufferError, "a buffer cannot say that its elements are bfloat16");
    view->obj = nullptr;
    return -1;
  }
  fill(view, self, array.bytes(), true);
  const size_t rank = array.shape().size();
  auto* place = new ViewShape;
  if (rank > place->shape.size()) {
    delete place;
    Py_CLEAR(view->obj);
    PyErr_SetString(PyExc_BufferError, "more than 64 dimensions");
    return -1;
  }
  auto stride = static_cast<Py_ssize_t>(size_of(array.dtype()));
  view->itemsize = stride;
  for (size_t axis = rank; axis-- != 0;) {
    place->shape[axis] = array.shape()[axis];
    place->strides[axis] = stride;
    stride *= std::max<Py_ssize_t>(place->shape[axis], 1);
  }
  view->ndim = static_cast<int>(rank);
  view->format = flags & PyBUF_FORMAT ? const_cast<char*>(format) : nullptr;
  view->shape = place->shape.data();
  view->strides = place->strides.data();
  view->internal = place;
  return 0;
}

void array_release(PyObject*, Py_buffer* view) { delete static_cast<ViewShape*>(view->internal); }

PyType_Slot memory_slots[] = {{Py_bf_getbuffer, reinterpret_cast<void*>(memory_buffer)},
                              {0, nullptr}};
PyType_Slot array_slots[] = {{Py_bf_getbuffer, reinterpret_cast<void*>(array_buffer)},
                             {Py_bf_releasebuffer, reinterpret_cast<void*>(array_release)},
                             {0, nullptr}};

nb::tuple shape_of(const Array& array) {
  nb::object shape = nb::steal(PyTuple_New(static_cast<Py_ssize_t>(array.shape().size())));
  for (size_t i = 0; i != array.shape().size(); ++i) {
    PyTuple_SetItem(shape.ptr(), static_cast<Py_ssize_t>(i), PyLong_FromLongLong(array.shape()[i]));
  }
  return nb::borrow<nb::tuple>(shape);
}

nb::module_ numpy_module() { return nb::module_::import_("numpy"); }

// NumPy's own type for a dtype, looked up once.
nb::handle numpy_dtype(DType dtype) {
  static std::array<PyObject*, kDTypeCount> known{};
  PyObject*& entry = known[static_cast<size_t>(dtype)];
  if (entry) return entry;
  if (dtype == DType::kBfloat16) {
    // NumPy itself has none; a framework in this process may have brought one.
    const nb::object modules = nb::module_::import_("sys").attr("modules");
    if (!nb::cast<bool>(modules.attr("__contains__")("ml_dtypes"))) {
      throw WrongType(
          "an Array of bfloat16: NumPy has no such dtype; take it by torch.from_dlpack(array) or "
          "jax.numpy.from_dlpack(array), or import ml_dtypes before");
    }
    const nb::object scalar = nb::module_::import_("ml_dtypes").attr("bfloat16");
    entry = nb::object(numpy_module().attr("dtype")(scalar)).release().ptr();
    return entry;
  }
  const std::string name(name_of(dtype));
  entry = numpy_module().attr("dtype")(name).release().ptr();
  return entry;
}

// An ndarray over the memory of `owner`, which stays alive with it.
nb::object ndarray_over(const Array& array, nb::handle owner) {
  static const nb::handle ndarray = nb::object(numpy_module().attr("ndarray")).release();
  const nb::handle dtype = numpy_dtype(array.dtype());
  return ndarray(shape_of(array), dtype, owner);
}

// A copy of a large array is made without the GIL.
Buffer copied(const Buffer& buffer) {
  constexpr size_t kLarge = 1 << 20;
  if (buffer.size() < kLarge) return buffer.clone();
  const WithoutGil release;
  return buffer.clone();
}

nb::object numpy(nb::handle self, std::optional<bool> copy) {
  const Array& array = *nb::inst_ptr<Array>(self);
  if (copy && !*copy) return ndarray_over(array, self);
  (void)numpy_dtype(array.dtype());  // refuses before anything is copied
  return ndarray_over(array, nb::cast(Memory{copied(array.buffer())}));
}

nb::object as_array(nb::handle self, nb::object dtype, nb::object copy) {
  const nb::object view = numpy(self, !copy.is_none() && nb::cast<bool>(copy));
  if (dtype.is_none()) return view;
  nb::dict how;
  how["copy"] = false;
  return view.attr("astype")(dtype, **how);
}

nb::object dlpack_capsule(const Array& array, nb::object, nb::object max_version, nb::object device,
                          nb::object copy) {
  if (!device.is_none() && !device.equal(nb::make_tuple(1, 0))) {
    throw nb::buffer_error("an Array's elements are in the CPU's memory");
  }
  const bool versioned = !max_version.is_none() && nb::cast<int>(nb::handle(max_version)[0]) >= 1;
  if (!copy.is_none() && nb::cast<bool>(copy)) {
    const Array own = or_throw(Array::make(array.dtype(), array.shape(), copied(array.buffer())));
    return dlpack::capsule(own, versioned, true);
  }
  return dlpack::capsule(array, versioned, false);
}

DType dtype_from(nb::handle object) {
  const std::string name = text_from(object, "dtype");
  const std::optional<DType> dtype = dtype_named(name);
  if (!dtype) throw Error(invalid_argument("Array: dtype \"{}\" is not known", name));
  return *dtype;
}

int64_t extent_from(nb::handle object) {
  const Py_ssize_t extent = PyNumber_AsSsize_t(object.ptr(), PyExc_OverflowError);
  PyErr_Clear();
  if (extent >= 0) return extent;
  throw Error(invalid_argument("Array: shape has {}, expected integers, 0 or more",
                               nb::repr(object).c_str()));
}

// Flower's form: dtype, shape, how the bytes say it, the bytes.
Array from_parts(nb::handle dtype_name, nb::handle dimensions, nb::handle form, nb::handle data) {
  const DType dtype = dtype_from(dtype_name);
  Shape shape;
  const nb::object extents = nb::steal(PySequence_Tuple(dimensions.ptr()));
  if (!extents.is_valid()) throw nb::python_error();
  for (const nb::handle extent : nb::borrow<nb::tuple>(extents)) {
    shape.push_back(extent_from(extent));
  }
  if (!PyBytes_Check(data.ptr())) throw WrongType("Array: data is no bytes");
  const auto* begin = reinterpret_cast<const std::byte*>(PyBytes_AS_STRING(data.ptr()));
  const Buffer bytes = Buffer::copy_of({begin, static_cast<size_t>(PyBytes_GET_SIZE(data.ptr()))});
  const std::string stype = text_from(form, "stype");
  if (stype == "elements") return or_throw(Array::make(dtype, shape, bytes));
  if (stype != "numpy.ndarray") {
    throw Error(invalid_argument("Array: stype \"{}\", expected \"numpy.ndarray\"", stype));
  }
  Array array = or_throw(parse_npy(bytes));
  if (array.dtype() == dtype && array.shape() == shape) return array;
  throw Error(invalid_argument("Array: the data are {}, expected {}{}", array.describe(),
                               name_of(dtype), to_string(shape)));
}

void construct(Array* self, nb::args args, nb::object dtype, nb::object shape, nb::object stype,
               nb::object data, nb::object ndarray, nb::object torch_tensor) {
  if (args.size() == 4) {
    new (self) Array(from_parts(args[0], args[1], args[2], args[3]));
    return;
  }
  const bool in_parts = !dtype.is_none() || !shape.is_none() || !stype.is_none() || !data.is_none();
  const size_t given = args.size() + in_parts + !ndarray.is_none() + !torch_tensor.is_none();
  if (given != 1 || args.size() > 1) {
    throw WrongType(
        "Array: expected one of: an array or tensor; ndarray=; torch_tensor=; dtype=, shape=, "
        "stype= and data= together");
  }
  if (in_parts) {
    new (self) Array(from_parts(dtype, shape, stype, data));
  } else {
    const nb::handle object = args.size()         ? nb::handle(args[0])
                              : ndarray.is_none() ? torch_tensor
                                                  : ndarray;
    new (self) Array(array_from(object, "Array"));
  }
}

nb::object npy_bytes(const Array& array) {
  std::string text = or_throw(format_npy_header(array));
  text.append(reinterpret_cast<const char*>(array.buffer().data()), array.byte_size());
  return nb::bytes(text.data(), text.size());
}

nb::object reduce(nb::handle self) {
  const Array& array = *nb::inst_ptr<Array>(self);
  const nb::bytes data(array.buffer().data(), array.byte_size());
  return nb::make_tuple(self.type(), nb::make_tuple(std::string(name_of(array.dtype())),
                                                    shape_of(array), "elements", data));
}

std::string represented(const Array& array) {
  std::string shape;
  for (const int64_t extent : array.shape()) shape += fmt::format("{}, ", extent);
  if (array.shape().size() == 1) shape.pop_back();
  if (array.shape().size() > 1) shape.resize(shape.size() - 2);
  return fmt::format("Array(dtype='{}', shape=({}))", name_of(array.dtype()), shape);
}

}  // namespace

nb::object to_python(const Array& array) { return nb::cast(array); }

void bind_array(nb::module_& module) {
  nb::class_<Memory>(module, "Memory", nb::type_slots(memory_slots),
                     "Bytes that belong to one NumPy array.");
  nb::class_<Array>(module, "Array", nb::type_slots(array_slots),
                    "A tensor: a dtype, a shape, and elements that do not change.\n\n"
                    "Made of a NumPy array, a tensor of PyTorch, JAX or TensorFlow, or anything\n"
                    "with the buffer protocol or ``__dlpack__``, without a copy: the elements are\n"
                    "those of the object, which stays alive with them.  A copy is made only where\n"
                    "they do not lie in C order, or in another machine's byte order.\n\n"
                    "Raises umbel.WrongType for elements that are no numbers, or lie in the\n"
                    "memory of a device.")
      .def("__init__", construct, nb::arg("args"), nb::kw_only(), nb::arg("dtype") = nb::none(),
           nb::arg("shape") = nb::none(), nb::arg("stype") = nb::none(),
           nb::arg("data") = nb::none(), nb::arg("ndarray") = nb::none(),
           nb::arg("torch_tensor") = nb::none(),
           nb::sig("def __init__(self, *args: object, dtype: str | None = None, shape: "
                   "tuple[int, ...] | None = None, stype: str | None = None, data: bytes | None = "
                   "None, ndarray: object = None, torch_tensor: object = None) -> None"))
      .def_static(
          "from_numpy_ndarray", [](nb::object a) { return array_from(a, "Array"); },
          nb::arg("ndarray").none(), "Array(ndarray).")
      .def_static(
          "from_torch_tensor", [](nb::object a) { return array_from(a, "Array"); },
          nb::arg("tensor").none(), "Array(tensor).")
      .def_prop_ro(
          "dtype", [](const Array& a) { return std::string(name_of(a.dtype())); },
          "NumPy's name of the elements' type: ``\"float32\"``.")
      .def_prop_ro("shape", shape_of, nb::sig("def shape(self) -> tuple[int, ...]"),
                   "Extents, outermost first.")
      .def_prop_ro("ndim", [](const Array& a) { return a.shape().size(); })
      .def_prop_ro("size", &Array::size, "The number of elements.")
      .def_prop_ro("nbytes", &Array::byte_size, "Bytes of all elements.")
      .def_prop_ro(
          "stype", [](const Array&) { return "numpy.ndarray"; }, "How ``data`` says the elements.")
      .def_prop_ro("data", npy_bytes, nb::sig("def data(self) -> bytes"),
                   "The elements as a .npy file's bytes: a copy.")
      .def(
          "numpy", numpy, nb::arg("copy") = nb::none(),
          nb::sig("def numpy(self, copy: bool | None = None) -> numpy.typing.NDArray[typing.Any]"),
          "An ndarray of one's own, to write to; with ``copy=False`` a view that is read-only.\n\n"
          "Raises umbel.WrongType for bfloat16, which NumPy has not, unless ml_dtypes is imported.")
      .def("__array__", as_array, nb::arg("dtype") = nb::none(), nb::arg("copy") = nb::none(),
           nb::sig("def __array__(self, dtype: object = None, copy: bool | None = None) -> "
                   "typing.Any"))
      .def("__dlpack__", dlpack_capsule, nb::kw_only(), nb::arg("stream") = nb::none(),
           nb::arg("max_version") = nb::none(), nb::arg("dl_device") = nb::none(),
           nb::arg("copy") = nb::none(),
           nb::sig("def __dlpack__(self, *, stream: object = None, max_version: tuple[int, int] | "
                   "None = None, dl_device: tuple[int, int] | None = None, copy: bool | None = "
                   "None) -> typing.Any"))
      .def(
          "__dlpack_device__", [](const Array&) { return nb::make_tuple(1, 0); },
          nb::sig("def __dlpack_device__(self) -> tuple[int, int]"))
      .def(
          "__eq__",
          [](const Array& a, nb::object b) {
            return nb::isinstance<Array>(b) && a == *nb::inst_ptr<Array>(b);
          },
          nb::arg("other").none(), nb::sig("def __eq__(self, other: object) -> bool"),
          "Same dtype, shape and bytes: so NaN equals itself.")
      .def(
          "__hash__", [](nb::handle) -> Py_hash_t { throw WrongType("unhashable type: 'Array'"); },
          nb::sig("def __hash__(self) -> int"))
      .def("__reduce__", reduce, nb::sig("def __reduce__(self) -> tuple[typing.Any, ...]"))
      .def("__repr__", represented);
}

}  // namespace umbel::python

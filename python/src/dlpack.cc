#include "dlpack.h"

#include <algorithm>
#include <memory>

#include "convert.h"
#include "gil.h"

namespace umbel::python::dlpack {

namespace {

// As https://dmlc.github.io/dlpack/latest/c_api.html lays them out.
struct Device {
  int32_t type;
  int32_t id;
};
constexpr int32_t kCpu = 1;
struct Type {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
};
struct Tensor {
  void* data;
  Device device;
  int32_t rank;
  Type type;
  int64_t* shape;
  int64_t* strides;  // in elements; nullptr: C order
  uint64_t byte_offset;
};
struct Managed {
  Tensor tensor;
  void* context;
  void (*deleter)(Managed*);
};
struct ManagedVersioned {
  uint32_t major;
  uint32_t minor;
  void* context;
  void (*deleter)(ManagedVersioned*);
  uint64_t flags;
  Tensor tensor;
};
constexpr uint64_t kReadOnly = 1;
constexpr char kName[] = "dltensor";
constexpr char kUsed[] = "used_dltensor";
constexpr char kVersionedName[] = "dltensor_versioned";
constexpr char kVersionedUsed[] = "used_dltensor_versioned";

enum Code : uint8_t { kInt = 0, kUint = 1, kFloat = 2, kBfloat = 4, kComplex = 5, kBool = 6 };

Type type_of(DType dtype) {
  const auto bits = static_cast<uint8_t>(size_of(dtype) * 8);
  if (dtype == DType::kBool) return {kBool, 8, 1};
  if (dtype == DType::kBfloat16) return {kBfloat, 16, 1};
  if (is_complex(dtype)) return {kComplex, bits, 1};
  if (is_floating(dtype)) return {kFloat, bits, 1};
  const bool is_signed = name_of(dtype).starts_with("int");
  return {static_cast<uint8_t>(is_signed ? kInt : kUint), bits, 1};
}

DType dtype_of_type(const Type& type, std::string_view name) {
  for (int i = 0; i != kDTypeCount; ++i) {
    const auto dtype = static_cast<DType>(i);
    const Type known = type_of(dtype);
    if (known.code == type.code && known.bits == type.bits && type.lanes == 1) return dtype;
  }
  throw WrongType(fmt::format(
      "array \"{}\": its elements (DLPack code {}, {} bits) are of no type that an Array has", name,
      type.code, type.bits));
}

template <class M>
Array adopt(M* managed, std::string_view name) {
  // From here on the tensor is ours to give back.
  const std::shared_ptr<M> owner(managed, [](M* mine) {
    with_gil([mine] {
      if (mine->deleter) mine->deleter(mine);
    });
  });
  const Tensor& tensor = managed->tensor;
  if (tensor.device.type != kCpu) {
    throw WrongType(
        fmt::format("array \"{}\": its elements are in the memory of a device (DLPack "
                    "type {}), expected the CPU's: copy it there first, as with .cpu()",
                    name, tensor.device.type));
  }
  const DType dtype = dtype_of_type(tensor.type, name);
  const size_t item = size_of(dtype);
  const Shape shape(tensor.shape, tensor.shape + tensor.rank);
  const auto elements = static_cast<size_t>(or_throw(element_count(shape)));
  const auto* data = static_cast<const std::byte*>(tensor.data) + tensor.byte_offset;
  if (tensor.strides) {
    Shape strides(tensor.strides, tensor.strides + tensor.rank);
    for (int64_t& stride : strides) stride *= static_cast<int64_t>(item);
    if (!is_packed(shape, strides, item)) {
      return or_throw(Array::make(dtype, shape, packed(data, shape, strides, item)));
    }
  }
  return or_throw(
      Array::make(dtype, shape, Buffer::adopt({data, elements * item}, [owner] { (void)owner; })));
}

// What a consumer holds: the array's bytes, and its shape where the tensor points to.
struct Exported {
  Array array;
  Shape shape;
  Shape strides;  // in elements
};

Shape strides_of(const Shape& shape) {
  Shape strides(shape.size(), 1);
  for (size_t axis = shape.size(); axis-- > 1;) {
    strides[axis - 1] = strides[axis] * std::max<int64_t>(shape[axis], 1);
  }
  return strides;
}

template <class M>
void release(M* managed) {
  delete static_cast<Exported*>(managed->context);
  delete managed;
}

Tensor tensor_of(Exported& exported) {
  // A consumer that was told nothing of read-only got bytes of its own.
  return {const_cast<std::byte*>(exported.array.buffer().data()),
          {kCpu, 0},
          static_cast<int32_t>(exported.shape.size()),
          type_of(exported.array.dtype()),
          exported.shape.data(),
          exported.strides.data(),
          0};
}

// Of a capsule that nobody took the tensor out of.
template <class M>
void destroy(PyObject* capsule, const char* name) {
  if (!PyCapsule_IsValid(capsule, name)) return;
  release(static_cast<M*>(PyCapsule_GetPointer(capsule, name)));
}

nb::object call(nb::handle object, bool versioned) {
  const nb::object method = object.attr("__dlpack__");
  if (!versioned) return method();
  nb::dict arguments;
  arguments["max_version"] = nb::make_tuple(1, 0);
  return method(**arguments);
}

}  // namespace

Array import(nb::handle object, std::string_view name) {
  nb::object given;
  try {
    given = call(object, true);
  } catch (nb::python_error& error) {
    if (!error.matches(PyExc_TypeError)) throw;
    given = call(object, false);  // of before max_version was
  }
  if (PyCapsule_IsValid(given.ptr(), kVersionedName)) {
    auto* managed =
        static_cast<ManagedVersioned*>(PyCapsule_GetPointer(given.ptr(), kVersionedName));
    PyCapsule_SetName(given.ptr(), kVersionedUsed);
    return adopt(managed, name);
  }
  if (!PyCapsule_IsValid(given.ptr(), kName)) {
    throw WrongType(fmt::format("array \"{}\": its __dlpack__() gives no tensor", name));
  }
  auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(given.ptr(), kName));
  PyCapsule_SetName(given.ptr(), kUsed);
  return adopt(managed, name);
}

nb::object capsule(const Array& array, bool versioned, bool writable) {
  auto exported =
      std::make_unique<Exported>(Exported{array, array.shape(), strides_of(array.shape())});
  PyObject* made = nullptr;
  if (versioned) {
    auto managed = std::make_unique<ManagedVersioned>(
        ManagedVersioned{1, 0, exported.get(), release<ManagedVersioned>, writable ? 0 : kReadOnly,
                         tensor_of(*exported)});
    made = PyCapsule_New(managed.get(), kVersionedName, [](PyObject* capsule) {
      destroy<ManagedVersioned>(capsule, kVersionedName);
    });
    if (made) (void)managed.release();
  } else {
    if (!writable) exported->array = exported->array.clone();
    auto managed =
        std::make_unique<Managed>(Managed{tensor_of(*exported), exported.get(), release<Managed>});
    made = PyCapsule_New(managed.get(), kName,
                         [](PyObject* capsule) { destroy<Managed>(capsule, kName); });
    if (made) (void)managed.release();
  }
  if (!made) throw nb::python_error();
  (void)exported.release();
  return nb::steal(made);
}

}  // namespace umbel::python::dlpack

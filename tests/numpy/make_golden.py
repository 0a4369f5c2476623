#!/usr/bin/env python3
"""Makes, with NumPy itself, what the tests of .npy, .npz and .safetensors hold us to.

make_golden.py rows             the table in src/umbel/record/npy_golden_test.cc
make_golden.py corpus FOLDER    seeds of the fuzzers: FOLDER/npy, FOLDER/npz, FOLDER/safetensors
"""
import io
import hashlib
import json
import pathlib
import struct
import sys

import numpy as np

DTYPES = ("bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 "
          "complex64 complex128").split()
SHAPES = [(), (0,), (3,), (2, 3), (1, 2, 1, 4, 5), (0, 1099511627776), (1,) * 36,
          (1,) * 57]


def array(dtype, shape):
    """An array whose byte k is (37 k + 11) mod 256; k mod 2 if it is bool."""
    dtype = np.dtype(dtype)
    count = int(np.prod(shape, dtype=object)) * dtype.itemsize
    step, start, modulus = (1, 0, 2) if dtype == bool else (37, 11, 256)
    data = bytes((step * k + start) % modulus for k in range(count))
    return np.frombuffer(data, dtype).reshape(shape)


def saved(value, **options):
    out = io.BytesIO()
    if isinstance(value, dict):
        (np.savez_compressed if options.get("deflate") else np.savez)(out, **value)
    else:
        np.save(out, value)
    return out.getvalue()


def with_header(text, data=b"", version=1):
    head = text.encode("latin1")
    size = struct.pack("<H" if version == 1 else "<I", len(head))
    return b"\x93NUMPY" + bytes([version, 0]) + size + head + data


def rows():
    for dtype, shape in [(d, (2, 3)) for d in DTYPES] + [("float32", s) for s in SHAPES]:
        data = saved(array(dtype, shape))
        head = data[10:10 + int.from_bytes(data[8:10], "little")].decode().rstrip()
        print(f'    {{"{dtype}",\n     {{{", ".join(map(str, shape))}}},\n     "{head}",\n'
              f'     "{hashlib.sha256(data).hexdigest()}"}},')


def tensors(entries, data, pad=0):
    text = json.dumps(entries, separators=(",", ":")).encode() + b" " * pad
    return struct.pack("<Q", len(text)) + text + data


def corpus():
    for dtype in DTYPES:
        yield f"npy/{dtype}.npy", saved(array(dtype, (2, 3)))
    floats = array("float32", (3, 4))
    yield "npy/big_endian.npy", saved(floats.astype(">f4"))
    yield "npy/fortran.npy", saved(np.asfortranarray(floats))
    yield "npy/scalar.npy", saved(array("float64", ()))
    yield "npy/empty.npy", saved(array("int32", (4, 0)))
    head = "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 2L), }\n"
    yield "npy/python2.npy", with_header(head, bytes(8))
    yield "npy/version2.npy", with_header(head, bytes(8), 2)
    yield "npy/version3.npy", with_header(head.replace("L", ""), bytes(8), 3)
    yield "npy/huge.npy", with_header(head.replace("2L", "4611686018427387904"))
    yield "npy/object.npy", with_header(head.replace("<i2", "|O"), bytes(8))
    model = {"weight": floats, "bias": array("float64", (2,))}
    yield "npz/stored.npz", saved(model)
    yield "npz/deflated.npz", saved({"zeros": np.zeros((8, 8)), **model}, deflate=True)
    yield "npz/empty.npz", saved({})
    f32 = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
    u8 = {"dtype": "U8", "shape": [3], "data_offsets": [16, 19]}
    yield "safetensors/two.safetensors", tensors({"a": f32, "b": u8}, bytes(range(19)))
    yield "safetensors/metadata.safetensors", tensors(
        {"__metadata__": {"format": "np"}, "a": f32}, bytes(range(16)), 5)
    yield "safetensors/empty.safetensors", tensors({}, b"")
    yield "safetensors/scalar.safetensors", tensors(
        {"x": {"dtype": "BF16", "shape": [], "data_offsets": [0, 2]},
         "none": {"dtype": "I64", "shape": [0, 7], "data_offsets": [2, 2]}}, b"\x80\x3f")
    yield "safetensors/overlap.safetensors", tensors(
        {"a": f32, "b": {**u8, "data_offsets": [13, 16]}}, bytes(16))


if sys.argv[1:] == ["rows"]:
    rows()
elif len(sys.argv) == 3 and sys.argv[1] == "corpus":
    for name, data in corpus():
        (pathlib.Path(sys.argv[2]) / name).parent.mkdir(parents=True, exist_ok=True)
        (pathlib.Path(sys.argv[2]) / name).write_bytes(data)
else:
    sys.exit(__doc__)

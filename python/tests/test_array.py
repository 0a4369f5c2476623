"""Arrays cross between NumPy and the core bit by bit, and without a copy where that is promised."""

from __future__ import annotations

import gc
import pickle
import resource
import sys
import threading
import weakref

import numpy as np
import pytest

import umbel
from umbel import _core
from umbel.app import Array, ArrayRecord

DTYPES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64", "complex64", "complex128",
]  # fmt: skip


def some(dtype: str, shape: tuple[int, ...] = (3, 5)) -> np.ndarray:
    """Any bits at all, NaNs with their payloads among them."""
    count = int(np.prod(shape))
    raw = np.random.default_rng(7).bytes(count * np.dtype(dtype).itemsize)
    bits = np.frombuffer(raw, "uint8")
    return (bits & 1 if dtype == "bool" else bits).view(dtype).reshape(shape)


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_keeps_its_bits_both_ways(dtype: str) -> None:
    given = some(dtype)
    array = Array(given)
    assert (array.dtype, array.shape, array.nbytes) == (dtype, (3, 5), given.nbytes)
    for back in (array.numpy(), np.asarray(array), np.from_dlpack(array)):
        assert back.dtype == given.dtype and back.shape == given.shape
        assert back.tobytes() == given.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_views_share_memory_and_cannot_be_written_to(dtype: str) -> None:
    given = some(dtype).copy()
    array = Array(given)
    for view in (np.asarray(array), array.numpy(copy=False), np.from_dlpack(array)):
        assert address(view) == address(given)
        assert not view.flags.writeable
    own = array.numpy()
    own.view("uint8")[...] = 0
    assert array.numpy().tobytes() == some(dtype).tobytes()


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1,), (2, 1, 3), (1,) * 30])
def test_every_shape_comes_back(shape: tuple[int, ...]) -> None:
    given = np.arange(np.prod(shape, dtype=int), dtype="float32").reshape(shape)
    array = Array(given)
    assert array.shape == shape and array.size == given.size and array.ndim == len(shape)
    assert np.array_equal(array.numpy(), given) and array.numpy().shape == shape
    assert memoryview(array).shape == shape
    assert np.array_equal(np.from_dlpack(array), given)


@pytest.mark.parametrize(
    "layout",
    [
        lambda a: a.T, lambda a: a[::2], lambda a: a[:, ::-1], lambda a: a[1:, 2:4],
        lambda a: np.asfortranarray(a), lambda a: np.broadcast_to(a[0], (4, 5)),
        lambda a: a.astype(">f4"), lambda a: a.T.astype(">f4"), lambda a: a[:0],
    ],
)  # fmt: skip
def test_any_layout_gives_the_same_elements(layout: object) -> None:
    given = layout(np.arange(15, dtype="float32").reshape(3, 5))  # type: ignore[operator]
    array = Array(given)
    assert array.dtype == "float32"
    assert np.array_equal(array.numpy(), given)


def test_two_gibibytes_go_in_and_out_without_touching_a_page() -> None:
    huge = np.zeros(2 << 30, "uint8")  # pages that do not exist until somebody looks
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    view = np.asarray(ArrayRecord([huge])["0"])
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert address(view) == address(huge) and view.nbytes == 2 << 30
    assert after - before < 64 << 10  # KiB


def test_an_array_keeps_what_it_was_made_of_and_no_longer() -> None:
    class Held(np.ndarray):
        pass

    given = np.arange(4.0).view(Held)
    gone = weakref.ref(given)
    view = np.asarray(Array(given))
    del given
    gc.collect()
    assert gone() is not None and view[3] == 3.0
    del view
    gc.collect()
    assert gone() is None


def test_a_hundred_thousand_crossings_leave_nothing_behind() -> None:
    given = np.arange(256, dtype="float32")

    def cross(times: int) -> None:
        for _ in range(times):
            array = Array(given)
            array.numpy()
            np.asarray(array)
            np.from_dlpack(array)
            array.__dlpack__()
            _core.metric_value("x", [1, 2.5])

    cross(1000)
    references = sys.getrefcount(given)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cross(100_000)
    assert sys.getrefcount(given) == references
    # 100,000 leaked objects of the smallest kind would be more than this.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 3 << 10  # KiB


def test_bytes_and_buffers_are_arrays_too() -> None:
    import array as standard

    assert np.array_equal(Array(b"\x01\x02").numpy(), np.array([1, 2], "uint8"))
    assert np.array_equal(Array(standard.array("d", [1.5, 2.5])).numpy(), [1.5, 2.5])
    assert Array(np.float32(2.5)).shape == () and Array(np.float32(2.5)).numpy() == 2.5


def test_the_form_of_dtype_shape_and_npy_bytes_is_read_and_written() -> None:
    given = some("float32")
    array = Array(given)
    again = Array(array.dtype, array.shape, array.stype, array.data)
    named = Array(dtype=array.dtype, shape=array.shape, stype=array.stype, data=array.data)
    assert again == array and named == array
    with pytest.raises(umbel.InvalidArgument, match=r"float32\[3,5\], expected float64\[3,5\]"):
        Array("float64", array.shape, array.stype, array.data)
    with pytest.raises(umbel.InvalidArgument, match="stype"):
        Array("float32", array.shape, "pickle", array.data)


def test_bfloat16_is_never_taken_for_integers() -> None:
    array = Array("bfloat16", (2,), "elements", b"\x80\x3f\x00\x40")
    assert (array.dtype, array.nbytes, array.size) == ("bfloat16", 4, 2)
    for take in (np.asarray, np.array, lambda a: a.numpy(), lambda a: a.numpy(copy=False)):
        with pytest.raises(umbel.WrongType, match="torch.from_dlpack"):
            take(array)
    with pytest.raises(BufferError, match="bfloat16"):
        memoryview(array)
    assert pickle.loads(pickle.dumps(array)) == array


def test_copies_by_pickle_are_equal() -> None:
    array = Array(some("complex64"))
    assert pickle.loads(pickle.dumps(array)) == array
    assert array != Array(some("complex64", (5, 3))) and array != 3


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.array(["a"]), "<U1"),
        (np.zeros(2, object), "object"),
        (np.zeros(2, "M8[s]"), r"datetime64\[s\]"),
        (np.zeros(2, "longdouble"), "longdouble|float128"),
        (np.zeros(2, [("a", "f4")]), "f4"),
        ([1.0, 2.0], "list"),
        ("text", "str"),
        (None, "NoneType"),
        (3, "int"),
    ],
)
def test_what_is_no_array_of_numbers_is_named(value: object, words: str) -> None:
    with pytest.raises(umbel.WrongType, match=words) as raised:
        Array(value)
    assert isinstance(raised.value, TypeError) and isinstance(raised.value, umbel.Error)


def test_wrong_ways_of_making_one_are_refused() -> None:
    for arguments in [(), (np.zeros(1), np.zeros(1)), (1, 2, 3)]:
        with pytest.raises(umbel.WrongType):
            Array(*arguments)


def test_other_threads_run_while_an_array_is_copied() -> None:
    large = Array(np.ones(1 << 27, "uint8"))
    count, stop = [0], threading.Event()

    def compute() -> None:
        while not stop.is_set():
            count[0] += 1

    before = sys.getswitchinterval()
    sys.setswitchinterval(1)  # far longer than the copy takes: who has the GIL keeps it meanwhile
    thread = threading.Thread(target=compute)
    thread.start()
    try:
        start = count[0]
        large.numpy()
        assert count[0] > start
    finally:
        stop.set()
        sys.setswitchinterval(before)
        thread.join()

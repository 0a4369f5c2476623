"""frameworks_here.py FRAMEWORK|threads|warning: what test_frameworks.py runs in a framework's environment.

Every dtype that the framework and the core share, NaNs with their payloads among them, crosses both
ways bit by bit; from PyTorch, whose tensors say where their memory is, without a copy.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from umbel.app import Array, ArrayRecord

REALS = {"float16": "uint16", "bfloat16": "uint16", "float32": "uint32", "float64": "uint64"}
OTHERS = ["int8", "int16", "int32", "int64", "uint8", "bool", "complex64", "complex128"]


def bits(count: int, item: int) -> np.ndarray:
    """Any bits; the first few elements are NaNs with payloads, quiet ones."""
    return np.frombuffer(np.random.default_rng(3).bytes(count * item), f"uint{8 * item}").copy()


def raw(array: Array) -> bytes:
    return array.__reduce__()[1][3]


def torch_side() -> None:
    import torch

    for name in [*REALS, *OTHERS, "uint16", "uint32", "uint64"]:
        dtype = getattr(torch, name)
        item = torch.empty(0, dtype=dtype).element_size()
        data = bits(24 * item, 1)
        data = data & 1 if name == "bool" else data
        tensor = torch.frombuffer(bytearray(data.tobytes()), dtype=dtype).reshape(4, 6)
        array = Array(tensor)
        assert array.dtype == name and array.shape == (4, 6), array
        assert raw(array) == data.tobytes(), name
        assert torch.from_dlpack(array).data_ptr() == tensor.data_ptr(), name
        back = ArrayRecord({"w": tensor}).to_torch_state_dict()["w"]
        assert back.dtype == dtype and back.shape == tensor.shape
        assert raw(Array(back)) == data.tobytes(), name
        assert back.data_ptr() != tensor.data_ptr()
        back.zero_()
        assert raw(array) == data.tobytes(), name  # a tensor of one's own
        assert raw(Array(tensor.t())) == raw(Array(tensor.t().contiguous())), name
        assert raw(Array(torch.from_dlpack(array))) == data.tobytes(), name
    weight = torch.nn.Linear(3, 2).weight  # gradients flow into it
    assert np.array_equal(Array(weight).numpy(), weight.detach().numpy())
    state = torch.nn.BatchNorm1d(3).state_dict()
    other = torch.nn.BatchNorm1d(3)
    other.load_state_dict(ArrayRecord(state).to_torch_state_dict())
    assert ArrayRecord(other.state_dict()) == ArrayRecord(state)
    assert ArrayRecord(state)["num_batches_tracked"].shape == ()
    for wrong in (torch.zeros(2, device="meta"), torch.zeros(2).to_sparse()):
        try:
            Array(wrong)
        except Exception as error:
            assert "Array" in str(error) or isinstance(error, (TypeError, BufferError, RuntimeError))
        else:
            raise AssertionError(f"{wrong} became an Array")


def served(query: Any, main: Any, **options: Any) -> None:
    from umbel.clientapp import ClientApp
    from umbel.serverapp import ServerApp
    from umbel.simulation import run_simulation

    client, server = ClientApp(), ServerApp()
    client.query()(query)
    server.main()(main)
    run_simulation(server, client, 1, **options)


def threads() -> None:
    """A client's sums are rounded alike here and in workers; the server keeps its threads."""
    import torch

    from umbel.app import Message, MetricRecord, RecordDict

    got: dict[int, RecordDict] = {}

    def query(message: Message, context: Any) -> Message:
        sums = torch.rand(1_000_003).sum().reshape(1), torch.rand(300, 300) @ torch.rand(300, 300)
        used = MetricRecord({"threads": torch.get_num_threads()})
        content = RecordDict({"sums": ArrayRecord(list(map(np.asarray, sums))), "used": used})
        return Message(content, reply_to=message)

    def main(grid: Any, context: Any) -> None:
        (reply,) = grid.send_and_receive([Message(RecordDict(), 0, "query")])
        assert torch.get_num_threads() == 3
        got[context.run_config["workers"]] = reply.content

    torch.set_num_threads(3)
    for workers in (0, 1):
        served(query, main, workers=workers, run_config={"workers": workers})
    assert got[0] == got[1] and got[0]["used"]["threads"] == 1, got
    assert torch.get_num_threads() == 3


def warning() -> None:
    """TensorFlow's threads, once they are at work, are told of, once."""
    import logging

    import tensorflow as tf

    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("umbel").addHandler(handler)

    def query(message: Any, context: Any) -> Any:
        raise ValueError("nothing")

    def main(grid: Any, context: Any) -> None:
        pass

    served(query, main, workers=0)
    assert not said, said
    tf.constant([1.0]) + 1
    for _ in range(2):
        served(query, main, workers=0)
    assert len(said) == 1 and "TF_NUM_INTRAOP_THREADS=1" in said[0], said


def jax_side() -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp

    for name in [*REALS, *OTHERS]:
        dtype = jnp.dtype(name)
        data = bits(24 * dtype.itemsize, 1)
        data = data & 1 if name == "bool" else data
        given = jnp.asarray(data.view(dtype).reshape(4, 6))
        array = Array(given)
        assert array.dtype == name and array.shape == (4, 6), array
        assert raw(array) == np.asarray(given).tobytes() == data.tobytes(), name
        back = jnp.asarray(array.numpy())
        assert back.dtype == dtype and np.asarray(back).tobytes() == data.tobytes(), name
        assert raw(Array(jnp.from_dlpack(array))) == data.tobytes(), name


def tensorflow_side() -> None:
    import tensorflow as tf

    for name in [*REALS, *OTHERS, "uint16", "uint32", "uint64"]:
        dtype: Any = getattr(tf, name)
        item = dtype.size
        data = bits(24 * item, 1)
        data = data & 1 if name == "bool" else data
        given = tf.constant(data.view(dtype.as_numpy_dtype).reshape(4, 6))
        array = Array(given)
        assert array.dtype == name and array.shape == (4, 6), array
        assert raw(array) == given.numpy().tobytes() == data.tobytes(), name
        back = tf.constant(array.numpy())
        assert back.dtype == dtype and back.numpy().tobytes() == data.tobytes(), name
    variable = tf.Variable([1.0, 2.0])
    assert np.array_equal(Array(variable.numpy()).numpy(), [1.0, 2.0])


def bfloat16_has_no_numpy_dtype() -> None:
    """Before anything imports ml_dtypes."""
    array = Array("bfloat16", (2,), "elements", b"\x80\x3f\x00\x40")
    try:
        array.numpy()
    except _core_error() as error:
        assert "torch.from_dlpack" in str(error)
    else:
        raise AssertionError("an ndarray of bfloat16")


def _core_error() -> type[Exception]:
    import umbel

    return umbel.WrongType


if __name__ == "__main__":
    assert "ml_dtypes" not in sys.modules
    bfloat16_has_no_numpy_dtype()
    sides = {"torch": torch_side, "jax": jax_side, "tensorflow": tensorflow_side}
    {**sides, "threads": threads, "warning": warning}[sys.argv[1]]()
    print("equal")

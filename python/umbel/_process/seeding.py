"""The global random numbers of the libraries that an app uses."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Iterator
from typing import Any


def seed_all(seed: int) -> None:
    """Seeds random, NumPy's legacy generator, PyTorch and TensorFlow where they are imported.

    Args:
        seed: 0 to 2**64 - 1.
    """
    random.seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed & 0xFFFFFFFF)
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "manual_seed"):
        _seed_torch(torch, seed & 0x7FFFFFFFFFFFFFFF)
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None and hasattr(tensorflow, "random"):
        tensorflow.random.set_seed(seed & 0x7FFFFFFF)


def _seed_torch(torch: Any, seed: int) -> None:
    # manual_seed() queues seeds for devices that are not in use yet, each with a traceback: a hundred
    # microseconds, which a build for the processor alone can do without.
    if any(getattr(torch.version, kind, None) for kind in ("cuda", "hip", "xpu")):
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


@contextlib.contextmanager
def states_kept() -> Iterator[None]:
    """Gives random, NumPy's legacy generator and PyTorch back their states at the end.

    For clients in the process of the ServerApp, whose own random numbers go on as they would
    without them; TensorFlow's cannot be told.
    """
    numpy: Any = sys.modules.get("numpy")
    torch: Any = sys.modules.get("torch")
    python_state = random.getstate()
    numpy_state = numpy.random.get_state() if hasattr(numpy, "random") else None
    torch_state = torch.get_rng_state() if hasattr(torch, "get_rng_state") else None
    try:
        yield
    finally:
        random.setstate(python_state)
        if numpy_state is not None:
            numpy.random.set_state(numpy_state)
        if torch_state is not None:
            torch.set_rng_state(torch_state)

"""The global random numbers of the libraries that an app uses."""

from __future__ import annotations

import random
import sys


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
        torch.manual_seed(seed & 0x7FFFFFFFFFFFFFFF)
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None and hasattr(tensorflow, "random"):
        tensorflow.random.set_seed(seed & 0x7FFFFFFF)

"""flwr.common.parameter: NumPy arrays to Parameters and back."""

from __future__ import annotations

import numpy as np

from umbel.app import ArrayRecord

from .typing import NDArray, NDArrays, Parameters, to_bytes, to_ndarray

__all__ = ["bytes_to_ndarray", "ndarray_to_bytes", "ndarrays_to_parameters",
           "parameters_to_ndarrays"]


def ndarrays_to_parameters(ndarrays: NDArrays) -> Parameters:
    """The arrays as they are now, in a copy."""
    return Parameters.of_record(ArrayRecord([np.array(array) for array in ndarrays]))


def parameters_to_ndarrays(parameters: Parameters) -> NDArrays:
    """The arrays, in a copy of the caller's own."""
    arrays: NDArrays = [np.array(array.numpy(copy=False))
                         for array in parameters.record().values()]
    return arrays


def ndarray_to_bytes(ndarray: NDArray) -> bytes:
    """The array as .npy."""
    return to_bytes(ndarray)


def bytes_to_ndarray(tensor: bytes) -> NDArray:
    """The array of .npy bytes; nothing is unpickled."""
    return to_ndarray(tensor)

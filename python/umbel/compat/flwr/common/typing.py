"""flwr.common.typing: the types of apps with Client and Strategy."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from umbel.app import ArrayRecord, UserConfig, UserConfigValue

NDArray = npt.NDArray[Any]
NDArrayInt = npt.NDArray[np.int_]
NDArrayFloat = npt.NDArray[np.float64]
NDArrays = list[NDArray]

Scalar = Union[bool, bytes, float, int, str]
Value = Union[bool, bytes, float, int, str, "list[bool]", "list[bytes]", "list[float]", "list[int]",
              "list[str]"]
Metrics = dict[str, Scalar]
MetricsAggregationFn = Callable[["list[tuple[int, Metrics]]"], Metrics]
Config = dict[str, Scalar]
Properties = dict[str, Scalar]


class Code(Enum):
    """How a client fared."""

    OK = 0
    GET_PROPERTIES_NOT_IMPLEMENTED = 1
    GET_PARAMETERS_NOT_IMPLEMENTED = 2
    FIT_NOT_IMPLEMENTED = 3
    EVALUATE_NOT_IMPLEMENTED = 4


@dataclass
class Status:
    """How a client fared, in a code and in words."""

    code: Code
    message: str


class Parameters:
    """A model as a list of serialised arrays, .npy each.

    Made of an ArrayRecord the bytes exist once somebody asks for them; until then nothing is
    copied.
    """

    def __init__(self, tensors: list[bytes], tensor_type: str) -> None:
        self._tensors: list[bytes] | None = tensors
        self._record: ArrayRecord | None = None
        self.tensor_type = tensor_type

    @classmethod
    def of_record(cls, record: ArrayRecord) -> Parameters:
        """The arrays of a record, in its order."""
        parameters = cls([], "numpy.ndarray")
        parameters._tensors, parameters._record = None, record
        return parameters

    def record(self) -> ArrayRecord:
        """The arrays, named "0", "1", ... unless they came with names."""
        if self._record is not None:
            return self._record
        return ArrayRecord([to_ndarray(tensor) for tensor in self._tensors or []])

    @property
    def tensors(self) -> list[bytes]:
        """The arrays' bytes."""
        if self._tensors is None:
            assert self._record is not None
            self._tensors = [to_bytes(array.numpy(copy=False)) for array in self._record.values()]
            self._record = None  # from now on the list counts, which the caller may change
        return self._tensors

    @tensors.setter
    def tensors(self, value: list[bytes]) -> None:
        self._tensors, self._record = value, None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Parameters):
            return NotImplemented
        return (self.tensors, self.tensor_type) == (other.tensors, other.tensor_type)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        count = len(self._record if self._tensors is None and self._record else self._tensors or [])
        return f"Parameters({count} tensors, tensor_type={self.tensor_type!r})"


def to_bytes(ndarray: NDArray) -> bytes:
    """An array as .npy; no objects, so nothing is pickled."""
    file = io.BytesIO()
    np.save(file, ndarray, allow_pickle=False)
    return file.getvalue()


def to_ndarray(tensor: bytes) -> NDArray:
    """The array of .npy bytes."""
    array: NDArray = np.load(io.BytesIO(tensor), allow_pickle=False)
    return array


@dataclass
class GetParametersIns:
    """Asks a client for its parameters."""

    config: Config


@dataclass
class GetParametersRes:
    """A client's parameters."""

    status: Status
    parameters: Parameters


@dataclass
class FitIns:
    """Asks a client to train."""

    parameters: Parameters
    config: dict[str, Scalar]


@dataclass
class FitRes:
    """What a client trained."""

    status: Status
    parameters: Parameters
    num_examples: int
    metrics: dict[str, Scalar]


@dataclass
class EvaluateIns:
    """Asks a client to evaluate."""

    parameters: Parameters
    config: dict[str, Scalar]


@dataclass
class EvaluateRes:
    """What a client measured."""

    status: Status
    loss: float
    num_examples: int
    metrics: dict[str, Scalar]


@dataclass
class GetPropertiesIns:
    """Asks a client what it is like."""

    config: Config


@dataclass
class GetPropertiesRes:
    """What a client is like."""

    status: Status
    properties: Properties


@dataclass
class ReconnectIns:
    """Asks a client to come back later."""

    seconds: int | None


@dataclass
class DisconnectRes:
    """Why a client leaves."""

    reason: str


@dataclass
class ServerMessage:
    """One instruction."""

    get_properties_ins: GetPropertiesIns | None = None
    get_parameters_ins: GetParametersIns | None = None
    fit_ins: FitIns | None = None
    evaluate_ins: EvaluateIns | None = None


@dataclass
class ClientMessage:
    """One result."""

    get_properties_res: GetPropertiesRes | None = None
    get_parameters_res: GetParametersRes | None = None
    fit_res: FitRes | None = None
    evaluate_res: EvaluateRes | None = None


__all__ = [
    "ClientMessage",
    "Code",
    "Config",
    "DisconnectRes",
    "EvaluateIns",
    "EvaluateRes",
    "FitIns",
    "FitRes",
    "GetParametersIns",
    "GetParametersRes",
    "GetPropertiesIns",
    "GetPropertiesRes",
    "Metrics",
    "MetricsAggregationFn",
    "NDArray",
    "NDArrayFloat",
    "NDArrayInt",
    "NDArrays",
    "Parameters",
    "Properties",
    "ReconnectIns",
    "Scalar",
    "ServerMessage",
    "Status",
    "UserConfig",
    "UserConfigValue",
    "Value",
]

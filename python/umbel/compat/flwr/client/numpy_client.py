"""flwr.client.numpy_client: clients whose parameters are lists of NumPy arrays."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import Any

import numpy as np

from umbel._errors import WrongType
from umbel.app import Context

from .._absent import names
from ..common.parameter import ndarrays_to_parameters, parameters_to_ndarrays
from ..common.typing import (
    Code,
    Config,
    EvaluateIns,
    EvaluateRes,
    FitIns,
    FitRes,
    GetParametersIns,
    GetParametersRes,
    GetPropertiesIns,
    GetPropertiesRes,
    NDArrays,
    Scalar,
    Status,
)
from .client import Client

_OK = Status(Code.OK, "")


class NumPyClient(ABC):
    """A client whose parameters are lists of NumPy arrays; override what it can do."""

    context: Context

    def get_properties(self, config: Config) -> dict[str, Scalar]:
        """What the client is like."""
        return {}

    def get_parameters(self, config: dict[str, Scalar]) -> NDArrays:
        """The client's own parameters."""
        return []

    def fit(self, parameters: NDArrays, config: dict[str, Scalar]
            ) -> tuple[NDArrays, int, dict[str, Scalar]]:
        """Trains the parameters; returns them, the number of examples, and metrics."""
        return [], 0, {}

    def evaluate(self, parameters: NDArrays, config: dict[str, Scalar]
                 ) -> tuple[float, int, dict[str, Scalar]]:
        """Evaluates the parameters; returns the loss, the number of examples, and metrics."""
        return 0.0, 0, {}

    def get_context(self) -> Context:
        """Where the call finds itself; what is put in its state is there at the next message."""
        return self.context

    def set_context(self, context: Context) -> None:
        """Called before each message."""
        self.context = context

    def to_client(self) -> Client:
        """The same as a Client."""
        return NumPyClientWrapper(self)


class NumPyClientWrapper(Client):
    """A Client of a NumPyClient's methods, of those that it overrides."""

    def __init__(self, numpy_client: NumPyClient) -> None:
        self.numpy_client = numpy_client

    def _has(self, method: str) -> bool:
        return getattr(type(self.numpy_client), method, None) is not getattr(NumPyClient, method)

    def set_context(self, context: Context) -> None:
        super().set_context(context)
        self.numpy_client.set_context(context)

    def get_properties(self, ins: GetPropertiesIns) -> GetPropertiesRes:
        if not self._has("get_properties"):
            return super().get_properties(ins)
        return GetPropertiesRes(_OK, self.numpy_client.get_properties(config=ins.config))

    def get_parameters(self, ins: GetParametersIns) -> GetParametersRes:
        if not self._has("get_parameters"):
            return super().get_parameters(ins)
        arrays = self.numpy_client.get_parameters(config=ins.config)
        return GetParametersRes(_OK, ndarrays_to_parameters(arrays))

    def fit(self, ins: FitIns) -> FitRes:
        if not self._has("fit"):
            return super().fit(ins)
        got = self.numpy_client.fit(parameters_to_ndarrays(ins.parameters), ins.config)
        arrays, examples, metrics = _three(got, "fit", "(list of ndarrays, int, dict)")
        if not isinstance(arrays, Sequence):
            raise WrongType(f"fit returned {type(arrays).__name__} for the parameters, expected a "
                            "list of ndarrays")
        return FitRes(_OK, ndarrays_to_parameters(list(arrays)), examples, metrics)

    def evaluate(self, ins: EvaluateIns) -> EvaluateRes:
        if not self._has("evaluate"):
            return super().evaluate(ins)
        got = self.numpy_client.evaluate(parameters_to_ndarrays(ins.parameters), ins.config)
        loss, examples, metrics = _three(got, "evaluate", "(float, int, dict)")
        if isinstance(loss, bool) or not isinstance(loss, (int, float, np.number)):
            raise WrongType(f"evaluate returned {type(loss).__name__} for the loss, expected a "
                            "float")
        return EvaluateRes(_OK, float(loss), examples, metrics)


def _three(got: Any, method: str, expected: str) -> tuple[Any, int, dict[str, Scalar]]:
    if not isinstance(got, tuple) or len(got) != 3:
        raise WrongType(f"{method} returned {_shape(got)}, expected {expected}")
    first, examples, metrics = got
    if isinstance(examples, bool) or not isinstance(examples, (int, np.integer)):
        raise WrongType(f"{method} returned {type(examples).__name__} for the number of examples, "
                        "expected an int")
    if not isinstance(metrics, dict):
        raise WrongType(f"{method} returned {type(metrics).__name__} for the metrics, expected a "
                        "dict")
    return first, int(examples), metrics


def _shape(got: Any) -> str:
    return f"a tuple of {len(got)}" if isinstance(got, tuple) else type(got).__name__


__all__ = ["NumPyClient", "NumPyClientWrapper"]

__getattr__ = names(__name__, __all__)

"""flwr.client.client: clients that speak in instructions and results."""

from __future__ import annotations

from abc import ABC

from umbel.app import Context

from .._absent import names
from ..common.typing import (
    Code,
    EvaluateIns,
    EvaluateRes,
    FitIns,
    FitRes,
    GetParametersIns,
    GetParametersRes,
    GetPropertiesIns,
    GetPropertiesRes,
    Parameters,
    Status,
)


def _missing(code: Code, method: str) -> Status:
    return Status(code, f"the client has no {method}()")


class Client(ABC):
    """A client that gets instructions and gives results; override what it can do."""

    context: Context

    def get_properties(self, ins: GetPropertiesIns) -> GetPropertiesRes:
        """What the client is like."""
        return GetPropertiesRes(
            _missing(Code.GET_PROPERTIES_NOT_IMPLEMENTED, "get_properties"), {})

    def get_parameters(self, ins: GetParametersIns) -> GetParametersRes:
        """The client's own parameters."""
        return GetParametersRes(
            _missing(Code.GET_PARAMETERS_NOT_IMPLEMENTED, "get_parameters"), Parameters([], ""))

    def fit(self, ins: FitIns) -> FitRes:
        """Trains the parameters on the client's data."""
        return FitRes(_missing(Code.FIT_NOT_IMPLEMENTED, "fit"), Parameters([], ""), 0, {})

    def evaluate(self, ins: EvaluateIns) -> EvaluateRes:
        """Evaluates the parameters on the client's data."""
        return EvaluateRes(_missing(Code.EVALUATE_NOT_IMPLEMENTED, "evaluate"), 0.0, 0, {})

    def get_context(self) -> Context:
        """Where the call finds itself; what is put in its state is there at the next message."""
        return self.context

    def set_context(self, context: Context) -> None:
        """Called before each message."""
        self.context = context

    def to_client(self) -> Client:
        """Itself."""
        return self


__all__ = ["Client"]

__getattr__ = names(__name__, __all__)

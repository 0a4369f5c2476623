"""flwr.server.strategy.strategy: what every strategy of that API is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Union

from ...common.typing import (
    EvaluateIns,
    EvaluateRes,
    FitIns,
    FitRes,
    Parameters,
    Scalar,
)
from ..client_manager import ClientManager
from ..client_proxy import ClientProxy

Failures = list[Union[tuple[ClientProxy, Any], BaseException]]


class Strategy(ABC):
    """Whom to ask in a round, what to make of the results; parameters are lists of arrays."""

    @abstractmethod
    def initialize_parameters(self, client_manager: ClientManager) -> Parameters | None:
        """The model to begin with; None: one client is asked for its own."""

    @abstractmethod
    def configure_fit(self, server_round: int, parameters: Parameters,
                      client_manager: ClientManager) -> list[tuple[ClientProxy, FitIns]]:
        """Who trains in this round, and with what."""

    @abstractmethod
    def aggregate_fit(self, server_round: int, results: list[tuple[ClientProxy, FitRes]],
                      failures: Failures) -> tuple[Parameters | None, dict[str, Scalar]]:
        """The next model and the metrics of this round's training."""

    @abstractmethod
    def configure_evaluate(self, server_round: int, parameters: Parameters,
                           client_manager: ClientManager) -> list[tuple[ClientProxy, EvaluateIns]]:
        """Who evaluates in this round, and with what."""

    @abstractmethod
    def aggregate_evaluate(self, server_round: int, results: list[tuple[ClientProxy, EvaluateRes]],
                           failures: Failures) -> tuple[float | None, dict[str, Scalar]]:
        """The loss and the metrics of this round's evaluation."""

    @abstractmethod
    def evaluate(self, server_round: int, parameters: Parameters
                 ) -> tuple[float, dict[str, Scalar]] | None:
        """The server's own evaluation of the model."""

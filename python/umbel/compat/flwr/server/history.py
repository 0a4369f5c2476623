"""flwr.server.history: what was measured, round by round."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class History:
    """Losses as (round, loss), metrics by name as lists of (round, value)."""

    losses_distributed: list[tuple[int, float]] = field(default_factory=list)
    losses_centralized: list[tuple[int, float]] = field(default_factory=list)
    metrics_distributed_fit: dict[str, list[tuple[int, Any]]] = field(default_factory=dict)
    metrics_distributed: dict[str, list[tuple[int, Any]]] = field(default_factory=dict)
    metrics_centralized: dict[str, list[tuple[int, Any]]] = field(default_factory=dict)

    def add_loss_distributed(self, server_round: int, loss: float) -> None:
        """The clients' loss."""
        self.losses_distributed.append((server_round, loss))

    def add_loss_centralized(self, server_round: int, loss: float) -> None:
        """The server's loss."""
        self.losses_centralized.append((server_round, loss))

    def add_metrics_distributed_fit(self, server_round: int, metrics: dict[str, Any]) -> None:
        """What clients measured in training."""
        _add(self.metrics_distributed_fit, server_round, metrics)

    def add_metrics_distributed(self, server_round: int, metrics: dict[str, Any]) -> None:
        """What clients measured in evaluation."""
        _add(self.metrics_distributed, server_round, metrics)

    def add_metrics_centralized(self, server_round: int, metrics: dict[str, Any]) -> None:
        """What the server measured."""
        _add(self.metrics_centralized, server_round, metrics)


def _add(to: dict[str, list[tuple[int, Any]]], server_round: int, metrics: dict[str, Any]) -> None:
    for name, value in metrics.items():
        to.setdefault(name, []).append((server_round, value))

"""flwr.server.server_config: what a server_fn returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class ServerConfig:
    """How many rounds, and how many seconds a phase waits for replies; None: until all are in."""

    num_rounds: int = 1
    round_timeout: float | None = None


@dataclass
class ServerAppComponents:
    """What a server_fn returns.

    Attributes:
        server: of one's own: not here, there is one loop of rounds.
        config: how many rounds; by default one.
        strategy: a strategy of flwr.server.strategy; by default FedAvg.
        client_manager: who draws clients; by default a SimpleClientManager.
    """

    server: Any = None
    config: ServerConfig | None = None
    strategy: Any = None
    client_manager: Any = None

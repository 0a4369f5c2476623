"""flwr.server.client_manager: draws clients for a strategy's round."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from umbel import _core

from .client_proxy import ClientProxy
from .criterion import Criterion


class ClientManager(ABC):
    """Who is there, and who is drawn.  Of a run's own kind is SimpleClientManager."""

    @abstractmethod
    def num_available(self) -> int:
        """How many clients there are."""

    @abstractmethod
    def all(self) -> dict[str, ClientProxy]:
        """All clients by their numbers, as texts."""

    @abstractmethod
    def sample(self, num_clients: int, min_num_clients: int | None = None,
               criterion: Criterion | None = None) -> list[ClientProxy]:
        """So many clients, each once."""


class SimpleClientManager(ClientManager):
    """The clients of the run that is under way; draws depend on its seed and the round."""

    def __init__(self) -> None:
        self._grid: Any = None
        self._round = 0
        self._training = True
        self._draws = 0

    def _begin(self, grid: Any, server_round: int, training: bool) -> None:
        self._grid, self._round, self._training, self._draws = grid, server_round, training, 0

    def num_available(self) -> int:
        return 0 if self._grid is None else len(self._grid.get_node_ids())

    def all(self) -> dict[str, ClientProxy]:
        if self._grid is None:
            return {}
        return {str(node): ClientProxy(str(node)) for node in self._grid.get_node_ids()}

    def wait_for(self, num_clients: int, timeout: int = 86400) -> bool:
        """Whether there are so many: a run's clients are there from its start."""
        return self.num_available() >= num_clients

    def sample(self, num_clients: int, min_num_clients: int | None = None,
               criterion: Criterion | None = None) -> list[ClientProxy]:
        """Nobody if fewer than ``min_num_clients`` or ``num_clients`` are there."""
        self._draws += 1
        if max(num_clients, min_num_clients or 0) > self.num_available():
            return []
        if criterion is None and self._draws == 1 and self._round > 0:
            drawn = _core.draw_clients(self._grid, self._grid._context, self._round,
                                       self._training, num_clients)
            return [ClientProxy(str(node)) for node in drawn]
        pool = [client for client in self.all().values()
                if criterion is None or criterion.select(client)]
        if num_clients > len(pool):
            return []
        seed = [self._grid._context.run_seed, self._round, int(self._training), self._draws]
        places = np.random.default_rng(seed).choice(len(pool), size=num_clients, replace=False)
        return [pool[place] for place in sorted(places)]

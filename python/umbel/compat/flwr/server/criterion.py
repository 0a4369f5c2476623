"""flwr.server.criterion: which clients may be drawn."""

from __future__ import annotations

from abc import ABC, abstractmethod

from .client_proxy import ClientProxy


class Criterion(ABC):
    """Which clients may be drawn."""

    @abstractmethod
    def select(self, client: ClientProxy) -> bool:
        """Whether this one may."""

"""flwr.server.client_proxy: a client as strategies see it."""

from __future__ import annotations

from typing import Any


class ClientProxy:
    """A client of the federation: its number, as a text in ``cid``.

    Strategies hand it back beside an instruction; the run carries the messages.
    """

    def __init__(self, cid: str) -> None:
        self.cid = cid
        self.properties: dict[str, Any] = {}

    @property
    def node_id(self) -> int:
        """The client's number."""
        return int(self.cid)

    def __repr__(self) -> str:
        return f"ClientProxy(cid={self.cid!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClientProxy) and other.cid == self.cid

    def __hash__(self) -> int:
        return hash(self.cid)

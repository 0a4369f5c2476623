"""A process of clients, at a SuperNode or for a simulation."""

from __future__ import annotations

from umbel import _core
from umbel._process.client import Answers
from umbel.clientapp import ClientApp


def serve_client(channel: int, app: ClientApp) -> int:
    """Answers the messages that come by a channel until it closes; the exit code."""
    return _core.serve_clients(Answers(app), channel)

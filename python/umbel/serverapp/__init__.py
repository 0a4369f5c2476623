"""What to do with the federation."""

from __future__ import annotations

from umbel.serverapp._grid import Grid
from umbel.serverapp._server_app import ServerApp

__all__ = ["Grid", "ServerApp"]

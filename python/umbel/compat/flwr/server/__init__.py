"""flwr.server: ServerApps that are made of a strategy and a ServerConfig."""

from __future__ import annotations

from typing import Any, NoReturn

from umbel._errors import Unimplemented
from umbel.serverapp import Grid, ServerApp

from .._absent import names
from . import strategy
from .client_manager import ClientManager, SimpleClientManager
from .history import History
from .server_config import ServerAppComponents, ServerConfig

Driver = Grid  # its older name

__all__ = ["ClientManager", "Driver", "Grid", "History", "ServerApp", "ServerAppComponents",
           "ServerConfig", "SimpleClientManager", "start_server", "strategy"]


def start_server(*args: Any, **kwargs: Any) -> NoReturn:
    """Not here: it waited for clients by gRPC."""
    raise Unimplemented("flwr.server.start_server is not in Umbel: make it app = ServerApp("
                        "server_fn=...) and start the app with `umbel run`; `umbel-superlink` is "
                        "the hub that sites connect to")


_OTHER_LOOP = "override a strategy, or write the rounds yourself in @app.main()"

__getattr__ = names(__name__, __all__, {
    "Server": f"there is one loop of rounds: {_OTHER_LOOP}",
    "LegacyContext": f"it belongs to workflows: {_OTHER_LOOP}",
    "workflow": f"there are no workflows: {_OTHER_LOOP}",
})

"""flwr.client: clients with fit() and evaluate(), and the ClientApp that carries them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from umbel._errors import Unimplemented
from umbel.app import Context
from umbel.clientapp import ClientApp

from .._absent import names
from . import mod
from .client import Client
from .numpy_client import NumPyClient

ClientFn = Callable[[str], Client]
ClientFnExt = Callable[[Context], Client]

__all__ = ["Client", "ClientApp", "ClientFn", "ClientFnExt", "NumPyClient", "mod", "start_client",
           "start_numpy_client"]


def start_client(*args: Any, **kwargs: Any) -> NoReturn:
    """Not here: it connected to a server by gRPC."""
    raise Unimplemented("flwr.client.start_client is not in Umbel: make it app = ClientApp("
                        "client_fn) and start the app with `umbel run`; sites connect by "
                        "`umbel-supernode`")


def start_numpy_client(*args: Any, **kwargs: Any) -> NoReturn:
    """Not here: it connected to a server by gRPC."""
    raise Unimplemented("flwr.client.start_numpy_client is not in Umbel: make it app = ClientApp("
                        "client_fn) and start the app with `umbel run`; sites connect by "
                        "`umbel-supernode`")


__getattr__ = names(__name__, __all__)

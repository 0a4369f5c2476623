"""The older form of apps: ClientApp(client_fn=...), ServerApp(server_fn=...).

umbel.clientapp and umbel.serverapp call these; apps of that form need nothing from here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from umbel._errors import InvalidArgument, WrongType
from umbel.app import Context, Message


@functools.lru_cache(maxsize=16)
def action_of(client_fn: Callable[..., Any]) -> Callable[[Message, Context], Message]:
    """The action for every message type: makes a client for the message and lets it answer."""
    from ._clients import handle, maker
    make = maker(client_fn)

    def action(message: Message, context: Context) -> Message:
        return handle(make(context), message)
    return action


def main_of(server: Any, config: Any, strategy: Any, client_manager: Any,
            server_fn: Callable[[Context], Any] | None) -> Callable[[Any, Context], None]:
    """The main function of a ServerApp that was given these.

    Raises:
        InvalidArgument: for a server_fn together with what it is to return.
    """
    from .flwr.server.server_config import ServerAppComponents
    given = ServerAppComponents(server, config, strategy, client_manager)
    if server_fn is not None and given != ServerAppComponents():
        raise InvalidArgument("ServerApp: server_fn and what it is to return are both given")

    def main(grid: Any, context: Context) -> None:
        from ._servers import run
        components = server_fn(context) if server_fn is not None else given
        if not isinstance(components, ServerAppComponents):
            raise WrongType(f"server_fn returned {type(components).__name__}, expected "
                            "ServerAppComponents")
        run(grid, components)
    return main

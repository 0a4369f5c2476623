"""flwr.clientapp.typing."""

from __future__ import annotations

from collections.abc import Callable

from umbel.app import Context, Message

ClientAppCallable = Callable[[Message, Context], Message]
Mod = Callable[[Message, Context, ClientAppCallable], Message]

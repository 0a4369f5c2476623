from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from umbel._errors import InvalidArgument, NotFound, WrongType
from umbel.app import Context, Message, MessageType

Action = Callable[[Message, Context], Message]
# Sees the message on its way in and the reply on its way out; its third argument is the rest.
Mod = Callable[[Message, Context, Action], Message]

_DEFAULT = "default"


class UnknownAction(NotFound):
    """The app has nothing registered for the message's type."""


class ClientApp:
    """Actions by message type, and mods around them.

    ::

        app = ClientApp()

        @app.train()
        def train(message: Message, context: Context) -> Message:
            ...
            return Message(content, reply_to=message)

    An action is called for one client at a time in a process, with a context of its own.  Before
    each call the global random numbers of random, NumPy, PyTorch and TensorFlow are seeded from
    ``context.seed``, so that results do not depend on which process has the client.

    Args:
        client_fn: the older form: a function of a Context that gives a NumPyClient's client.
        mods: functions of (message, context, call_next), the first outermost, around all actions.
    """

    def __init__(
        self,
        client_fn: Callable[[Context], Any] | None = None,
        mods: list[Mod] | None = None,
    ) -> None:
        self._mods: list[Mod] = list(mods or [])
        self._actions: dict[str, Action] = {}
        self._functions: dict[str, Action] = {}  # as they were given, without mods
        self._lifespan: Callable[[Context], AbstractContextManager[None]] | None = None
        self._client_fn = client_fn
        for mod in self._mods:
            _require_callable(mod, "ClientApp: a mod")
        if client_fn is not None:
            _require_callable(client_fn, "ClientApp: client_fn")

    def train(
        self, action: str = _DEFAULT, *, mods: list[Mod] | None = None
    ) -> Callable[[Action], Action]:
        """Registers the action for "train", or with a name for "train.NAME".

        The same function defined anew, as by a notebook's cell that is run again, replaces the
        earlier one.

        Args:
            action: the name, without a dot.
            mods: around this action alone, inside the app's.

        Raises:
            umbel.InvalidArgument: for a type that has another action already.
        """
        return self._register(MessageType.TRAIN, action, mods)

    def evaluate(
        self, action: str = _DEFAULT, *, mods: list[Mod] | None = None
    ) -> Callable[[Action], Action]:
        """Registers the action for "evaluate", or with a name for "evaluate.NAME"; as train()."""
        return self._register(MessageType.EVALUATE, action, mods)

    def query(
        self, action: str = _DEFAULT, *, mods: list[Mod] | None = None
    ) -> Callable[[Action], Action]:
        """Registers the action for "query", or with a name for "query.NAME"; as train()."""
        return self._register(MessageType.QUERY, action, mods)

    def lifespan(
        self,
    ) -> Callable[[Callable[[Context], Iterator[None]]], Callable[[Context], Iterator[None]]]:
        """Registers a generator around each message: what is before its yield, and what after."""

        def register(function: Callable[[Context], Iterator[None]]) -> Any:
            self._lifespan = contextmanager(function)
            return function

        return register

    def _register(
        self, kind: str, action: str, mods: list[Mod] | None
    ) -> Callable[[Action], Action]:
        if callable(action):
            raise WrongType(f"ClientApp: write @app.{kind}() with parentheses")
        if not isinstance(action, str) or not action.isidentifier():
            raise InvalidArgument(
                f'ClientApp: an action\'s name is {action!r}, expected letters, digits and "_"'
            )
        message_type = kind if action == _DEFAULT else f"{kind}.{action}"
        if self._client_fn is not None:
            raise InvalidArgument("ClientApp: it has a client_fn: leave that out, or the actions")

        def register(function: Action) -> Action:
            _require_callable(function, f'ClientApp: the action for "{message_type}"')
            there = self._functions.get(message_type)
            if there is not None and not defined_anew(there, function):
                raise InvalidArgument(
                    f'ClientApp has an action for "{message_type}" already, '
                    f"{_name(there)}: give {_name(function)} a name of its own, @app.{kind}(NAME)"
                )
            self._functions[message_type] = function
            self._actions[message_type] = _wrapped(function, mods or [])
            return function

        return register

    @property
    def actions(self) -> list[str]:
        """The message types that it has actions for."""
        if self._client_fn is not None:
            return [MessageType.TRAIN, MessageType.EVALUATE, MessageType.QUERY]
        return list(self._actions)

    def __call__(self, message: Message, context: Context) -> Message:
        """The reply to a message; what the action raises comes out.

        Raises:
            UnknownAction: if nothing is registered for the message's type.
        """
        action = _wrapped(self._action_for(message.metadata.message_type), self._mods)
        if self._lifespan is None:
            return action(message, context)
        with self._lifespan(context):
            return action(message, context)

    def _action_for(self, message_type: str) -> Action:
        if self._client_fn is not None:
            from umbel.compat.legacy import action_of

            return action_of(self._client_fn)
        action = self._actions.get(message_type.removesuffix("." + _DEFAULT))
        if action is None:
            there = ", ".join(self._actions) or "none"
            raise UnknownAction(
                f'the ClientApp has no action for "{message_type}"; it has: {there}'
            )
        return action


def defined_anew(function: object, later: object) -> bool:
    """Whether the later one is the same function of the same module, as a cell run again has it."""
    names = [(getattr(f, "__module__", None), getattr(f, "__qualname__", "")) for f in
             (function, later)]  # fmt: skip
    known = bool(names[0][1]) and "<lambda>" not in names[0][1]
    return function is later or (known and names[0] == names[1])


def _name(function: object) -> str:
    name = getattr(function, "__qualname__", "") or type(function).__name__
    return f"{name}()"


def _require_callable(value: object, what: str) -> None:
    if not callable(value):
        raise WrongType(f"{what} is of type {type(value).__name__}, expected a function")


def _wrapped(action: Action, mods: list[Mod]) -> Action:
    """The action with mods around it, the first outermost."""
    for mod in reversed(mods):
        action = _around(mod, action)
    return action


def _around(mod: Mod, inner: Action) -> Action:
    def call(message: Message, context: Context) -> Message:
        return mod(message, context, inner)

    return call

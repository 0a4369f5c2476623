from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

from umbel._errors import FailedPrecondition, InvalidArgument, WrongType
from umbel.app import Context
from umbel.clientapp._client_app import defined_anew
from umbel.serverapp._grid import Grid

Main = Callable[[Grid, Context], None]


class ServerApp:
    """One function, called once per run.

    ::

        app = ServerApp()

        @app.main()
        def main(grid: Grid, context: Context) -> None:
            strategy = FedAvg(fraction_train=0.1)
            result = strategy.start(grid, initial_arrays, num_rounds=3)
            context.save("model.safetensors", result.arrays)

    Args:
        server, config, strategy, client_manager, server_fn: the older form, of umbel.compat.
    """

    def __init__(
        self,
        server: Any = None,
        config: Any = None,
        strategy: Any = None,
        client_manager: Any = None,
        server_fn: Callable[[Context], Any] | None = None,
    ) -> None:
        self._main: Main | None = None
        self._lifespan: Callable[[Context], AbstractContextManager[None]] | None = None
        self._no_twin: str | None = None
        older = (server, config, strategy, client_manager, server_fn)
        if any(part is not None for part in older):
            from umbel.compat.legacy import main_of

            self._main = main_of(*older)

    def main(self) -> Callable[[Main], Main]:
        """Registers the function of (grid, context); the same one defined anew replaces it."""

        def register(function: Main) -> Main:
            if self._main is not None and not defined_anew(self._main, function):
                raise InvalidArgument("ServerApp has another main function already")
            if not callable(function):
                raise WrongType(
                    f"ServerApp: main is of type {type(function).__name__}, expected a function"
                )
            self._main = function
            return function

        return register

    def lifespan(
        self,
    ) -> Callable[[Callable[[Context], Iterator[None]]], Callable[[Context], Iterator[None]]]:
        """Registers a generator around main: what is before its yield, and what after."""

        def register(function: Callable[[Context], Iterator[None]]) -> Any:
            self._lifespan = contextmanager(function)
            return function

        return register

    def no_twin(self, reason: str) -> None:
        """Says why this app has no centralised form, such as data that one client cannot hold."""
        self._no_twin = reason

    def __call__(self, grid: Grid, context: Context) -> None:
        """Runs it; what it raises comes out."""
        if self._main is None:
            raise FailedPrecondition(
                "the ServerApp has no main function: give it one with @app.main()"
            )
        if self._no_twin is not None and context.is_twin:
            raise InvalidArgument(f"the app has no centralised twin: {self._no_twin}")
        if self._lifespan is None:
            _require_done(self._main(grid, context))
            return
        with self._lifespan(context):
            _require_done(self._main(grid, context))


def _require_done(result: object) -> None:
    """Refuses what has not begun to run yet."""
    if isinstance(result, CoroutineType):
        result.close()  # nobody will await it
    if isinstance(result, (CoroutineType, GeneratorType, AsyncGeneratorType)):
        raise WrongType(
            f"ServerApp: main gave a {type(result).__name__}: write it without async and yield"
        )

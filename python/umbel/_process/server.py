"""Runs the user's ServerApp; what goes wrong there becomes words."""

from __future__ import annotations

import os
from collections.abc import Callable

from umbel import _core
from umbel._errors import (
    AlreadyExists,
    Cancelled,
    Error,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    OutOfRange,
    Unimplemented,
    WrongType,
)
from umbel._process.load import end_a_copy_of
from umbel._process.seeding import seed_all
from umbel._process.where import leaves_debugger, line_of, place_of, told
from umbel.app._context import from_native
from umbel.serverapp import Grid, ServerApp

# What a call in the user's code is refused with: where that call is helps.
_OF_A_CALL = (
    WrongType,
    InvalidArgument,
    NotFound,
    FailedPrecondition,
    AlreadyExists,
    OutOfRange,
    Unimplemented,
)


class Main:
    """What the core calls for the run: a function of its grid, its context and the run's id."""

    def __init__(self, app: ServerApp, left: Callable[[], bool] = lambda: False) -> None:
        """
        Args:
            app: the user's.
            left: whether somebody left the debugger in the meantime: the run is stopped then,
                whatever became of its rounds.
        """
        self._app = app
        self._left = left
        self.raised: BaseException | None = None

    def __call__(self, grid: _core.Grid, native: _core.Context, run_id: int) -> None:
        context = from_native(native, run_id, 2**64 - 1)
        process = os.getpid()
        seed_all(context.seed)
        try:
            try:
                self._app(Grid(grid, context), context)
            except SystemExit as error:
                if error.code not in (None, 0):
                    raise
            finally:
                end_a_copy_of(process)
                if self._left():
                    raise Cancelled("the debugger was left")
        except Cancelled as error:
            self.raised = error
            raise
        except Error as error:
            self.raised = error
            told(error, context)
            placed = _with_place(error)
            if placed is None:
                raise
            raise placed from error
        except BaseException as error:  # SystemExit too
            self.raised = error
            if leaves_debugger(error):
                raise Cancelled("the debugger was left") from error
            told(error, context)
            raise Error(line_of(error)) from error


def _with_place(error: Error) -> Error | None:
    """The error with the line of the app's own that it comes from; None if that is not the why."""
    place = place_of(error)
    for kind in _OF_A_CALL:
        if place and isinstance(error, kind):
            return kind(f"{error} ({place})")
    return None

"""Where in the user's own code an exception comes from."""

from __future__ import annotations

import os
import traceback
from types import TracebackType

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def _is_ours(filename: str) -> bool:
    path = os.path.abspath(filename)
    return path.startswith(_PACKAGE + os.sep) or filename.startswith("<frozen importlib")


def _is_of_app(filename: str) -> bool:
    path = os.path.abspath(filename)
    inside = path.startswith(os.getcwd() + os.sep)
    return inside and "site-packages" not in path and not _is_ours(path)


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    return list(traceback.extract_tb(error.__traceback__))


def place_of(error: BaseException) -> str:
    """ "app.py:42 in train": the deepest line of the app itself, or of whatever raised it."""
    frames = _frames(error)
    chosen = [f for f in frames if _is_of_app(f.filename)]
    chosen = chosen or [f for f in frames if not _is_ours(f.filename)]
    if not chosen:
        return ""
    frame = chosen[-1]
    path = os.path.relpath(frame.filename) if _is_of_app(frame.filename) else frame.filename
    name = "" if frame.name == "<module>" else f" in {frame.name}"
    return f"{path}:{frame.lineno}{name}"


def line_of(error: BaseException) -> str:
    """ "ValueError: no data (app.py:42 in train)"."""
    text = str(error).strip().splitlines()
    line = type(error).__name__ + (f": {text[0]}" if text else "")
    place = place_of(error)
    return f"{line} ({place})" if place else line


def shown_traceback(error: BaseException) -> str:
    """The whole traceback, from the first line that is not umbel's own."""
    start: TracebackType | None = error.__traceback__
    while start is not None and _is_ours(start.tb_frame.f_code.co_filename):
        start = start.tb_next
    return "".join(traceback.format_exception(type(error), error, start or error.__traceback__))

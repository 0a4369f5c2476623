"""Where in the user's own code an exception comes from."""

from __future__ import annotations

import os
import sys
import traceback
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from umbel.app import Context

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_CHARACTERS_MAX = 2000  # of a line
FLOWER_APPS = (
    "run `umbel port` on its folder, or keep [tool.flwr.app] in its pyproject.toml without an "
    "umbel.toml"
)


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:
        return "/"  # it is not there any more


# The app may change the working directory, or remove it.
_app_folder = _working_directory()


def app_folder() -> str:
    """The folder whose files are the app's own."""
    return _app_folder


def set_app_folder(folder: str) -> None:
    """Says which files are the app's own; otherwise those below the first working directory."""
    global _app_folder
    _app_folder = folder


def _absolute(filename: str) -> str:
    return os.path.normpath(os.path.join(_app_folder, filename))


def _is_ours(filename: str) -> bool:
    path = _absolute(filename)
    return path.startswith(_PACKAGE + os.sep) or filename.startswith("<frozen importlib")


def _is_of_app(filename: str) -> bool:
    path = _absolute(filename)
    inside = path.startswith(_app_folder.rstrip(os.sep) + os.sep)
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
    path = shown_path(frame.filename) if _is_of_app(frame.filename) else frame.filename
    name = "" if frame.name == "<module>" else f" in {frame.name}"
    return f"{path}:{frame.lineno}{name}"


def shown_path(filename: str) -> str:
    """Relative to the app's folder."""
    return os.path.relpath(_absolute(filename), _app_folder)


def words_of(error: BaseException) -> str:
    """The first line of what it says; a class may have a __str__ of its own, which fails."""
    try:
        lines = str(error).strip().splitlines()
    except Exception as failure:
        return f"its str() raises {type(failure).__name__}"
    return lines[0] if lines else ""


def flower_hint(error: BaseException) -> str:
    """What to do about an import of Flower, where that is why `error` is."""
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    if name is None or name.partition(".")[0] != "flwr" or not str(error).startswith("No module"):
        return ""  # the alias of umbel.compat says itself what it does not have
    return "this app is written for Flower: " + FLOWER_APPS


def line_of(error: BaseException) -> str:
    """ "ValueError: no data (app.py:42 in train)"."""
    text = words_of(error)
    if len(text) > _CHARACTERS_MAX:
        text = text[:_CHARACTERS_MAX] + "..."
    line = type(error).__name__ + (f": {text}" if text else "")
    place = place_of(error)
    line = f"{line} ({place})" if place else line
    hint = flower_hint(error)
    return f"{line}: {hint}" if hint else line


def shown_traceback(error: BaseException) -> str:
    """The whole traceback, from the first line that is not umbel's own."""
    start: TracebackType | None = error.__traceback__
    while start is not None and _is_ours(start.tb_frame.f_code.co_filename):
        start = start.tb_next
    return "".join(traceback.format_exception(type(error), error, start or error.__traceback__))


def told(error: BaseException, context: Context) -> None:
    """Writes the traceback into the run's log, and to the terminal where one debugs the app."""
    text = shown_traceback(error).rstrip()
    context.log(text, "error")
    if os.environ.get("UMBEL_DEBUG") == "1":
        sys.stderr.write(text + "\n")


def leaves_debugger(error: BaseException) -> bool:
    """Whether it is what `q` at pdb's prompt raises."""
    bdb: Any = sys.modules.get("bdb")
    return bdb is not None and isinstance(error, bdb.BdbQuit)

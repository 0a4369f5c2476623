"""Loads an app's objects; what fails is one line that says what to do."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from umbel._process.where import (
    FLOWER_APPS,
    app_folder,
    flower_hint,
    place_of,
    set_app_folder,
    shown_path,
    shown_traceback,
    words_of,
)

# What to install for a module whose package has another name.
_PACKAGES = {
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


class LoadError(Exception):
    """The app cannot be loaded: one line for its user; `details` are for the log."""

    def __init__(self, line: str, details: str = "") -> None:
        super().__init__(line)
        self.details = details


def add_app_folder() -> None:
    """Puts the working directory, and src in it, first on sys.path."""
    here = os.getcwd()
    set_app_folder(here)
    folders = [here]
    if os.path.isdir(os.path.join(here, "src")):
        folders.append(os.path.join(here, "src"))
    sys.path[:] = folders + [path for path in sys.path if path not in (*folders, "")]


def load_object(name: str, kind: type[Any]) -> Any:
    """The object that "package.module:name" is, of class `kind`; LoadError if there is none."""
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise LoadError(f'"{name}": expected MODULE:OBJECT, such as "my_app.server:app"')
    module = _imported(module_name)
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise LoadError(
                f"{module_name} ({_file_of(module)}) has no {part!r}; a {kind.__name__} is "
                f"expected there{_candidates(module, kind)}"
            )
        found = getattr(found, part)
    if not isinstance(found, kind):
        if type(found).__module__.partition(".")[0] == "flwr":
            where = _file_of(module)
            raise LoadError(f"{name} ({where}) is Flower's {kind.__name__}: {FLOWER_APPS}")
        raise LoadError(
            f"{name} ({_file_of(module)}) is of type {type(found).__name__}, expected a "
            f"{kind.__name__}{_candidates(module, kind)}"
        )
    return found


def _file_of(module: Any) -> str:
    path = getattr(module, "__file__", None)
    return shown_path(path) if path else "no file"


def _candidates(module: Any, kind: type[Any]) -> str:
    names = [name for name, value in vars(module).items() if isinstance(value, kind)]
    return f"; there is {', '.join(names)}" if names else ""


def _imported(name: str) -> Any:
    here = os.getpid()
    try:
        module = importlib.import_module(name)
        end_a_copy_of(here)
        return module
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # also SystemExit: nothing of the app may end us silently
        end_a_copy_of(here)
        raise LoadError(_why(name, error), shown_traceback(error)) from error


def _why(name: str, error: BaseException) -> str:
    kind = type(error).__name__
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing and (name == missing or name.startswith(missing + ".")):
        return f"there is no module {missing!r} in {app_folder()}"
    place = place_of(error)
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{shown_path(error.filename)}:{error.lineno}"
    words = words_of(error)
    if isinstance(error, SyntaxError) and error.msg:
        words = error.msg  # without the place, which str() adds
    line = f"cannot import {name}: {kind}: {words}" + (f" ({place})" if place else "")
    if missing and missing.partition(".")[0] == "flwr":
        hint = flower_hint(error)
        line += f": {hint}" if hint else ""
    elif missing:
        top = missing.partition(".")[0]
        package = _PACKAGES.get(top, top)
        line += f": pip install {package} in the environment of {sys.executable}"
    elif isinstance(error, (ImportError, AttributeError)):
        line += _hidden_modules()
    return line


def _hidden_modules() -> str:
    """A likely reason: files of the app under names that other modules import."""
    try:
        files = sorted(os.listdir(app_folder()))
    except OSError:
        return ""
    hidden = [f for f in files if f.removesuffix(".py") in sys.stdlib_module_names]
    if not hidden:
        return ""
    return f"; {', '.join(hidden)} in the app's folder has the name of a standard module: rename it"


def end_a_copy_of(process: int) -> None:
    """Ends this process if the app's code forked it and comes back here a second time."""
    if os.getpid() != process:
        os._exit(0)


def report(error: LoadError) -> None:
    """Writes what happened to standard error, which is the run's log."""
    if error.details:
        sys.stderr.write(error.details.rstrip() + "\n")
    sys.stderr.write(f"{error}\n")
    sys.stderr.flush()


__all__ = ["LoadError", "add_app_folder", "end_a_copy_of", "load_object", "report"]

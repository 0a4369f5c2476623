"""What a module of Flower's says of names that it does not have here."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable, Mapping
from typing import Any


def names(module: str, there: Iterable[str], why: Mapping[str, str] | None = None
          ) -> Callable[[str], Any]:
    """A module's __getattr__: a submodule, or an ImportError that says what there is.

    Args:
        module: its __name__.
        there: its __all__.
        why: for some names, a reason and what to use in their place.
    """
    def __getattr__(name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        full = f"{module}.{name}"
        try:
            if importlib.util.find_spec(full) is not None:
                return importlib.import_module(full)
        except ModuleNotFoundError:
            pass  # this module is no package
        flower = module.removeprefix("umbel.compat.")
        reason = (why or {}).get(name)
        raise ImportError(f"{flower} has no {name} in Umbel"
                          + (f": {reason}" if reason else f"; there are: {', '.join(there)}"))
    return __getattr__

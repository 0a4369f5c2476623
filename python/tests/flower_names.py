"""Prints, as JSON, the public names of an installed flwr with the parameters of what is called.

Run by test_flower_api.py with the interpreter of an environment that has flwr.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import json
import sys

MODULES = ["flwr", "flwr.app", "flwr.clientapp", "flwr.clientapp.mod", "flwr.serverapp",
           "flwr.serverapp.strategy", "flwr.common", "flwr.client", "flwr.client.mod",
           "flwr.server", "flwr.server.strategy", "flwr.simulation"]


def parameters(found):
    """(name, default as text or None) of each parameter; None for what has no signature."""
    if isinstance(found, type) and issubclass(found, (enum.Enum, BaseException)):
        return None
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):
        return None
    return [(name, None if p.default is p.empty else repr(p.default), p.kind.name)
            for name, p in signature.parameters.items()]


def methods(found):
    """Public methods and properties that a class defines, those of records and strategies."""
    if not isinstance(found, type) or issubclass(found, enum.Enum):
        return []
    return sorted(name for name in dir(found) if not name.startswith("_"))


def names(module):
    loaded = importlib.import_module(module)
    return {name: {"parameters": parameters(getattr(loaded, name)) if callable(
        getattr(loaded, name)) else None, "methods": methods(getattr(loaded, name))}
        for name in loaded.__all__}


if __name__ == "__main__":
    import flwr
    json.dump({"version": flwr.__version__, "modules": {m: names(m) for m in MODULES}}, sys.stdout)

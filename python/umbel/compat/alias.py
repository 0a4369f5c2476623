"""``import flwr`` as another name of ``umbel.compat.flwr``.

A module of Flower's is umbel.compat.flwr's of that name, or else umbel's own:
flwr.serverapp.strategy is umbel.serverapp.strategy.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import pkgutil
import sys
from collections.abc import Sequence
from types import ModuleType

NAME = "flwr"
TARGET = "umbel.compat.flwr"
OURS = ("app", "clientapp", "serverapp", "simulation")  # what may be looked up in umbel itself


def ours(flower: str) -> str | None:
    """The module of umbel's that stands for one of Flower's; None if there is none."""
    rest = flower[len(NAME):]
    candidates = [TARGET + rest]
    if rest.split(".")[1:2] and rest.split(".")[1] in OURS:
        candidates.append("umbel" + rest)
    for name in candidates:
        try:
            if importlib.util.find_spec(name) is not None:
                return name
        except ModuleNotFoundError:
            continue  # its parent is no package
    return None


class _Loader(importlib.abc.Loader):
    """Gives the module of the same name below umbel.compat: the very object, under two names."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        name = ours(spec.name)
        assert name is not None
        module = importlib.import_module(name)
        # The import system writes these of the alias into the module that it gets.
        self._own = {name: getattr(module, name, None)
                     for name in ("__spec__", "__loader__", "__package__", "__name__")}
        return module

    def exec_module(self, module: ModuleType) -> None:
        for name, value in self._own.items():
            setattr(module, name, value)


class _Finder(importlib.abc.MetaPathFinder):
    """Answers for flwr and everything below it, so that no installed flwr is ever imported."""

    def find_spec(self, fullname: str, path: Sequence[str] | None,
                  target: ModuleType | None = None) -> importlib.machinery.ModuleSpec | None:
        if fullname != NAME and not fullname.startswith(NAME + "."):
            return None
        name = ours(fullname)
        found = importlib.util.find_spec(name) if name else None
        if found is None:
            raise ModuleNotFoundError(
                f"no module {fullname!r} in Umbel's form of Flower's API (umbel {_version()}); "
                f"what is there: {', '.join(modules())}", name=fullname)
        return importlib.machinery.ModuleSpec(
            fullname, _Loader(), origin=found.origin,
            is_package=found.submodule_search_locations is not None)


def install() -> None:
    """Makes ``import flwr`` mean umbel.compat.flwr in this process; twice is once.

    Raises:
        ImportError: if another flwr has been imported already.
    """
    loaded = sys.modules.get(NAME)
    if loaded is not None and loaded.__name__ != TARGET:
        raise ImportError(f"flwr is imported already, from {loaded.__file__}: install the alias "
                          "before anything else imports it")
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _version() -> str:
    from umbel import __version__
    return str(__version__)


def modules() -> list[str]:
    """The modules of Flower's that apps can import here."""
    package = importlib.import_module(TARGET)
    found = {module.name for module in pkgutil.walk_packages(package.__path__, TARGET + ".")}
    names = {NAME + name[len(TARGET):] for name in found}
    names |= {f"{NAME}.{name}" for name in ("clientapp.mod", "serverapp.strategy")}
    return sorted(name for name in names if not name.rsplit(".", 1)[1].startswith("_"))

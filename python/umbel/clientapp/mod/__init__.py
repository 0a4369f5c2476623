"""Mods: what stands around a ClientApp's actions, ``mod(message, context, call_next)``.

    app = ClientApp(mods=[LocalDpMod(1.0, 1.0, 0.9, 1e-5)])

Mods are called in the order of the list, each around those after it.
"""

from __future__ import annotations

from typing import NoReturn

from .clipping import adaptiveclipping_mod, fixedclipping_mod
from .local_dp import LocalDpMod
from .sizes import arrays_size_mod, message_size_mod

__all__ = [
    "LocalDpMod",
    "adaptiveclipping_mod",
    "arrays_size_mod",
    "fixedclipping_mod",
    "message_size_mod",
]

# Mods of Flower's that are not here.
_ABSENT = frozenset({"secagg_mod", "secaggplus_mod"})


def __getattr__(name: str) -> NoReturn:
    if name in _ABSENT:
        raise ImportError(f"umbel.clientapp.mod has no {name} in this version: there is no secure "
                          f"aggregation; there are: {', '.join(__all__)}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

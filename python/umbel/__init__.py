"""Federated AI: models travel to where the data is, and only what they learned comes back.

* ``umbel.app``: arrays, records, messages, the context of a call.
* ``umbel.clientapp``: what to do with the data at one site.
* ``umbel.serverapp``: what to do with the federation; strategies.
* ``umbel.simulation``: a federation of virtual clients, from a script or a notebook.
* ``umbel.data``: data sets and their partitions.
"""

from __future__ import annotations

from umbel import _core
from umbel._core import version as __version__
from umbel._errors import (
    Aborted,
    AlreadyExists,
    Cancelled,
    DataLoss,
    DeadlineExceeded,
    Error,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    ResourceExhausted,
    Unavailable,
    Unimplemented,
    WrongType,
)

# Of what these files ask of the extension: another number, here and in python/src/module.cc,
# whenever that changes.  The first extensions do not say it.
_INTERFACE = 2

if getattr(_core, "interface", 1) != _INTERFACE:
    _age = "older" if _core.interface < _INTERFACE else "newer"
    raise ImportError(
        f"umbel's extension is {_age} than its sources: ./dev build ({_core.__file__} has "
        f"interface {_core.interface}, {__file__} expects {_INTERFACE})"
    )

__all__ = [
    "Aborted",
    "AlreadyExists",
    "Cancelled",
    "DataLoss",
    "DeadlineExceeded",
    "Error",
    "FailedPrecondition",
    "InvalidArgument",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "ResourceExhausted",
    "Unavailable",
    "Unimplemented",
    "WrongType",
    "__version__",
]

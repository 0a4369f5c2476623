"""Federated AI: models travel to where the data is, and only what they learned comes back.

* ``umbel.app``: arrays, records, messages, the context of a call.
* ``umbel.clientapp``: what to do with the data at one site.
* ``umbel.serverapp``: what to do with the federation; strategies.
* ``umbel.simulation``: a federation of virtual clients, from a script or a notebook.
* ``umbel.data``: data sets and their partitions.
"""

from __future__ import annotations

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

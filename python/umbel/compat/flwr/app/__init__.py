"""flwr.app: umbel.app, and names of types."""

from __future__ import annotations

from typing import Union

from umbel.app import (
    DEFAULT_TTL,
    Array,
    ArrayRecord,
    ConfigRecord,
    ConfigRecordValues,
    Context,
    Error,
    Message,
    MessageType,
    Metadata,
    MetricRecord,
    MetricRecordValues,
    RecordDict,
    UserConfig,
    UserConfigValue,
)

from .._absent import names

MetricScalar = Union[int, float]
MetricScalarList = Union["list[int]", "list[float]"]
ConfigScalar = Union[int, float, str, bytes, bool]
ConfigScalarList = Union["list[int]", "list[float]", "list[str]", "list[bytes]", "list[bool]"]

__all__ = [
    "DEFAULT_TTL",
    "Array",
    "ArrayRecord",
    "ConfigRecord",
    "ConfigRecordValues",
    "ConfigScalar",
    "ConfigScalarList",
    "Context",
    "Error",
    "Message",
    "MessageType",
    "Metadata",
    "MetricRecord",
    "MetricRecordValues",
    "MetricScalar",
    "MetricScalarList",
    "RecordDict",
    "UserConfig",
    "UserConfigValue",
]

__getattr__ = names(__name__, __all__)

"""What apps are made of: arrays, records, messages, and the context of a call."""

from __future__ import annotations

from umbel._core import Array, load_arrays
from umbel.app._context import Context, UserConfig, UserConfigValue
from umbel.app._message import DEFAULT_TTL, Error, ErrorCode, Message, MessageType, Metadata
from umbel.app._records import (
    ArrayRecord,
    ConfigRecord,
    ConfigRecordValues,
    MetricRecord,
    MetricRecordValues,
    RecordDict,
)

__all__ = [
    "DEFAULT_TTL",
    "Array",
    "ArrayRecord",
    "ConfigRecord",
    "ConfigRecordValues",
    "Context",
    "Error",
    "ErrorCode",
    "Message",
    "MessageType",
    "Metadata",
    "MetricRecord",
    "MetricRecordValues",
    "RecordDict",
    "UserConfig",
    "UserConfigValue",
    "load_arrays",
]

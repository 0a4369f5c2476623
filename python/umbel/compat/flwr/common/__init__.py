"""flwr.common: records, and the types of apps with Client and Strategy."""

from __future__ import annotations

from datetime import datetime, timezone

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
)

from .._absent import names
from .constant import MessageTypeLegacy
from .logger import log
from .parameter import (
    bytes_to_ndarray,
    ndarray_to_bytes,
    ndarrays_to_parameters,
    parameters_to_ndarrays,
)
from .typing import (
    ClientMessage,
    Code,
    Config,
    DisconnectRes,
    EvaluateIns,
    EvaluateRes,
    FitIns,
    FitRes,
    GetParametersIns,
    GetParametersRes,
    GetPropertiesIns,
    GetPropertiesRes,
    Metrics,
    MetricsAggregationFn,
    NDArray,
    NDArrayFloat,
    NDArrayInt,
    NDArrays,
    Parameters,
    Properties,
    ReconnectIns,
    Scalar,
    ServerMessage,
    Status,
    Value,
)

# The older names of the records.
RecordSet = RecordDict
ParametersRecord = ArrayRecord
MetricsRecord = MetricRecord
ConfigsRecord = ConfigRecord


def array_from_numpy(ndarray: NDArray) -> Array:
    """Array(ndarray)."""
    return Array(ndarray)


def now() -> datetime:
    """The time in UTC."""
    return datetime.now(tz=timezone.utc)


__all__ = [
    "DEFAULT_TTL",
    "Array",
    "ArrayRecord",
    "ClientMessage",
    "Code",
    "Config",
    "ConfigRecord",
    "ConfigRecordValues",
    "ConfigsRecord",
    "Context",
    "DisconnectRes",
    "Error",
    "EvaluateIns",
    "EvaluateRes",
    "FitIns",
    "FitRes",
    "GetParametersIns",
    "GetParametersRes",
    "GetPropertiesIns",
    "GetPropertiesRes",
    "Message",
    "MessageType",
    "MessageTypeLegacy",
    "Metadata",
    "MetricRecord",
    "MetricRecordValues",
    "Metrics",
    "MetricsAggregationFn",
    "MetricsRecord",
    "NDArray",
    "NDArrayFloat",
    "NDArrayInt",
    "NDArrays",
    "Parameters",
    "ParametersRecord",
    "Properties",
    "ReconnectIns",
    "RecordDict",
    "RecordSet",
    "Scalar",
    "ServerMessage",
    "Status",
    "Value",
    "array_from_numpy",
    "bytes_to_ndarray",
    "log",
    "ndarray_to_bytes",
    "ndarrays_to_parameters",
    "now",
    "parameters_to_ndarrays",
]

_GRPC = "there is no gRPC here"
_TELEMETRY = "there is no telemetry here"

__getattr__ = names(__name__, __all__, {
    "GRPC_MAX_MESSAGE_LENGTH": _GRPC,
    "EventType": _TELEMETRY,
    "event": _TELEMETRY,
    "configure": "logging.basicConfig() of the standard library writes logs to a file",
})

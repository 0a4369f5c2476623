"""Clients of the older form, which a client_fn makes: messages to fit() and evaluate(), and back.

A reply has the usual form: "arrays", and "metrics" with "num-examples" and every metric that is a
number.  So such clients work with every strategy.  Where the server is of that form too, and asks
by a config of its own ("legacy.config"), the reply has all metrics as they were in
"legacy.metrics".
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from umbel._errors import FailedPrecondition, WrongType
from umbel.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import UnknownAction

from .flwr.common.typing import (
    EvaluateIns,
    FitIns,
    GetParametersIns,
    GetPropertiesIns,
    Parameters,
)

LEGACY_CONFIG = "legacy.config"
LEGACY_METRICS = "legacy.metrics"
_ROUND_KEYS = ("round", "server-round")


def handle(client: Any, message: Message) -> Message:
    """A client's reply."""
    kind = message.metadata.message_type.removesuffix(".default")
    if kind == "train":
        result = client.fit(FitIns(_parameters(message), _config(message)))
        _require_ok(result.status)
        return _reply(message, result.parameters.record(), result.num_examples, result.metrics)
    if kind == "evaluate":
        result = client.evaluate(EvaluateIns(_parameters(message), _config(message)))
        _require_ok(result.status)
        return _reply(message, None, result.num_examples, result.metrics, loss=float(result.loss))
    if kind in ("query", "query.get_parameters"):
        result = client.get_parameters(GetParametersIns(_config(message)))
        _require_ok(result.status)
        return Message(RecordDict({"arrays": result.parameters.record()}), reply_to=message)
    if kind == "query.get_properties":
        result = client.get_properties(GetPropertiesIns(_config(message)))
        _require_ok(result.status)
        return Message(RecordDict({LEGACY_METRICS: ConfigRecord(plain(result.properties))}),
                       reply_to=message)
    raise UnknownAction(f'a client of a client_fn has no action for "{kind}"; it has: train, '
                        "evaluate, query.get_parameters, query.get_properties")


def maker(client_fn: Callable[..., Any]) -> Callable[[Context], Any]:
    """Calls client_fn as it wants it: with the Context, or in its oldest form an id as text."""
    parameters = list(inspect.signature(client_fn).parameters.values())
    if len(parameters) != 1:
        raise WrongType(f"client_fn takes {len(parameters)} arguments, expected one: "
                        "client_fn(context: Context)")
    annotation = parameters[0].annotation
    by_id = annotation in (str, "str") or parameters[0].name == "cid"

    def make(context: Context) -> Any:
        client = client_fn(str(context.partition_id) if by_id else context)
        if not hasattr(client, "to_client"):
            raise WrongType(f"client_fn returned {type(client).__name__}, expected a Client or a "
                            "NumPyClient")
        client = client.to_client()
        client.set_context(context)
        return client
    return make


def _parameters(message: Message) -> Parameters:
    return Parameters.of_record(next(iter(message.content.array_records.values())))


def _config(message: Message) -> dict[str, Any]:
    records = message.content.config_records
    if LEGACY_CONFIG in records:
        return dict(records[LEGACY_CONFIG])
    config = dict(next(iter(records.values()), {}))
    return {key: value for key, value in config.items() if key not in _ROUND_KEYS}


def _reply(message: Message, arrays: ArrayRecord | None, examples: int, metrics: dict[str, Any],
           **more: float) -> Message:
    metrics = plain(metrics)
    numbers = {key: value for key, value in metrics.items()
               if isinstance(value, (int, float)) and not isinstance(value, bool)}
    content = RecordDict({} if arrays is None else {"arrays": arrays})
    content["metrics"] = MetricRecord({**numbers, **more, "num-examples": int(examples)})
    if LEGACY_CONFIG in message.content:
        content[LEGACY_METRICS] = ConfigRecord(metrics)
    return Message(content, reply_to=message)


def plain(metrics: dict[str, Any]) -> dict[str, Any]:
    """Metrics with NumPy's numbers as Python's."""
    return {key: value.item() if isinstance(value, np.generic) else value
            for key, value in metrics.items()}


def _require_ok(status: Any) -> None:
    if status.code.value != 0:
        raise FailedPrecondition(f"the client answered {status.code.name}: {status.message}")

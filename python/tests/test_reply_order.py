"""Layouts have an order of names; a client's code need not keep it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import umbel
from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import FedAvg
from umbel.simulation import SimulationResult, run_simulation


def federation(names_of: Any) -> SimulationResult:
    """A round of three clients, who add 1 to a, 2 to b, and reply with names_of(arrays)."""
    client, server = ClientApp(), ServerApp()

    @client.train()
    def train(message: Message, context: Context) -> Message:
        arrays = message.content["arrays"]
        more = {"b": arrays["b"].numpy() + 2, "a": arrays["a"].numpy() + 1}
        reply = ArrayRecord({name: more[name] for name in names_of(arrays)})
        metrics = MetricRecord({"num-examples": 1})
        return Message(RecordDict({"arrays": reply, "metrics": metrics}), reply_to=message)

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        initial = ArrayRecord({"b": np.zeros(2), "a": np.zeros((3, 1))})
        result = FedAvg(fraction_evaluate=0).start(grid, initial, num_rounds=1)
        context.save("model.safetensors", result.arrays)

    return run_simulation(server, client, 3)


def test_arrays_in_another_order_are_those_of_the_same_names() -> None:
    kept, turned = federation(list), federation(sorted)
    assert turned.failures == 0
    assert list(turned.arrays) == ["b", "a"]
    assert turned.arrays["a"].numpy().tolist() == [[1], [1], [1]]
    assert turned.arrays["b"].numpy().tolist() == [2, 2]
    assert turned.model_sha256 == kept.model_sha256


def test_a_missing_name_is_an_error_still() -> None:
    with pytest.raises(umbel.Error, match='"b"|1 array'):
        federation(lambda arrays: ["a"])

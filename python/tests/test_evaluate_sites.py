"""A fixed model at many sites: figures, intervals, and sites that do not answer as they should."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import umbel
from umbel.app import ArrayRecord, Context, ErrorCode, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp
from umbel.serverapp import Grid, ServerApp, SiteEvaluation, evaluate_sites
from umbel.simulation import run_simulation

MODEL = ArrayRecord({"x": np.array([0.5])})


def evaluated(app: ClientApp, nodes: int = 4, workers: int = 2, **options: Any) -> SiteEvaluation:
    server, found = ServerApp(), []

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        found.append(evaluate_sites(grid, MODEL, **options))

    run_simulation(server, app, nodes, workers=workers)
    return found[0]


def app_of(metrics: Any) -> ClientApp:
    app = ClientApp()

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        content = RecordDict({"metrics": MetricRecord(metrics(message, context))})
        return Message(content, reply_to=message)

    app.evaluate("plain")(evaluate)
    return app


def counted(message: Message, context: Context) -> dict[str, Any]:
    k = context.partition_id
    return {"num-examples": k + 1, "right": k * message.content["arrays"]["x"].numpy()[0]}


@pytest.mark.parametrize("workers", [0, 2])
def test_figures_are_weighted_and_have_students_interval(workers: int) -> None:
    found = evaluated(app_of(counted), workers=workers)
    weights, values = np.arange(1, 5), np.arange(4) * 0.5
    mean = np.average(values, weights=weights)
    error = math.sqrt(4 / 3 * np.sum((weights * (values - mean)) ** 2)) / 10
    estimate = found.estimates["right"]
    assert estimate.mean == pytest.approx(mean, abs=1e-15)
    assert estimate.interval == pytest.approx(
        (mean - 3.182446305284263 * error, mean + 3.182446305284263 * error), abs=1e-12
    )
    assert (estimate.sites, estimate.least, estimate.greatest) == (4, 0.0, 1.5)
    assert str(estimate) == "1 (0.09987 to 1.9), 4 sites"
    assert {node: site["num-examples"] for node, site in found.sites.items()} == dict(
        enumerate(range(1, 5))
    )
    assert found.metrics["right"] == estimate.mean and found.metrics["num-examples"] == 10
    assert (found.metrics["sites"], found.metrics["failures"]) == (4, 0)


def test_options_say_who_is_asked_what_and_how() -> None:
    def asked(message: Message, context: Context) -> dict[str, Any]:
        return {"patients": 2, "got": message.content["config"]["threshold"]}

    found = evaluated(
        app_of(asked), nodes=9, node_ids=(np.int64(7), 3), action="plain", weight="patients",
        config={"threshold": 0.25}, confidence=0.5,
    )  # fmt: skip
    assert list(found.sites) == [3, 7] and found.weight == "patients"
    assert found.estimates["got"].interval == (0.25, 0.25)


def test_sites_that_fail_are_told_by_number() -> None:
    def some(message: Message, context: Context) -> dict[str, Any]:
        if context.partition_id == 0:
            raise ValueError("no data here")
        if context.partition_id == 1:
            return {"num-examples": 5, "right": math.inf}
        return {"num-examples": 5, "right": 1.0}

    found = evaluated(app_of(some))
    assert found.failures[0].code == ErrorCode.CLIENT_FAILED
    assert "no data here" in (found.failures[0].reason or "")
    assert found.failures[1].code == ErrorCode.BAD_REPLY
    assert found.failures[1].reason == 'client 1: its metric "right" is inf'
    assert found.estimates["right"].interval == (1.0, 1.0)


@pytest.mark.parametrize(
    "options, error, words",
    [
        ({"node_ids": []}, umbel.InvalidArgument, "node_ids is empty"),
        ({"node_ids": [9]}, umbel.InvalidArgument, "there is no client 9"),
        ({"node_ids": [1, 1]}, umbel.InvalidArgument, "client 1 is asked twice"),
        ({"confidence": 95}, umbel.InvalidArgument, "confidence is 95"),
        ({"timeout": 0}, umbel.InvalidArgument, "timeout = 0, expected None or above 0"),
        ({"timeout": "5"}, umbel.WrongType, "timeout is of type str"),
        ({"sites_min": 5}, umbel.InvalidArgument, "4 sites are asked, and at least 5 are to reply"),
        ({"sites_min": -1}, umbel.InvalidArgument, "sites_min is -1"),
        ({"sites_min": 1.0}, umbel.WrongType, "sites_min is of type float"),
        ({"node_ids": "12"}, umbel.WrongType, "node_ids is of type str"),
        ({"node_ids": [1.7]}, umbel.WrongType, "one of node_ids is of type float"),
        ({"node_ids": [-1]}, umbel.InvalidArgument, "one of node_ids is -1"),
        ({"action": None}, umbel.WrongType, "action is of type NoneType, expected a str"),
        ({"confidence": None}, umbel.WrongType, "confidence is of type NoneType"),
        ({"action": "none"}, umbel.FailedPrecondition, "0 of 4 .* the first that failed: .*none"),
        ({"weight": "patients"}, umbel.FailedPrecondition, 'no "patients"'),
    ],
)
def test_what_cannot_be_is_refused(options: Any, error: type[umbel.Error], words: str) -> None:
    with pytest.raises(error, match=words):
        evaluated(app_of(counted), **options)

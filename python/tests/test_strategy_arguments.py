"""What strategies are given and hooks return, held to what it must be."""

from __future__ import annotations

import numpy as np
import pytest

from umbel import InvalidArgument, WrongType
from umbel.app import ArrayRecord, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp
from umbel.serverapp import ServerApp
from umbel.serverapp.strategy import FedAvg
from umbel.simulation import run_simulation

MODEL = ArrayRecord({"x": np.zeros(1)})


@pytest.mark.parametrize(("name", "value", "error"), [
    ("fraction_train", "x", WrongType), ("fraction_train", 2, InvalidArgument),
    ("fraction_evaluate", float("nan"), InvalidArgument), ("min_train_nodes", -1, InvalidArgument),
    ("min_train_nodes", 1.5, WrongType), ("min_available_nodes", "x", WrongType),
    ("min_evaluate_nodes", True, WrongType), ("weighted_by_key", None, WrongType),
    ("weighted_by_key", "", InvalidArgument)])
def test_a_setting_that_is_wrong_is_named(name: str, value: object, error: type) -> None:
    with pytest.raises(error, match=f"FedAvg: {name} is"):
        FedAvg(**{name: value})


@pytest.mark.parametrize(("name", "value", "error"), [
    ("num_rounds", "3", WrongType), ("num_rounds", True, WrongType), ("num_rounds", 1.5, WrongType),
    ("num_rounds", 0, InvalidArgument), ("num_rounds", 10**30, InvalidArgument),
    ("timeout", "x", WrongType), ("timeout", -1, InvalidArgument), ("quorum", 2, InvalidArgument),
    ("evaluate_every", 0, InvalidArgument)])
def test_an_argument_of_start_that_is_wrong_is_named(name: str, value: object, error: type) -> None:
    with pytest.raises(error, match=f"start: {name} is"):
        FedAvg().start(None, MODEL, **{name: value})


def test_numbers_of_numpy_are_numbers() -> None:
    assert FedAvg(fraction_train=np.float32(0.5), min_train_nodes=np.int64(3)).min_train_nodes == 3


class NoMessages(FedAvg):
    def configure_train(self, server_round, arrays, config, grid):
        return None


class OtherMessages(FedAvg):
    def configure_train(self, server_round, arrays, config, grid):
        return [5]


class NoPair(FedAvg):
    def aggregate_train(self, server_round, replies):
        return ArrayRecord()


@pytest.mark.parametrize(("kind", "words"), [
    (NoMessages, "configure_train returned a value of type NoneType"),
    (OtherMessages, "configure_train returned a value of type int among its messages"),
    (NoPair, "aggregate_train returned a value of type ArrayRecord, expected a pair")])
def test_what_a_hook_returns_is_named(kind: type[FedAvg], words: str) -> None:
    client, server = ClientApp(), ServerApp()

    @client.train()
    def train(message, context):
        content = {"arrays": MODEL, "metrics": MetricRecord({"num-examples": 1})}
        return Message(RecordDict(content), reply_to=message)

    @server.main()
    def main(grid, context):
        kind(fraction_evaluate=0).start(grid, MODEL, num_rounds=1)

    with pytest.raises(WrongType, match=words):
        run_simulation(server, client, num_supernodes=3, workers=0)

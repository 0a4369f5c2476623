"""Federated boosted trees: the rule on XGBoost's JSON, and what XGBoost makes of the result."""

from __future__ import annotations

import functools
import json
import os
import pathlib
import subprocess
import textwrap

import environments
import numpy as np
import pytest

from umbel.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from umbel.serverapp.strategy import FedXgbBagging, FedXgbCyclic
from umbel.serverapp.strategy.xgboost import aggregate_bagging


def booster(*leaves: float, classes: int = 1) -> bytes:
    """As much of XGBoost's JSON as the rule looks at: a tree for each leaf."""
    trees = [{"id": i, "base_weights": [leaf]} for i, leaf in enumerate(leaves)]
    model = {"gbtree_model_param": {"num_trees": str(len(trees)), "num_parallel_tree": "1"},
             "iteration_indptr": list(range(0, len(trees) + 1, classes)), "trees": trees,
             "tree_info": [i % classes for i in range(len(trees))]}
    return json.dumps({"learner": {"gradient_booster": {"model": model}, "x": 1},
                       "version": [3, 0, 0]}).encode()


def reply(node: int, raw: bytes) -> Message:
    content = RecordDict({"arrays": ArrayRecord([np.frombuffer(raw, np.uint8)]),
                          "metrics": MetricRecord({"num-examples": 1 + node, "loss": float(node)})})
    message = Message(content, dst_node_id=1, message_type="train")
    message.metadata.src_node_id = node
    return message


def model_of(raw: bytes) -> dict:
    return json.loads(raw)["learner"]["gradient_booster"]["model"]


def test_bagging_appends_all_trees_of_every_reply_in_order():
    merged = model_of(aggregate_bagging(
        aggregate_bagging(booster(1.0, 2.0), booster(3.0)), booster(4.0, 5.0)))
    assert [tree["base_weights"] for tree in merged["trees"]] == [[1], [2], [3], [4], [5]]
    assert [tree["id"] for tree in merged["trees"]] == [0, 1, 2, 3, 4]
    assert merged["gbtree_model_param"]["num_trees"] == "5"
    assert merged["iteration_indptr"] == [0, 1, 2, 3, 5]
    assert aggregate_bagging(b"", booster(1.0)) == booster(1.0)


def test_trees_of_several_classes_keep_their_class():
    merged = model_of(aggregate_bagging(booster(1, 2, 3, classes=3), booster(4, 5, 6, classes=3)))
    assert merged["tree_info"] == [0, 1, 2, 0, 1, 2] and merged["iteration_indptr"] == [0, 3, 6]


def test_a_round_of_bagging_leaves_out_what_is_no_model():
    kind = FedXgbBagging()
    kind.current_bst = booster(1.0)
    arrays, metrics = kind.aggregate_train(1, [reply(0, booster(2.0)), reply(1, b"no json"),
                                               reply(2, b'{"learner": 1}'), reply(3, booster(3.0))])
    merged = model_of(arrays["0"].numpy().tobytes())
    assert [tree["base_weights"] for tree in merged["trees"]] == [[1], [2], [3]]
    assert metrics["loss"] == pytest.approx((0 * 1 + 3 * 4) / 5)
    assert [(node, why.split(":")[0]) for node, _, why in kind._refused] == [
        (1, "no XGBoost model in JSON"), (2, "no XGBoost model in JSON")]


def test_the_cycle_hands_the_model_from_node_to_node():
    class Grid:
        class _context:
            is_twin = False

        def get_node_ids(self):
            return range(3)
    kind = FedXgbCyclic()
    arrays = ArrayRecord([np.frombuffer(booster(1.0), np.uint8)])
    for number, node in ((1, 0), (2, 1), (3, 2), (4, 0)):
        (message,) = kind.configure_train(number, arrays, ConfigRecord(), Grid())
        assert message.metadata.dst_node_id == node
        assert message.content["config"]["server-round"] == number
    after, _ = kind.aggregate_train(1, [reply(1, booster(1.0, 7.0))])
    assert after["0"].numpy().tobytes() == booster(1.0, 7.0)
    assert kind.aggregate_train(1, [reply(1, b"")]) == (None, None)


@functools.cache
def python_with_xgboost() -> str:
    try:
        return environments.interpreter("xgboost")
    except environments.Skip as reason:
        pytest.skip(f"xgboost: {reason}")


@pytest.mark.parametrize("objective,classes", [("reg:squarederror", 1), ("multi:softprob", 3)])
def test_the_merged_forest_predicts_the_sum_of_its_trees(tmp_path, objective, classes):
    """Margins add up: the old model's, and what each client's new trees add to the base score."""
    code = f"""
    import numpy as np, xgboost as xgb
    from umbel.serverapp.strategy.xgboost import aggregate_bagging
    rng = np.random.default_rng(5)
    settings = dict(objective={objective!r}, base_score=0.5, max_depth=3, nthread=1)
    if {classes} > 1:
        settings["num_class"] = {classes}
    def data():
        x = rng.normal(size=(200, 4))
        y = (x[:, 0] > 0).astype(int) + (x[:, 1] > 1) if {classes} > 1 else x[:, 0] * x[:, 1]
        return xgb.DMatrix(x, y)
    test = data()
    margin = lambda raw: xgb.Booster(model_file=bytearray(raw)).predict(test, output_margin=True)
    first = xgb.train(settings, data(), 2)
    model = bytes(first.save_raw("json"))
    expected = margin(model).astype(float)
    for _ in range(3):
        grown = xgb.train(settings, data(), 2, xgb_model=first)
        new = bytes(grown[2:4].save_raw("json"))
        expected = expected + (margin(new).astype(float) - 0.5)
        model = aggregate_bagging(model, new)
    got = margin(model)
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() < 1e-5, np.abs(got - expected).max()
    assert xgb.Booster(model_file=bytearray(model)).num_boosted_rounds() == 5
    again = xgb.train(settings, data(), 1, xgb_model=xgb.Booster(model_file=bytearray(model)))
    print(again.num_boosted_rounds())
    """
    import umbel
    folder = pathlib.Path(umbel.__file__).parent.parent
    ran = subprocess.run([python_with_xgboost(), "-c", textwrap.dedent(code)], text=True,
                         capture_output=True, timeout=120, check=False,
                         env={**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"})
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "6"

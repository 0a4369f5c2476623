"""Strategies carry out rounds, in the core and in Python, to the same model."""

from __future__ import annotations

import json
import pathlib
import shutil

import federate
import pytest

APP = pathlib.Path(__file__).parent / "apps" / "strategies"

STRATEGIES = [
    ("FedAvg", {"fraction_train": 0.5, "fraction_evaluate": 0.3}),
    ("FedAvgM", {"server_learning_rate": 0.7, "server_momentum": 0.8}),
    ("FedAvgM", {}),
    ("FedAdam", {"eta": 0.03, "tau": 1e-2}),
    ("FedYogi", {"fraction_train": 0.6}),
    ("FedAdagrad", {"eta": 0.2}),
    ("FedProx", {"proximal_mu": 0.25}),
]


def run(folder: pathlib.Path, name: str, arguments: dict | None = None, start: dict | None = None,
        nodes: int = 7, threads: int = 2, seed: int = 3, expect: str = "completed",
        **config) -> federate.Ran:
    app = folder / "app"
    if not app.exists():
        shutil.copytree(APP, app)
    config = {"strategy": name, "arguments": json.dumps(arguments or {}),
              "start": json.dumps(start or {}), **config}
    options = {key: config.pop(key) for key in ("twin_examples", "population") if key in config}
    return federate.run(app, "app:server", "app:client", nodes=nodes, threads=threads, seed=seed,
                        config=config, expect=expect, **options)


@pytest.mark.parametrize("name,arguments", STRATEGIES)
def test_rounds_in_python_give_the_model_and_report_of_those_in_the_core(tmp_path, name, arguments):
    """Also with clients that fail, and with ones whose reply has another shape."""
    ran = [run(tmp_path, name, arguments, overridden=overridden, broken=[2], bent=[4],
               threads=threads)
           for overridden, threads in ((False, 1), (True, 3))]
    native, python = ran
    assert native.finished["model-sha256"] == python.finished["model-sha256"]
    assert native.finished["metrics"] == python.finished["metrics"]
    for one, other in zip(native.rounds, python.rounds, strict=True):
        for key in ("round", "clients", "failures", "failure-reasons", "bytes-down", "train",
                    "evaluate", "server", "note"):
            assert one[key] == other[key], key
        assert [sorted(sample.items()) for sample in one["failure-samples"]] == [
            sorted(sample.items()) for sample in other["failure-samples"]]


@pytest.mark.parametrize("overridden", [False, True])
def test_an_app_without_an_evaluate_action_is_told_of_once(tmp_path, overridden):
    shutil.copytree(APP, tmp_path / "app")
    file = tmp_path / "app" / "app.py"
    file.write_text(file.read_text().replace("@client.evaluate()", "@client.query()"))
    said = "no client has an evaluate action: set fraction_evaluate=0 or add @client.evaluate()"
    for fraction, times in ((1.0, 1), (0.0, 0)):
        ran = run(tmp_path, "FedAvg", {"fraction_evaluate": fraction}, overridden=overridden,
                  broken=[2], rounds=2)
        assert ran.lines.count(said) == times, ran.lines


def test_metrics_and_configs_reach_their_place(tmp_path):
    ran = run(tmp_path, "FedProx", {"proximal_mu": 0.25, "min_train_nodes": 3,
                                    "fraction_train": 0.1, "fraction_evaluate": 0.0})
    assert [r["clients"] for r in ran.rounds[1:]] == [3, 3, 3]
    assert ran.record("train")["mu"] == 0.25
    assert "num-examples" not in ran.record("train")
    assert ran.rounds[1]["train"]["num-examples"] > 30
    assert ran.record("result") == {"rounds": 4, "evaluated": [], "trained": [1, 2, 3],
                                    "measured": [0, 1, 2, 3]}


@pytest.mark.parametrize("overridden", [False, True])
def test_targets_plateaus_and_evaluate_every_end_and_thin_the_rounds(tmp_path, overridden):
    ran = run(tmp_path, "FedAvg", start={"targets": [{"metric": "norm", "at_least": 1e-9}],
                                         "evaluate_every": 2}, overridden=overridden, rounds=9)
    assert ran.record("result")["measured"] == [0, 2]
    assert ran.finished["rounds"] == 2 and "norm reached" in ran.finished["reason"]
    ran = run(tmp_path, "FedAvg", start={"plateaus": [
        {"metric": "number", "patience": 2, "better": "lower"}]}, overridden=overridden, rounds=9)
    assert ran.finished["rounds"] == 3


@pytest.mark.parametrize("overridden", [False, True])
def test_rounds_below_the_quorum_leave_the_model_and_three_end_the_run(tmp_path, overridden):
    ran = run(tmp_path, "FedAvg", start={"quorum": 0.9}, overridden=overridden, nodes=4, rounds=5,
              broken=[0, 1], expect="failed")
    assert "3 rounds in a row were skipped" in ran.finished["error"]
    assert "2 of 4 replies counted, at least 4 must" in ran.finished["error"]
    assert "no data here" in ran.finished["error"]
    assert [r["server"] for r in ran.rounds[1:]] == [{}, {}, {}]


@pytest.mark.parametrize("overridden", [False, True])
def test_the_twin_trains_its_one_client_until_it_has_seen_the_examples(tmp_path, overridden):
    ran = run(tmp_path, "FedAvg", {"min_train_nodes": 5}, overridden=overridden, nodes=1,
              twin_examples=45, rounds=2)
    assert len(ran.rounds) == 1 + 5  # of 10 examples each, after the first measurement
    if not overridden:
        return
    native = run(tmp_path, "FedAvg", nodes=1, twin_examples=45, rounds=2)
    assert native.finished["model-sha256"] == ran.finished["model-sha256"]


def test_a_federation_that_is_too_small_is_refused_before_anything_is_sent(tmp_path):
    ran = run(tmp_path, "FedAvg", {"min_available_nodes": 9}, expect="failed")
    assert "FedAvg: 9 nodes are needed, the federation has 7" in ran.finished["error"]
    assert ran.rounds == []


def test_nobody_trains_where_the_fraction_is_zero_and_the_model_is_evaluated(tmp_path):
    ran = run(tmp_path, "FedAvg", {"fraction_train": 0.0, "fraction_evaluate": 1.0}, rounds=2)
    assert ran.record("result") == {"rounds": 3, "evaluated": [1, 2], "trained": [],
                                    "measured": [0, 1, 2]}


def test_own_names_of_records_are_sent(tmp_path):
    """The client takes the only ArrayRecord; its config's name it knows."""
    native = run(tmp_path, "FedAvg", {"fraction_evaluate": 0.0})
    named = run(tmp_path, "FedAvg", {"fraction_evaluate": 0.0, "arrayrecord_key": "model"})
    assert native.finished["model-sha256"] == named.finished["model-sha256"]


@pytest.mark.parametrize("name", ["FedMedian", "FedTrimmedAvg", "Krum", "MultiKrum"])
def test_robust_strategies_give_the_same_model_for_any_number_of_workers(tmp_path, name):
    ran = [run(tmp_path, name, threads=threads, bent=[4]) for threads in (1, 3)]
    assert ran[0].finished["model-sha256"] == ran[1].finished["model-sha256"]
    assert ran[0].rounds[1]["failure-reasons"] == {"bad-reply": 1}


def test_wrap_up_is_refused_where_rounds_are_in_python(tmp_path):
    ran = run(tmp_path, "FedMedian", start={"wrap_up": 1.0}, expect="failed")
    assert "wrap_up needs rounds in the core, and FedMedian overrides" in ran.finished["error"]


DAILY = {"availability": "daily", "day-from": 1, "day-hours": 6, "time-zones": [0, 6, 12],
         "seconds-per-example": 30.0, "speed-spread": 0.5, "dropout": 0.1}


def test_a_population_is_told_of_where_rounds_in_python_leave_it_out(tmp_path):
    ran = [run(tmp_path, "FedAvg", {"fraction_train": 0.4, "fraction_evaluate": 0.0,
                                    "min_available_nodes": 1}, overridden=overridden, nodes=20,
               population=DAILY, measure=False, start={"timeout": None})
           for overridden in (False, True)]
    native, python = ([r["clients"] + r["failures"] for r in one.rounds] for one in ran)
    assert native[0] == python[0] == 8  # of 20, of whom some are not there
    assert all("take no virtual time" not in line for line in ran[0].lines)
    assert any("take no virtual time" in line for line in ran[1].lines)


@pytest.mark.parametrize("overridden", [False, True])
def test_what_the_servers_evaluation_raises_comes_out_as_it_is(tmp_path, overridden):
    for key, why in (("fails-in", "LookupError: no test data (app.py:"), ("odd-in", "float")):
        ran = run(tmp_path, "FedAvg", overridden=overridden, expect="failed", **{key: 1})
        assert why in ran.finished["error"]
        assert len(ran.rounds) == 1  # the first, number 0


@pytest.mark.parametrize("overridden", [False, True])
def test_rounds_that_all_failed_are_a_failed_run_however_few(tmp_path, overridden):
    ran = run(tmp_path, "FedAvg", overridden=overridden, nodes=2, rounds=2, broken=[0, 1],
              expect="failed")
    assert "no round changed the model: round 2" in ran.finished["error"]
    assert "ValueError: no data here" in ran.finished["error"]

"""A run's progress, in a notebook and elsewhere."""

from __future__ import annotations

import io
import re
import sys

import pytest
from umbel import notebook

ROUNDS = [
    {"event": "round", "round": 0, "clients": 0, "server": {"accuracy": 0.125}},
    {"event": "round", "round": 1, "clients": 1200, "failures": 3, "seconds": 0.25,
     "train": {"loss": 1.5, "shares": [1, 2]}, "server": {"accuracy": 0.5}},
    {"event": "round", "round": 2, "clients": 0, "note": "skipped: no client answered",
     "train": {"loss": None}, "evaluate": {"accuracy": 0.25}, "server": {"accuracy": 0.75}},
]
END = {"event": "finished", "status": "completed", "metrics": {"accuracy": 0.75}}


def told(*events: dict[str, object]) -> list[str]:
    out = io.StringIO()
    progress = notebook.Progress(file=out)
    for event in events:
        progress(event)
    return out.getvalue().splitlines()


def test_elsewhere_each_round_is_a_line() -> None:
    assert told({"event": "rounds", "rounds": 2}, *ROUNDS, END) == [
        "round 0/2: accuracy 0.125 (0 clients)",
        "round 1/2: accuracy 0.5, train-loss 1.5 (1,200 clients, 3 failed)",
        "round 2/2: accuracy 0.75, federated-accuracy 0.25 (0 clients): "
        "skipped: no client answered",
        "completed after 2 rounds; accuracy 0.75",
    ]


def test_a_failed_run_says_why() -> None:
    assert told({"event": "finished", "status": "failed", "error": "no client answered"}) == [
        "failed after 0 rounds: no client answered"]


def test_events_that_it_does_not_know_are_left_alone() -> None:
    assert told({"event": "log", "message": "hello"}, {"event": "new"}, {}) == []


def test_curves_have_each_metric_by_round() -> None:
    assert notebook.curves(ROUNDS) == {
        "accuracy": [(0, 0.125), (1, 0.5), (2, 0.75)],
        "federated-accuracy": [(2, 0.25)],
        "train-loss": [(1, 1.5)],
    }


def test_the_clients_weights_are_no_metric() -> None:
    metrics = {"loss": 0.5, "num-examples": 1200}
    measured = {**ROUNDS[1], "train": metrics, "evaluate": metrics, "server": {"num-examples": 7}}
    assert list(notebook.curves([measured])) == ["num-examples", "federated-loss", "train-loss"]
    assert told(measured) == [
        "round 1: num-examples 7, federated-loss 0.5, train-loss 0.5 (1,200 clients, 3 failed)"]
    end = {**END, "metrics": {"train-num-examples": 1200, "loss": 0.5}}
    assert told(end) == ["completed after 0 rounds; loss 0.5"]
    assert "train-num-examples" in repr(notebook._Picture(notebook._all_curves([measured])))
    assert notebook.plot([measured], ["train-num-examples"]) is not None


def test_a_notebook_gets_one_picture_that_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    class Handle:
        def update(self, progress: notebook.Progress) -> None:
            shown.append(progress._repr_html_())

    class Display:
        @staticmethod
        def display(progress: notebook.Progress, display_id: bool) -> Handle:
            shown.append(progress._repr_html_())
            return Handle()

    monkeypatch.setattr(notebook, "in_notebook", lambda: True)
    monkeypatch.setattr(notebook, "import_module", {"IPython.display": Display}.__getitem__)
    progress = notebook.Progress(seconds_between=0)
    for event in ({"event": "rounds", "rounds": 4}, *ROUNDS,
                  {"event": "progress", "phase": "<train>", "done": 1, "total": 2}, END):
        progress(event)
    bars = re.findall(r'<progress max="4" value="([\d.]+)"', "".join(shown))
    assert [float(bar) for bar in bars] == [0, 0, 1, 2, 2.5, 4]  # round 0 is none, and half of round 3 is done
    assert "&lt;train&gt;: 1 of 2 clients" in shown[-2] and "<train>" not in shown[-2]
    assert "completed after 2 rounds" in shown[-1]


def test_a_notebook_is_not_redrawn_for_every_event(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[object] = []

    class Display:
        @staticmethod
        def display(progress: object, display_id: bool) -> Display:
            return Display()

        def update(self, progress: object) -> None:
            drawn.append(progress)

    monkeypatch.setattr(notebook, "in_notebook", lambda: True)
    monkeypatch.setattr(notebook, "import_module", {"IPython.display": Display}.__getitem__)
    progress = notebook.Progress(seconds_between=3600)
    for event in [*ROUNDS * 100, END]:
        progress(event)
    assert len(drawn) == 2  # the first, and the end


def test_the_picture_has_a_point_for_each_round_and_no_more_curves_than_fit() -> None:
    rounds = [{"round": r, "server": {f"m{i}": r * i for i in range(9)}} for r in range(1, 6)]
    picture = notebook._picture(notebook.curves(rounds))
    lines = re.findall(r'<polyline points="([^"]+)"', picture)
    assert len(lines) == 4
    assert all(len(line.split()) == 5 for line in lines)
    assert lines[1] == "4.0,84.0 47.0,69.0 90.0,54.0 133.0,39.0 176.0,24.0"  # a straight line, up


def test_without_matplotlib_there_are_plain_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    notebook._figure_type.cache_clear()
    picture = notebook.plot(ROUNDS, ["accuracy"])
    assert repr(picture) == "accuracy: 0.125 to 0.75"
    assert "<svg" in picture._repr_html_()


def test_a_metric_that_no_round_has_is_named() -> None:
    with pytest.raises(KeyError, match="precision"):
        notebook.plot(ROUNDS, ["precision"])

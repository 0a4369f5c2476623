"""A run's progress in a notebook: a bar, the last rounds, curves that grow; text elsewhere.

`umbel.simulation.run_simulation` shows a run in this way by itself where it finds itself in a
notebook.  `Progress` is what it uses; `plot` draws a finished run's curves.
"""

from __future__ import annotations

import html
import io
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, TextIO

_SERIES_MAX = 4  # curves in the live picture; a run may have any number of metrics
_ROWS = 5  # rounds in the live table
_COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd")
# The same name may be measured on the server, and by clients as they evaluate and as they train.
_SIDES = (("server", ""), ("evaluate", "federated-"), ("train", "train-"))
# The sum of the clients' weights, which says how many examples counted: no metric to look at.
_WEIGHT = "num-examples"


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel, which can show pictures and replace them."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return hasattr(shell, "kernel")


class Progress:
    """Shows a run while it goes on: call it with each of its events, as they come.

    Events are dicts as in docs/app-process.md: "rounds", "progress", "round", "finished", ...;
    others are left alone.  Within a notebook one picture is replaced at most every
    `seconds_between` seconds; elsewhere each round is a line on `file`, by default sys.stdout.
    One thread at a time.
    """

    def __init__(self, *, seconds_between: float = 0.3, file: TextIO | None = None) -> None:
        self._between = seconds_between
        self._file = file
        self._shown: Any = None
        self._drawn_at = float("-inf")
        self._notebook = file is None and in_notebook()
        self.rounds: list[dict[str, Any]] = []
        self._planned = 0
        self._now = ""
        self._part = 0.0
        self._end: dict[str, Any] | None = None
        if self._notebook:  # here, in the cell that asks for it; later events come on other threads
            self._shown = import_module("IPython.display").display(self, display_id=True)

    def __call__(self, event: Mapping[str, Any]) -> None:
        kind = event.get("event")
        if kind == "rounds":
            self._planned = self._done() + int(event.get("rounds", 0))
        elif kind == "progress":
            done, total = int(event.get("done", 0)), int(event.get("total", 0))
            self._now = f"{event.get('phase', '')}: {done:,} of {total:,} clients"
            self._part = done / total if total else 0.0
        elif kind == "round":
            self.rounds.append(dict(event))
            self._now, self._part = "", 0.0
        elif kind == "finished":
            self._end = dict(event)
        else:
            return
        if self._notebook:
            self._draw(at_once=kind == "finished")
        elif kind in ("round", "finished"):
            text = self._finished() if self._end else _line(self.rounds[-1], self._planned)
            print(text, file=self._file, flush=True)

    def _done(self) -> int:
        """Rounds in which clients were asked; number 0 is what the server measured before."""
        return sum(report.get("round", 0) != 0 for report in self.rounds)

    def _draw(self, at_once: bool) -> None:
        now = time.monotonic()
        if not at_once and now - self._drawn_at < self._between:
            return
        self._drawn_at = now
        self._shown.update(self)

    def _finished(self) -> str:
        end = self._end or {}
        said = f"{end.get('status', '')} after {self._done()} rounds"
        why = end.get("error") or end.get("reason")
        metrics = _numbers(end.get("metrics", {}))
        return said + (f": {why}" if why else "") + (f"; {metrics}" if metrics else "")

    def __repr__(self) -> str:
        if self._end:
            return self._finished()
        return _line(self.rounds[-1], self._planned) if self.rounds else self._now or "starting"

    def _repr_html_(self) -> str:
        rounds = self._done()
        whole = max(self._planned, rounds, 1)
        ended = 'style="accent-color: #888"' if self._end else ""
        said = self._finished() if self._end else f"round {min(rounds + 1, whole)} of {whole}"
        if self._now and not self._end:
            said += f", {self._now}"
        done = whole if self._end else min(rounds + self._part, whole)
        bar = f'<progress max="{whole}" value="{done:.3f}" {ended}></progress> {html.escape(said)}'
        return f"<div>{bar}{_table(self.rounds)}{_picture(curves(self.rounds))}</div>"


def curves(rounds: Iterable[Mapping[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    """Every metric over the rounds: (round, value) by name, what the server measured first.

    `rounds` are "round" events.  What clients measured is named "federated-loss" or
    "train-loss"; lists of numbers, values that are not finite and the sums of the clients' weights,
    num-examples, are left out.
    """
    return {name: points for name, points in _all_curves(rounds).items() if not is_weight(name)}


def is_weight(name: str) -> bool:
    """Whether a metric of a run is the sum of what clients count."""
    return name in [prefix + _WEIGHT for _, prefix in _SIDES[1:]]


def _all_curves(rounds: Iterable[Mapping[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    rounds = list(rounds)
    for side, prefix in _SIDES:
        for report in rounds:
            for name, value in (report.get(side) or {}).items():
                if isinstance(value, (int, float)) and abs(value) < float("inf"):
                    found.setdefault(prefix + name, []).append((int(report["round"]), value))
    return found


def plot(rounds: Iterable[Mapping[str, Any]], names: Sequence[str] | None = None) -> Any:
    """The curves of a run, each metric in a picture of its own beside the others.

    `rounds` are "round" events, as `Progress.rounds` and a simulation's result have them; `names`
    are those of `curves`, by default all, or of the clients' weights, as "train-num-examples".  A
    matplotlib Figure, or, where matplotlib is not installed, a simpler picture that a notebook
    shows as well.  KeyError for a name that no round has.
    """
    rounds = list(rounds)
    found = _all_curves(rounds)
    wanted = {name: found[name] for name in (curves(rounds) if names is None else names)}
    try:
        figure = _figure_type()(figsize=(4 * max(len(wanted), 1), 3), layout="constrained")
    except ModuleNotFoundError:
        return _Picture(wanted)
    for place, (name, points) in enumerate(wanted.items(), start=1):
        axes = figure.add_subplot(1, len(wanted), place)
        axes.plot([x for x, _ in points], [y for _, y in points], marker=".")
        axes.set_xlabel("round")
        axes.set_title(name)
        axes.grid(alpha=0.3)
    return figure


@cache
def _figure_type() -> Any:
    """matplotlib's Figure, shown by a notebook whether or not pyplot was imported."""

    class Figure(import_module("matplotlib.figure").Figure):  # type: ignore[misc]
        def _repr_png_(self) -> bytes:
            png = io.BytesIO()
            self.savefig(png, format="png")
            return png.getvalue()

    return Figure


class _Picture:
    """Curves without matplotlib."""

    def __init__(self, found: dict[str, list[tuple[int, float]]]) -> None:
        self._found = found

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {_number(points[0][1])} to {_number(points[-1][1])}"
                         for name, points in self._found.items())

    def _repr_html_(self) -> str:
        return _picture(self._found, len(self._found))


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float)) else str(value)


def _numbers(metrics: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_number(value)}" for name, value in metrics.items()
                     if isinstance(value, (int, float)) and not is_weight(name))


def _line(report: Mapping[str, Any], planned: int) -> str:
    measured = ", ".join(filter(None, (
        _numbers({prefix + name: value for name, value in (report.get(side) or {}).items()})
        for side, prefix in _SIDES)))
    failed = report.get("failures", 0)
    clients = f"{report.get('clients', 0):,} clients" + (f", {failed:,} failed" if failed else "")
    of = f"/{planned}" if planned else ""
    said = f"round {report.get('round', 0)}{of}: {measured or 'nothing measured'} ({clients})"
    return said + (f": {report['note']}" if report.get("note") else "")


def _table(rounds: Sequence[Mapping[str, Any]]) -> str:
    last = rounds[-_ROWS:]
    if not last:
        return ""
    values = curves(last)
    names = list(values)[:2 * _SERIES_MAX]
    head = "".join(f"<th>{html.escape(name)}</th>"
                   for name in ("round", "clients", "failed", "seconds", *names))
    body = ""
    for report in reversed(last):
        number = int(report["round"])
        cells: list[Any] = [number, report.get("clients", 0), report.get("failures", 0),
                            round(report.get("seconds", 0), 2)]
        cells += [dict(values[name]).get(number, "") for name in names]
        body += "<tr>" + "".join(f"<td>{_number(cell)}</td>" for cell in cells) + "</tr>"
    return f"<table><tr>{head}</tr>{body}</table>"


def _picture(found: Mapping[str, list[tuple[int, float]]], most: int = _SERIES_MAX) -> str:
    """SVG: each metric in a field of its own, 180 by 90, with its first and last values."""
    fields = ""
    for place, (name, points) in enumerate(list(found.items())[:most]):
        first, last = points[0][0], points[-1][0]
        low, high = min(y for _, y in points), max(y for _, y in points)
        line = " ".join(f"{4 + 172 * (x - first) / max(last - first, 1):.1f},"
                        f"{84 - 60 * (y - low) / ((high - low) or 1):.1f}" for x, y in points)
        colour = _COLOURS[place % len(_COLOURS)]
        title = f"{html.escape(name)} {_number(points[-1][1])}"
        fields += (f'<g transform="translate({190 * place},0)">'
                   f'<text x="4" y="14" font-size="12" fill="currentColor">{title}</text>'
                   f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>'
                   "</g>")
    if not fields:
        return ""
    return f'<svg width="{190 * min(len(found), most)}" height="96">{fields}</svg>'

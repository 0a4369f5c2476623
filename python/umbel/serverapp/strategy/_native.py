"""Rounds in the core, for strategies of which nothing is overridden."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from umbel import _core
from umbel.app import ArrayRecord

from .result import Result
from .strategy_utils import NOBODY_EVALUATES, without

if TYPE_CHECKING:
    from umbel.serverapp import Grid

    from .strategy import Plan, Strategy


def run_in_core(strategy: Strategy, grid: Grid, initial_arrays: ArrayRecord, plan: Plan,
                native: dict[str, Any]) -> Result:
    options = {
        "rounds": plan.num_rounds,
        "targets": [target.native() for target in plan.targets],
        "plateaus": [plateau.native() for plateau in plan.plateaus],
        "evaluate_fn": plan.evaluate_fn,
    }
    answer = _core.run_rounds(grid, grid._context, native, initial_arrays, options)
    result = Result(arrays=answer["arrays"], stopped_because=answer["stopped_because"],
                    history=answer["history"])
    weight = native["weight_key"]
    if any(_nobody_evaluates(report) for report in answer["history"]):
        grid._context.log(NOBODY_EVALUATES, level="warn")
    for report in answer["history"]:
        number = report["round"]
        for rounds, metrics in ((result.train_metrics_clientapp, report["train"]),
                                (result.evaluate_metrics_clientapp, report["evaluate"])):
            if len(metrics):
                rounds[number] = without(metrics, weight)
        if len(report["server"]):
            result.evaluate_metrics_serverapp[number] = report["server"]
    return result


def _nobody_evaluates(report: dict[str, Any]) -> bool:
    """Whether the round trained, and its evaluation met no client that has an action for it."""
    unknown = report["failure_reasons"].get("unknown-action", 0)
    return bool(unknown) and not report["note"] and not report["evaluate"]

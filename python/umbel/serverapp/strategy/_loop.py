"""Rounds in Python, for strategies that override something: the core's loop, hook by hook."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from umbel import _core
from umbel._errors import Aborted, InvalidArgument, WrongType
from umbel.app import ArrayRecord, Message, MetricRecord

from .result import Result
from .strategy_utils import NOBODY_EVALUATES

if TYPE_CHECKING:
    from umbel.serverapp import Grid

    from .strategy import Plan, Strategy

SKIPPED_IN_A_ROW_MAX = 3  # as the core has it
FAILURES_NAMED_MAX = 3  # in the log, of each round
TWIN_ROUNDS_MAX = 1_000_000

Failure = tuple[int, str, str]  # node, kind, reason


def run_in_python(strategy: Strategy, grid: Grid, initial_arrays: ArrayRecord, plan: Plan
                  ) -> Result:
    if plan.wrap_up is not None:
        raise InvalidArgument("start: wrap_up needs rounds in the core, and "
                              f"{type(strategy).__name__} overrides some of their hooks")
    return _Loop(strategy, grid, initial_arrays, plan).run()


class _Round:
    """What is known of one round while it goes on, under the names of the core's report."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.started = time.monotonic()
        self.clients = 0
        self.failures: list[Failure] = []
        self.bytes_down = self.bytes_up = 0
        self.train, self.evaluate = MetricRecord(), MetricRecord()
        self.server, self.note = MetricRecord(), ""

    def report(self) -> dict[str, Any]:
        return {"round": self.number, "seconds": time.monotonic() - self.started,
                "clients": self.clients, "failures": self.failures, "bytes_down": self.bytes_down,
                "bytes_up": self.bytes_up, "train": self.train, "evaluate": self.evaluate,
                "server": self.server, "note": self.note}


class _Loop:
    def __init__(self, strategy: Strategy, grid: Grid, arrays: ArrayRecord, plan: Plan) -> None:
        self.strategy, self.grid, self.plan = strategy, grid, plan
        self.context = grid._context
        self.arrays = arrays
        self.result = Result(arrays=arrays)
        self.skipped_in_a_row = 0
        self.example = ""  # of a failure, the latest
        self.told_of_evaluation = False
        self.trained_on = 0.0  # examples, in a twin

    def run(self) -> Result:
        twin = self.context.is_twin
        if _core.has_population(self.grid):
            self.context.log("the rounds of a strategy that overrides a hook take no virtual time: "
                             "the population says who is there at the start, and nobody leaves",
                             level="warn")
        rounds = TWIN_ROUNDS_MAX if twin else self.plan.num_rounds
        first = _core.rounds_begin(self.context, rounds)
        last = first + rounds - 1
        stopping = _core.Stopping(last, [] if twin else [t.native() for t in self.plan.targets],
                                  [] if twin else [p.native() for p in self.plan.plateaus])
        if self.plan.evaluate_fn is not None:
            initial = _Round(0)
            self._evaluate_here(initial)
            self._close(initial)
        for number in range(first, last + 1):
            metrics, evaluated = self._round(number, number == last)
            reason = stopping.after_round(number, metrics, evaluated)
            if twin and self._twin_is_trained():
                break
            if reason is not None:
                self.result.stopped_because = reason
                if number != last:
                    _core.ended_early(self.context, reason)
                break
        self._require_trained()
        self.result.arrays = self.arrays
        return self.result

    def _require_trained(self) -> None:
        """Rounds that were each skipped, however few, have made nothing."""
        rounds = [report for report in self.result.history if report["round"] > 0]
        if rounds and all(report["note"].startswith("skipped: ") for report in rounds):
            last = rounds[-1]
            raise Aborted(f"no round changed the model: round {last['round']}: {last['note']}; "
                          f"for example {self.example}")

    def _round(self, number: int, last: bool) -> tuple[MetricRecord, bool]:
        """One round; what stopping goes by, and whether the model was measured."""
        this = _Round(number)
        evaluated = False
        if hasattr(self.strategy, "current_arrays"):
            self.strategy.current_arrays = self.arrays
        changed = self._train(this)
        due = last or number % self.plan.evaluate_every == 0
        if not this.note and due:
            evaluated = self._evaluate_there(this)
            if self.plan.evaluate_fn is not None:
                self._evaluate_here(this)
                evaluated = True
        all_metrics = self._close(this)
        if changed:
            _core.round_model(self.context, number, self.arrays)
        if self.skipped_in_a_row >= SKIPPED_IN_A_ROW_MAX:
            raise Aborted(f"{self.skipped_in_a_row} rounds in a row were skipped; round {number}: "
                          f"{this.note}; for example {self.example}")
        return (MetricRecord() if this.note else all_metrics), evaluated

    def _train(self, this: _Round) -> bool:
        asked, replies, errors = self._ask(this, self.strategy.configure_train, self.arrays,
                                           self.plan.train_config)
        if not asked:
            return False
        needed = self.strategy._least = max(1, _ceil_share(self.plan.quorum, asked))
        arrays, metrics = (None, None)
        if asked - len(errors) >= needed:
            arrays, metrics = _pair(self.strategy.aggregate_train(this.number, replies))
        failed = self._note_failures(this, errors)
        this.clients = asked - failed
        if metrics is not None:
            metrics = _record(metrics, "aggregate_train")
            self.result.train_metrics_clientapp[this.number] = metrics
            this.train = MetricRecord({**metrics, **self.strategy._weights})
        if this.clients < needed:
            this.note = (f"skipped: {this.clients} of {asked} replies counted, at least {needed} "
                         f"must; {failed} failed")
            self.skipped_in_a_row += 1
            return False
        self.skipped_in_a_row = 0
        if arrays is None:
            return False
        if not isinstance(arrays, ArrayRecord):
            raise InvalidArgument(f"{type(self.strategy).__name__}.aggregate_train returned "
                                  f"{type(arrays).__name__} for the model, expected an ArrayRecord")
        self.arrays = arrays
        return True

    def _evaluate_there(self, this: _Round) -> bool:
        asked, replies, errors = self._ask(this, self.strategy.configure_evaluate, self.arrays,
                                           self.plan.evaluate_config)
        if not asked:
            return False
        metrics = self.strategy.aggregate_evaluate(this.number, replies)
        self._note_failures(this, errors)
        unknown = sum(kind == "unknown-action" for _, kind, _ in errors)
        if unknown == asked and not self.told_of_evaluation:
            self.told_of_evaluation = True
            self.context.log(NOBODY_EVALUATES, level="warn")
        if metrics is None:
            return False
        metrics = _record(metrics, "aggregate_evaluate")
        self.result.evaluate_metrics_clientapp[this.number] = metrics
        this.evaluate = MetricRecord({**metrics, **self.strategy._weights})
        return True

    def _evaluate_here(self, this: _Round) -> None:
        assert self.plan.evaluate_fn is not None
        metrics = self.plan.evaluate_fn(this.number, self.arrays)
        if metrics is not None:
            this.server = _record(metrics, "evaluate_fn")
            self.result.evaluate_metrics_serverapp[this.number] = this.server

    def _ask(self, this: _Round, configure: Any, arrays: ArrayRecord, config: Any
             ) -> tuple[int, list[Message], list[Failure]]:
        self.strategy._refused, self.strategy._weights = [], {}
        configured = _messages(configure(this.number, arrays, config, self.grid), configure)
        messages = [_in_round(message, this.number) for message in configured]
        if not messages:
            return 0, [], []
        this.bytes_down += _core.weigh(messages)[0]
        replies = list(self.grid.send_and_receive(messages, timeout=self.plan.timeout))
        up, errors = _core.weigh(replies)
        this.bytes_up += up
        return len(messages), replies, errors

    def _note_failures(self, this: _Round, errors: list[Failure]) -> int:
        """How many failed in this phase, with those whose replies the strategy did not count."""
        failures = sorted(errors + self.strategy._refused)
        for node, kind, reason in failures[:FAILURES_NAMED_MAX]:
            self.context.log(f"round {this.number}: client {node} failed ({kind}): {reason}",
                             level="warn")
        if len(failures) > FAILURES_NAMED_MAX:
            self.context.log(f"round {this.number}: {len(failures) - FAILURES_NAMED_MAX} more "
                             "clients failed", level="warn")
        this.failures += failures
        if failures:
            node, kind, reason = failures[0]
            self.example = f"client {node} ({kind}): {reason}"
        return len(failures)

    def _close(self, this: _Round) -> MetricRecord:
        report = this.report()
        metrics: MetricRecord = _core.round_finished(self.context, report)
        report["failures"] = len(this.failures)
        self.result.history.append(report)
        return metrics

    def _twin_is_trained(self) -> bool:
        weight = getattr(self.strategy, "weighted_by_key", "num-examples")
        metrics = self.result.history[-1]["train"]
        examples = metrics.get(weight, 0)
        self.trained_on += examples
        return not examples > 0 or self.trained_on >= _core.twin_examples(self.context)


def _in_round(message: Message, number: int) -> Message:
    """The same message as one of this round, on which its client's draws depend."""
    if not message.metadata.group_id:
        message.metadata.group_id = str(number)
    return message


def _ceil_share(share: float, of: int) -> int:
    return math.ceil(share * of * (1 - 1e-12))


def _record(metrics: Any, whose: str) -> MetricRecord:
    if isinstance(metrics, MetricRecord):
        return metrics
    try:
        return MetricRecord(dict(metrics))
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"{whose} returned {type(metrics).__name__}, expected a "
                              f"MetricRecord: {error}") from None


def _pair(returned: Any) -> tuple[Any, Any]:
    """What aggregate_train returned: a model or None, metrics or None."""
    if isinstance(returned, tuple) and len(returned) == 2:
        return returned
    raise WrongType(f"aggregate_train returned a value of type {type(returned).__name__}, "
                    "expected a pair: an ArrayRecord or None, a MetricRecord or None")


def _messages(returned: Any, hook: Any) -> list[Message]:
    """What configure_train or configure_evaluate returned, as a list."""
    try:
        messages = list(returned)
    except TypeError:
        raise WrongType(f"{hook.__name__} returned a value of type {type(returned).__name__}, "
                        "expected messages") from None
    for message in messages:
        if not isinstance(message, Message):
            raise WrongType(f"{hook.__name__} returned a value of type {type(message).__name__} "
                            "among its messages, expected Messages")
    return messages

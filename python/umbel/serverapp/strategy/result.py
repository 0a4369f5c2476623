"""What a strategy's rounds came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from umbel.app import ArrayRecord, MetricRecord


@dataclass
class Result:
    """The final model, and what was measured in each round.

    Attributes:
        arrays: the final global model; empty if no round changed the model.
        train_metrics_clientapp: by round, means over the clients that trained.
        evaluate_metrics_clientapp: by round, means over the clients that evaluated.
        evaluate_metrics_serverapp: by round, what ``evaluate_fn`` returned; round 0 is the model
            before any training.
        stopped_because: why the rounds ended, such as ``"accuracy reached 0.81 in round 4, ..."``.
        history: for each round a dict: ``round``, ``seconds``, ``clients`` (whose replies counted),
            ``failures``, ``bytes_down``, ``bytes_up``, ``train``, ``evaluate``, ``server``,
            ``note``, ...
    """

    arrays: ArrayRecord = field(default_factory=ArrayRecord)
    train_metrics_clientapp: dict[int, MetricRecord] = field(default_factory=dict)
    evaluate_metrics_clientapp: dict[int, MetricRecord] = field(default_factory=dict)
    evaluate_metrics_serverapp: dict[int, MetricRecord] = field(default_factory=dict)
    stopped_because: str = ""
    history: list[dict[str, Any]] = field(default_factory=list)

    def __repr__(self) -> str:
        lines = [f"Result: {len(self.arrays)} arrays, {len(self.history)} rounds"]
        for title, rounds in (("train, clients", self.train_metrics_clientapp),
                              ("evaluate, clients", self.evaluate_metrics_clientapp),
                              ("evaluate, server", self.evaluate_metrics_serverapp)):
            if rounds:
                lines.append(f"  {title}:")
                lines.extend(f"    round {number}: {_text(metrics)}"
                             for number, metrics in sorted(rounds.items()))
        if self.stopped_because:
            lines.append(f"  ended: {self.stopped_because}")
        return "\n".join(lines)


def _text(metrics: MetricRecord) -> str:
    return ", ".join(f"{name} {value:.6g}" if isinstance(value, (int, float)) else
                     f"{name} [{len(value)} numbers]" for name, value in metrics.items())

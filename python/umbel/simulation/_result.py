from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from umbel import _core
from umbel.app import ArrayRecord
from umbel.notebook import is_weight

_METRICS_SHOWN = 8  # by a result's repr


class TemporaryFolder:
    """A folder that goes with this object, in the process that made it."""

    def __init__(self) -> None:
        self.name = tempfile.mkdtemp(prefix="umbel-run-")
        weakref.finalize(self, _remove, self.name, os.getpid())


def _remove(folder: str, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(repr=False)
class SimulationResult:
    """What came of a run.

    Attributes:
        status: "completed".
        metrics: the last value of each metric by name; what clients measured as "federated-NAME"
            and "train-NAME".
        history: a dict for each round, as docs/app-process.md has its events: "round", "seconds",
            "clients", "failures", "train", "evaluate", "server", ...
        records: what the ServerApp published by Context.publish(), by name.
        output: the folder of the run's files; a temporary one goes with this object.
        rounds, clients, failures: rounds that were finished; replies that counted and did not.
        seconds: of the whole run.
        model_sha256: of the bytes of model.safetensors; "" without one.
        reason: why the rounds ended before the planned number, or "".
    """

    status: str
    metrics: dict[str, Any]
    history: list[dict[str, Any]]
    records: dict[str, dict[str, Any]]
    output: Path
    rounds: int
    clients: int
    failures: int
    seconds: float
    model_sha256: str
    reason: str
    _folder: TemporaryFolder | None = None

    def __repr__(self) -> str:
        failed = f", {self.failures:,} failures" if self.failures else ""
        said = f"SimulationResult: {self.status}, {self.rounds} rounds{failed}"
        numbers = [
            f"{name} {value:.6g}"
            for name, value in self.metrics.items()
            if isinstance(value, (int, float)) and not is_weight(name)
        ]
        said += f"; {', '.join(numbers[:_METRICS_SHOWN])}" if numbers else ""
        said += ", ..." if len(numbers) > _METRICS_SHOWN else ""
        return said + (f"; model {self.model_sha256[:12]}" if self.model_sha256 else "")

    @property
    def arrays(self) -> ArrayRecord:
        """The final model: output/model.safetensors.

        Raises:
            umbel.NotFound: if the run made none.
        """
        return self.load("model.safetensors")

    def load(self, name: str) -> ArrayRecord:
        """The arrays that the ServerApp kept by Context.save(name, ...)."""
        arrays: ArrayRecord = _core.load_arrays(str(self.output / name))
        return arrays

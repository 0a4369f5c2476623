"""A federation of virtual clients, from a script or a notebook."""

from __future__ import annotations

from umbel.simulation._result import SimulationResult
from umbel.simulation._run import run_simulation

__all__ = ["SimulationResult", "run_simulation"]

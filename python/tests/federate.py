"""Runs an app as `umbel run` does, without the command line: a spec, a process, its events."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Ran:
    """What a run came to."""

    finished: dict[str, Any]
    events: list[dict[str, Any]]
    output: pathlib.Path
    log: str  # standard output and error
    lines: list[str] = field(default_factory=list)  # of the run's log

    @property
    def rounds(self) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == "round"]

    def record(self, name: str) -> dict[str, Any]:
        """The metrics that the ServerApp published last under this name."""
        found = [e for e in self.events if e["event"] == "record" and e["name"] == name]
        assert found, f"no record {name}; the log says: {self.lines} {self.log}"
        return found[-1]["metrics"]


def run(folder: pathlib.Path, server: str, client: str | None, *, nodes: int = 4, seed: int = 1,
        threads: int = 2, config: dict[str, Any] | None = None, flower: bool = False,
        output: pathlib.Path | None = None, environment: dict[str, str] | None = None,
        python: str = sys.executable, twin_examples: int | None = None,
        population: dict[str, Any] | None = None, expect: str = "completed") -> Ran:
    """Runs the app in `folder` and asserts that the run's status is what is expected."""
    output = output or folder / f"out-{len(list(folder.glob('out-*')))}"
    output.mkdir(parents=True)
    spec: dict[str, Any] = {
        "version": 1, "run-id": 1, "seed": seed, "nodes": nodes, "threads": threads,
        "output": str(output.resolve()),
        "app": {"name": "test", "version": "0.1.0", "publisher": "tests", "path": str(folder)},
        "run-config": [{"key": key, "value": value, "origin": "--run-config"}
                       for key, value in (config or {}).items()]}
    if twin_examples is not None:
        spec["twin-examples"] = twin_examples
    if population is not None:
        spec["population"] = population
    path = output / "spec.json"
    path.write_text(json.dumps(spec))
    command = [python, "-m", "umbel", "--umbel-run", str(path.resolve()), "--server", server]
    if client is not None:
        command += ["--client", client]
    if flower:
        command += ["--flower"]
    events_file = output / "events"
    with open(events_file, "wb") as sink:
        os.set_inheritable(sink.fileno(), True)
        ran = subprocess.run(
            command, cwd=folder, pass_fds=[sink.fileno()], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=200, check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
                 "UMBEL_EVENTS_FD": str(sink.fileno()), **(environment or {})})
    events = [json.loads(line) for line in events_file.read_text().splitlines()]
    finished = [event for event in events if event["event"] == "finished"]
    assert finished, f"exit code {ran.returncode}, no finished event; it said: {ran.stdout}"
    lines = [event["message"] for event in events if event["event"] == "log"]
    said = f"{finished[-1]}\n{ran.stdout}\n" + "\n".join(lines)
    assert finished[-1]["status"] == expect, said
    return Ran(finished[-1], events, output, ran.stdout, lines)

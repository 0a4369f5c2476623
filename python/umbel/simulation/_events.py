from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any


class Events:
    """Reads a run's events from a pipe, on a thread of its own, and what its workers print."""

    def __init__(self, progress: Callable[[Mapping[str, Any]], None] | None) -> None:
        self.rounds: list[dict[str, Any]] = []
        self.records: dict[str, dict[str, Any]] = {}
        self.finished: dict[str, Any] = {}
        self._progress = progress
        self._event_read, self.event_end = os.pipe2(os.O_CLOEXEC)
        self._threads = [self._start(self._read_events)]
        # A notebook shows what is written to sys.stdout in its process, not to descriptor 1.
        self._output_read = self._output_end = -1
        if sys.stdout is not sys.__stdout__:
            self._output_read, self._output_end = os.pipe2(os.O_CLOEXEC)
            self._threads.append(self._start(self._read_output))

    def _start(self, target: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=target, daemon=True)
        thread.start()
        return thread

    def descriptors(self) -> list[int]:
        """What is not for workers."""
        ends = (self._event_read, self.event_end, self._output_read)
        return [end for end in ends if end >= 0]

    def write_output_here(self) -> None:
        """In a worker: has what it prints come out of this process's sys.stdout."""
        if self._output_end < 0:
            return
        os.dup2(self._output_end, 1)
        os.dup2(self._output_end, 2)
        sys.stdout = open(1, "w", buffering=1, closefd=False, errors="backslashreplace")
        sys.stderr = open(2, "w", buffering=1, closefd=False, errors="backslashreplace")

    def close(self) -> None:
        """After the run: waits until everything is read."""
        os.close(self.event_end)
        if self._output_end >= 0:
            os.close(self._output_end)
        for thread in self._threads:
            thread.join()

    def _read_events(self) -> None:
        with open(self._event_read, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                self._take(json.loads(line))

    def _take(self, event: dict[str, Any]) -> None:
        kind = event.get("event")
        if kind == "round":
            self.rounds.append(event)
        elif kind == "record":
            self.records[event["name"]] = event["metrics"]
        elif kind == "finished":
            self.finished = event
        elif kind == "log" and (event["side"], event["level"]) != ("server", "error"):
            _show(event)  # what the ServerApp raised comes out of run_simulation()
        if self._progress is None:
            return
        try:
            self._progress(event)
        except Exception as error:  # what is shown must not hurt what is run
            self._progress = None
            sys.stderr.write(f"progress: {type(error).__name__}: {error}\n")

    def _read_output(self) -> None:
        with open(self._output_read, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                sys.stdout.write(line)


def _show(event: Mapping[str, Any]) -> None:
    node = event.get("node")
    who = event["side"] if node is None else f"client {node}"
    stream = sys.stdout if event["level"] == "info" else sys.stderr
    stream.write(f"{who}: {event['message']}\n")

from __future__ import annotations

import json
import os
import select
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from umbel._process.start import print_whole_lines
from umbel._process.where import words_of


class Events:
    """Reads a run's events from a pipe, on a thread of its own, and what its workers print."""

    def __init__(self, progress: Callable[[Mapping[str, Any]], None] | None) -> None:
        self.rounds: list[dict[str, Any]] = []
        self.records: dict[str, dict[str, Any]] = {}
        self.finished: dict[str, Any] = {}
        self._progress = progress
        # The end is told, not seen: what user's code forked may hold the pipes' other ends.
        self._end_read, self._end_write = os.pipe2(os.O_CLOEXEC)
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
        ends = (
            self._event_read,
            self.event_end,
            self._output_read,
            self._end_read,
            self._end_write,
        )
        return [end for end in ends if end >= 0]

    def write_output_here(self) -> None:
        """In a worker: has what it prints come out of this process's sys.stdout."""
        if self._output_end < 0:
            print_whole_lines()
            return
        os.dup2(self._output_end, 1)
        os.dup2(self._output_end, 2)
        sys.stdout = open(1, "w", buffering=1, closefd=False, errors="backslashreplace")
        sys.stderr = open(2, "w", buffering=1, closefd=False, errors="backslashreplace")

    def close(self) -> None:
        """After the run: waits until everything is read."""
        os.write(self._end_write, b"\0")
        for thread in self._threads:
            thread.join()
        mine = (self._end_read, self._end_write, self._event_read, self.event_end)
        for descriptor in (*mine, self._output_read, self._output_end):
            if descriptor >= 0:
                os.close(descriptor)

    def _lines(self, descriptor: int) -> Iterator[str]:
        """The lines that come by a pipe, until it is empty after the end was told."""
        os.set_blocking(descriptor, False)
        poll = select.poll()
        for each in (descriptor, self._end_read):
            poll.register(each, select.POLLIN)
        rest = b""
        while True:
            ready = [number for number, _ in poll.poll()]
            try:
                some = os.read(descriptor, 1 << 16)
            except BlockingIOError:
                some = b""
            if not some and self._end_read in ready:
                break
            *lines, rest = (rest + some).split(b"\n")
            for line in lines:
                yield line.decode("utf-8", "replace") + "\n"
        if rest:
            yield rest.decode("utf-8", "replace")

    def _read_events(self) -> None:
        for line in self._lines(self._event_read):
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
            _write(sys.stderr, f"progress: {type(error).__name__}: {words_of(error)}\n")

    def _read_output(self) -> None:
        for line in self._lines(self._output_read):
            _write(sys.stdout, line)


def _show(event: Mapping[str, Any]) -> None:
    node = event.get("node")
    who = event["side"] if node is None else f"client {node}"
    stream = sys.stdout if event["level"] == "info" else sys.stderr
    _write(stream, f"{who}: {event['message']}\n")


def _write(stream: Any, text: str) -> None:
    try:
        stream.write(text)
    except Exception:
        pass  # a stream that is closed, or of the user's own: the run goes on

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from umbel import _core
from umbel._errors import Aborted, Cancelled, InvalidArgument, WrongType
from umbel._process import threads, zygote
from umbel._process.client import Answers
from umbel._process.seeding import states_kept
from umbel._process.serve import serve_client
from umbel._process.server import Main
from umbel._process.start import await_end
from umbel.clientapp import ClientApp
from umbel.serverapp import ServerApp
from umbel.simulation._events import Events
from umbel.simulation._result import SimulationResult, TemporaryFolder

Progress = Callable[[Mapping[str, Any]], None]


def run_simulation(
    server_app: ServerApp,
    client_app: ClientApp,
    num_supernodes: int,
    backend_name: str = "",
    backend_config: Mapping[str, Any] | None = None,
    enable_tf_gpu_growth: bool = False,
    verbose_logging: bool = False,
    *,
    run_config: Mapping[str, Any] | None = None,
    seed: int = 1,
    workers: int | None = None,
    output: str | os.PathLike[str] | None = None,
    progress: bool | Progress | None = None,
    population: Mapping[str, Any] | None = None,
) -> SimulationResult:
    """Runs an app on virtual clients, here and now.

    Clients are served by processes forked from this one, so that apps may be defined in a script or
    a notebook's cells; where TensorFlow or JAX has started its threads, which no fork takes along,
    by this process itself, one after another.  The same seed gives the same bytes either way, and
    for any number of workers: a client's code computes on one thread in both (sums over several
    round differently), and this process has its own numbers of threads back after each client.
    TensorFlow's cannot be changed once it has begun: for the same bytes in this process set
    TF_NUM_INTRAOP_THREADS=1 before it is imported; a warning says so.

    Args:
        server_app, client_app: the app.
        num_supernodes: how many clients there are, at least 1.
        backend_name, backend_config, enable_tf_gpu_growth, verbose_logging: Flower's; not used.
        run_config: the run's settings: bools, numbers and texts by name.
        seed: of everything random, 0 to 2**63 - 1.
        workers: how many processes; None: as many as there are processors; 0: clients are served
            by this process, where breakpoint() works.
        output: the folder for what the run keeps, made if it is not there; None: a temporary one.
        progress: called with each event (docs/app-process.md), on a thread of its own; True: a line
            for each round; None: shown in a notebook, nothing elsewhere; False: nothing.
        population: what the clients are like: the keys of docs/populations.md.

    Returns:
        What came of the run.

    Raises:
        umbel.Error: the run failed, with its reason; what main() itself raised comes out unchanged.
        KeyboardInterrupt: after the run was stopped, and its processes are gone; likewise
            bdb.BdbQuit, for ``q`` in a debugger that a client's code started.
    """
    del backend_name, backend_config, enable_tf_gpu_growth, verbose_logging
    _require(server_app, ServerApp, "server_app")
    _require(client_app, ClientApp, "client_app")
    folder = TemporaryFolder() if output is None else None
    place = Path(folder.name if folder else output).absolute()  # type: ignore[arg-type]
    place.mkdir(parents=True, exist_ok=True)
    spec = place / "spec.json"
    spec.write_text(json.dumps(_spec(num_supernodes, seed, workers, place, run_config, population)))
    main = Main(server_app)
    with _events(progress) as events, states_kept():
        interrupted = _carry_out(str(spec), main, client_app, workers, events)
    if interrupted or isinstance(main.raised, KeyboardInterrupt):
        raise KeyboardInterrupt
    if main.raised is not None and not isinstance(main.raised, Cancelled):
        raise main.raised
    end = events.finished
    if end.get("status") != "completed":
        kind = InvalidArgument if end.get("exit-code") == 4 else Aborted
        raise kind(end.get("error") or "the run ended without a word")
    return SimulationResult(
        status=end["status"],
        metrics=end["metrics"],
        history=events.rounds,
        records=events.records,
        output=place,
        rounds=end["rounds"],
        clients=end["clients"],
        failures=end["failures"],
        seconds=end["seconds"],
        model_sha256=end["model-sha256"],
        reason=end["reason"],
        _folder=folder,
    )


def _require(value: object, kind: type[Any], name: str) -> None:
    if not isinstance(value, kind):
        raise WrongType(
            f"run_simulation: {name} is of type {type(value).__name__}, expected a {kind.__name__}"
        )


def _spec(
    nodes: int,
    seed: int,
    workers: int | None,
    output: Path,
    run_config: Mapping[str, Any] | None,
    population: Mapping[str, Any] | None,
) -> dict[str, Any]:
    for name, value, least in (("num_supernodes", nodes, 1), ("seed", seed, 0)):
        if not hasattr(value, "__index__") or isinstance(value, bool):
            raise WrongType(
                f"run_simulation: {name} is of type {type(value).__name__}, expected an int"
            )
        if value < least:
            raise InvalidArgument(f"run_simulation: {name} = {value}, expected {least} or more")
    if workers is not None and (isinstance(workers, bool) or not hasattr(workers, "__index__")):
        raise WrongType(
            f"run_simulation: workers is of type {type(workers).__name__}, expected an int"
        )
    if workers is not None and workers < 0:
        raise InvalidArgument(f"run_simulation: workers = {workers}, expected 0 or more")
    settings = [
        {"key": key, "value": _setting(key, value), "origin": "run_config"}
        for key, value in _mapping(run_config, "run_config").items()
    ]
    spec: dict[str, Any] = {
        "version": 1,
        "run-id": 1,
        "seed": int(seed),
        "nodes": int(nodes),
        "threads": int(workers or 0),
        "output": str(output),
        "app": {"name": "app", "version": "0", "publisher": "", "path": os.getcwd()},
        "run-config": settings,
    }
    if population is not None:
        spec["population"] = dict(_mapping(population, "population"))
    return spec


def _mapping(value: object, name: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise WrongType(
            f"run_simulation: {name} is of type {type(value).__name__}, expected a dict"
        )
    return value


def _setting(name: str, value: object) -> Any:
    """A run's setting, as --run-config has them."""
    held = _core.setting_value(name, value)
    if isinstance(held, (bytes, list)):
        raise WrongType(
            f'run_simulation: setting "{name}" is of type {type(value).__name__}, expected a bool, '
            "a number or a str"
        )
    if isinstance(held, float) and not math.isfinite(held):
        raise InvalidArgument(f'run_simulation: setting "{name}" = {held}, expected a number')
    return held


@contextlib.contextmanager
def _events(progress: bool | Progress | None) -> Iterator[Events]:
    shown: Progress | None = None
    if callable(progress):
        shown = progress
    elif progress or progress is None:
        from umbel import notebook

        shown = notebook.Progress() if progress or notebook.in_notebook() else None
    events = Events(shown)
    try:
        yield events
    finally:
        events.close()


def _carry_out(
    spec: str, main: Main, client_app: ClientApp, workers: int | None, events: Events
) -> bool:
    """Runs it; whether it was interrupted."""
    answer = Answers(client_app, one_at_a_time=True, one_thread=True)
    control, child = -1, 0
    here = workers == 0 or os.environ.get("UMBEL_WORKERS") == "in-process"
    if not here and threads.may_fork():

        def serve(channel: int) -> int:
            threads.use_one_thread()
            events.write_output_here()
            return serve_client(channel, client_app)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of other threads: see may_fork()
            control, child = zygote.fork_zygote(serve, events.descriptors())
    run: _core.OwnRun | None = None
    try:
        run = _core.OwnRun(spec, main, answer, control, events.event_end)
        answer.stop = run.request_stop
        alone = contextlib.nullcontext() if child else threads.loaded_for_one_thread()
        with alone, _Interrupts(run.request_stop) as interrupts:
            run.run()
        if answer.left is not None:
            raise answer.left
        return interrupts.seen
    finally:
        answer.stop = None  # which has the run, and the run this
        if run is not None:
            run.close()  # the zygote's control socket too
        if child:
            await_end(child)


class _Interrupts:
    """Has Ctrl-C stop a run that is at work in the core, where no handler of Python's is called."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self.seen = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> _Interrupts:
        if not threads.is_main():
            return self
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        os.set_blocking(self._read, True)
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()
        return self

    def _wait(self) -> None:
        while number := os.read(self._read, 1):
            if number[0] == signal.SIGINT:
                self.seen = True
                self._stop()
            if number[0] == 0:
                return

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._thread is None:
            return
        signal.set_wakeup_fd(self._before, warn_on_full_buffer=False)
        os.write(self._write, b"\0")
        self._thread.join()
        os.close(self._read)
        os.close(self._write)

"""The sides of a comparison: their environments, their programs, what is measured of them.

Each measurement is a process of its own, ended with all that it started, so that no side idles beside
another.  bench_work.py has what all of them do.
"""
from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

BENCH = pathlib.Path(__file__).resolve().parent
ROOT = BENCH.parent
sys.path.insert(0, str(ROOT / "tools"))
import venvs  # noqa: E402  (its folder is no package)

NUMPY, TORCH = "numpy==2.4.6", "torch==2.13.0"
FLWR, RAY, PFL = "flwr==1.42.0", "ray==2.55.1", "pfl==0.6.0"
# What flwr 1.42.0 asks for, but any certifi: the one that it wants is younger than some mirrors.
FLWR_NEEDS = [
    "certifi", "grpcio>=1.70.0,<2.0.0", "grpcio-health-checking>=1.70.0,<2.0.0", "protobuf>=5.28.0,<7.0.0",
    "cryptography>=50.0.0,<51.0.0", "pycryptodome>=3.18.0,<4.0.0", "iterators>=0.0.2,<0.0.3",
    "typer>=0.13.0,<0.21.0", "uv>=0.13.5,<0.14.0", "tomli>=2.0.1,<3.0.0", "tomli-w>=1.0.0,<2.0.0",
    "pathspec>=1.0.4,<2.0.0", "prompt-toolkit>=3.0.52,<4.0.0", "rich>=14.0.0,<15.0.0", "pyyaml>=6.0.2,<7.0.0",
    "requests>=2.33.0,<3.0.0", "httpx>=0.28.1,<1.0.0", "click>=8.0.0,<9.0.0", "packaging>=24.0,<26.0",
    "sqlalchemy[asyncio]>=2.0.45,<3.0.0", "alembic>=1.18.1,<2.0.0", "uvicorn[standard]>=0.49.0,<0.50.0",
    "fastapi>=0.138.0,<0.139.0", "starlette>=1.3.1,<1.4.0"]
ENVIRONMENTS = {
    "flwr": ([NUMPY, TORCH, RAY, *FLWR_NEEDS], [FLWR]),
    "pfl": ([PFL, TORCH, NUMPY], []),
    "umbel": ([TORCH, NUMPY], []),
}
ACCURACY_APART = 0.005  # by which final models may differ
PAIRS = 7
PAIRS_SLOW, SLOW = 3, 20  # or so many, if one takes longer than so many seconds
PATIENCE = 1800  # seconds, for one measurement


class Missing(Exception):
    """A side that is not there; the message says which and why."""


class Failed(Exception):
    """A side that did not do its work; the message has its last words."""


def interpreter(name, smoke):
    """The Python with a side's packages; in a smoke test only if it was made before."""
    requirements, alone = ENVIRONMENTS[name]
    note = venvs.cache_folder() / f"bench-{name}.json"
    made = [requirements, alone]
    if smoke:
        try:
            wanted, python = json.loads(note.read_text())
        except (OSError, ValueError):
            wanted, python = None, ""
        if wanted != made or not os.access(python, os.X_OK):
            raise Missing(f"{name}: no environment yet; ./dev bench without --smoke makes it")
        return python
    try:
        python = venvs.venv(f"bench-{name}", requirements, alone)
    except (venvs.Skip, RuntimeError) as error:
        raise Missing(f"{name}: {error}") from error
    note.write_text(json.dumps([made, python]))
    return python


class Side:
    """A program that does the work, and the settings of it that are swept."""

    def __init__(self, name, command, path=(), settings=({},)):
        self.name, self.command, self.path = name, [str(part) for part in command], path
        self.settings = list(settings)
        self.best = self.settings[0]

    def environment(self, task):
        threads = str(task.get("blas", 1))
        found = {key: value for key, value in os.environ.items()
                 if not key.startswith(("OPENBLAS_", "OMP_", "MKL_", "PYTHON", "UMBEL_", "RAY_", "FLWR_"))}
        found.update(OMP_NUM_THREADS=threads, OPENBLAS_NUM_THREADS=threads, MKL_NUM_THREADS=threads,
                     PYTHONPATH=os.pathsep.join(map(str, [BENCH, *self.path])), PYTHONWARNINGS="ignore",
                     FLWR_TELEMETRY_ENABLED="0", RAY_USAGE_STATS_ENABLED="0")
        return found

    def start(self, task, folder, log):
        environment = self.environment(task)
        environment.update(RAY_TMPDIR=str(folder), HOME=str(folder), UMBEL_HOME=f"{folder}/umbel",
                           FLWR_HOME=f"{folder}/flwr")
        return subprocess.Popen([*self.command, json.dumps(task)], env=environment, cwd=folder, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                                start_new_session=True)

    def measure(self, task, memory=False):
        """What the program said in its line RESULT, and as "processor" the seconds that its processes computed for
        a round; "mebibytes" too if their memory is watched."""
        before = 0
        with self.lines({**task, **self.best}) as (process, lines), \
                Memory(process.pid) if memory else contextlib.nullcontext() as watch:
            for line in lines:
                if line.startswith("WARM"):
                    before = computed(process.pid)
                if line.startswith("RESULT "):
                    result = json.loads(line.removeprefix("RESULT "))
                    result["processor"] = (computed(process.pid) - before) / task["rounds"]
                    return {**result, "mebibytes": watch.most / 2**20} if memory else result

    def first_accuracy(self, task):
        """Seconds from the program's start to its first line ACCURACY."""
        began = time.perf_counter()
        with self.lines({**task, **self.best, "announce": True}) as (_, lines):
            for line in lines:
                if line.startswith("ACCURACY "):
                    return time.perf_counter() - began

    @contextlib.contextmanager
    def lines(self, task):
        """A process that does the task, and its lines; ended afterwards.  Failed if they end, or take too long."""
        with tempfile.TemporaryDirectory(prefix="ub-", ignore_cleanup_errors=True) as folder, \
                tempfile.TemporaryFile("w+") as log, self.start(task, folder, log) as process:
            late = threading.Timer(PATIENCE, end_session, [process])
            late.start()
            try:
                yield process, self._until_end(process, task, log)
            finally:
                late.cancel()
                end_session(process)

    def _until_end(self, process, task, log):
        last = []
        for line in process.stdout:
            last = [*last[-20:], line]
            yield line
        log.seek(0)
        raise Failed(f"{self.name} {json.dumps(task)}: {log.read()[-1500:]}{''.join(last)[-1500:]}")


def session(leader):
    """The ids of a session's processes: a program's and of what it started, such as Ray's daemons."""
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if os.getsid(int(entry.name)) == leader:
                    yield int(entry.name)


def computed(leader):
    """Seconds of processor time that a session's processes have taken."""
    ticks = 0
    for each in session(leader):
        with contextlib.suppress(OSError):
            with open(f"/proc/{each}/stat", encoding="utf-8") as file:
                ticks += sum(int(field) for field in file.read().rpartition(")")[2].split()[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def end_session(process):
    """Ends a program and what it left running, before the next is measured."""
    for each in session(process.pid):
        with contextlib.suppress(OSError):
            os.kill(each, signal.SIGKILL)
    process.wait()


class Memory:
    """The greatest memory of a session's processes (Pss: shared pages count once), looked at fifty times a second."""

    def __init__(self, leader):
        self.most, self.leader = 0, leader
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._watch)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    def _watch(self):
        while not self.done.wait(0.02):
            self.most = max(self.most, sum(pss(each) for each in session(self.leader)))


def pss(process):
    with contextlib.suppress(OSError):
        with open(f"/proc/{process}/smaps_rollup", encoding="ascii") as file:
            return 1024 * sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    return 0


class Sides:
    """All sides that are there, by name; what is not there is named once."""

    def __init__(self, bench):
        self.bench, self.smoke = bench, bench.options.smoke
        self.folder = tempfile.TemporaryDirectory(
            prefix="umbel-bench-data-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        self.data = self.folder.name
        processors = [1] if self.smoke else sorted({1, min(2, os.cpu_count() or 1)})
        self.found = {}
        self._add("umbel, C++", lambda: Side("umbel, C++", [self._program("bench_side_by_side")],
                                             settings=[{"threads": n} for n in processors]))
        self._add("umbel, Python", lambda: self._umbel([{"workers": n} for n in processors + [4] * (not self.smoke)]))
        asked = [1] if self.smoke else [2, 1, 0.5]  # of Ray's processors, for each client
        for engine, script in (("run_simulation", "simulate.py"), ("start_simulation", "legacy.py")):
            self._add(f"flwr {engine}", lambda e=engine, s=script: Side(
                f"flwr {e}", [interpreter("flwr", self.smoke), BENCH / "vs_flower" / s],
                settings=[{"num_cpus": n} for n in asked]))
        for form in ("numpy", "numpy-gloo", "torch"):
            processes = [1] if form == "numpy" else processors
            self._add(f"pfl {form}", lambda f=form, p=processes: Side(
                f"pfl {f}", [interpreter("pfl", self.smoke), BENCH / "vs_pfl" / "simulate.py"],
                settings=[{"form": f, "processes": n, "threads": t, "blas": t}
                          for n in p for t in processors if n * t <= processors[-1]]))
        with_numpy = next((side for name, side in self.found.items() if name != "umbel, C++"), None)
        if with_numpy is None:
            raise Missing("S0 to S5, F1, F2 beside flwr and pfl: neither they nor our Python package are there")
        subprocess.run([with_numpy.command[0], BENCH / "bench_work.py", "export", self.data], check=True)

    def _add(self, name, make):
        try:
            self.found[name] = make()
        except Missing as reason:
            self.bench.skip(f"{name}: {reason}")

    def _program(self, name):
        program = self.bench.bin / name
        if not program.exists():
            raise Missing(f"this build has no {program}")
        return program

    def _umbel(self, settings):
        package = self.bench.bin.parent / "python"
        if not (package / "umbel" / "__init__.py").exists():
            raise Missing(f"this build has no Python package in {package}")
        return Side("umbel, Python", [interpreter("umbel", self.smoke), BENCH / "vs_flower" / "umbel_side.py"],
                    path=[package], settings=settings)

    def pick(self, *names):
        return [self.found[name] for name in names if name in self.found]

    def sweep(self, row, side, task):
        """Chooses a side's best setting for this work, and notes all; what it said with that setting."""
        seen = []
        for side.best in side.settings:
            seen.append((side.measure(task), side.best))
        result, side.best = min(seen, key=lambda one: one[0]["seconds"])
        self.bench.note(f"{row}: {side.name}: " + "; ".join(
            f"{said(setting)}: {one['seconds'] * 1e3:.3g} ms a round" for one, setting in seen))
        return result

    def in_turn(self, ours, peers, task, rounds):
        """Results of all sides by name, a list with one entry for each pair."""
        results = {side.name: [] for side in [*ours, *peers]}
        order = [*ours, *peers]
        began = time.perf_counter()
        for pair in range(PAIRS):
            if pair == PAIRS_SLOW and time.perf_counter() - began > SLOW * pair:
                break
            for side in order if pair % 2 == 0 else reversed(order):
                seeded = {**task, "seed": 1 + pair % 3, "rounds": rounds.get(side.name, task["rounds"])}
                seeded["cohorts"] = f"{self.data}/cohorts-{task['work']}-{seeded['seed']}"
                results[side.name].append(side.measure(cohorts_for(side, seeded)))
        return results


def cohorts_for(side, task):
    """Others take the clients that Umbel drew, where they can; the C++ program is timed without writing them."""
    reads = side.name.startswith("pfl") or side.name == "flwr start_simulation"
    if not reads or not os.path.exists(task["cohorts"]):
        task = {key: value for key, value in task.items() if key != "cohorts"}
    return task


def said(setting):
    return ", ".join(f"{key} {value}" for key, value in setting.items() if key not in ("form", "blas"))


def spread(values):
    return {"ratio": statistics.median(values), "ratio-min": min(values), "ratio-max": max(values)}

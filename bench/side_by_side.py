"""The same work on Umbel, on flwr (with its Ray) and on pfl, in turn; bench/run calls this.

Every side reads the same files (bench_work.py), trains the same model with the same numbers, and says in
a line RESULT how long a round took after its warm-up and what accuracy the last model has.  Each
measurement is a program of its own, so that no side idles beside another.  First each side's settings
are swept, then the best of each are measured in turn: A B C D D C B A, and so on.
"""
from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

BENCH = pathlib.Path(__file__).resolve().parent
ROOT = BENCH.parent
sys.path.insert(0, str(ROOT / "python" / "tests"))
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
                     PFL_GRAPH_CACHE="false", FLWR_TELEMETRY_ENABLED="0", RAY_USAGE_STATS_ENABLED="0")
        return found

    def start(self, task, folder, log):
        environment = self.environment(task)
        environment.update(HOME=str(folder), UMBEL_HOME=f"{folder}/umbel", FLWR_HOME=f"{folder}/flwr")
        return subprocess.Popen([*self.command, json.dumps(task)], env=environment, cwd=folder, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                                start_new_session=True)

    def measure(self, task, memory=False):
        """What the program said in its line RESULT; "mebibytes" too if its memory is watched."""
        with self.lines({**task, **self.best}) as (process, lines), \
                Memory(process.pid) if memory else contextlib.nullcontext() as watch:
            for line in lines:
                if line.startswith("RESULT "):
                    result = json.loads(line.removeprefix("RESULT "))
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
        """A process that does the task, and its lines; ended afterwards.  Failed if they end or take too long."""
        with tempfile.TemporaryDirectory(prefix="umbel-bench-", ignore_cleanup_errors=True) as folder, \
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
                settings=[{"form": f, "processes": n, "threads": t, "blas": t} for n in p for t in processors]))
        with_numpy = next(side for name, side in self.found.items() if name.startswith(("pfl", "flwr")))
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

    def in_turn(self, pairs, ours, peers, task, rounds):
        """Results of all sides by name, a list with one entry for each pair."""
        results = {side.name: [] for side in [*ours, *peers]}
        order = [*ours, *peers]
        for pair in range(pairs):
            for side in order if pair % 2 == 0 else reversed(order):
                seeded = {**task, "seed": 1 + pair % 3, "rounds": rounds.get(side.name, task["rounds"])}
                seeded["cohorts"] = f"{self.data}/cohorts-{task['work']}-{seeded['seed']}"
                results[side.name].append(side.measure(cohorts_for(side, seeded)))
        return results


def cohorts_for(side, task):
    """pfl reads the clients that Umbel drew, if they are there; the C++ program is timed without writing them."""
    if not side.name.startswith("pfl") or not os.path.exists(task["cohorts"]):
        task = {key: value for key, value in task.items() if key != "cohorts"}
    return task


def said(setting):
    return ", ".join(f"{key} {value}" for key, value in setting.items() if key not in ("form", "blas"))


def spread(values):
    return {"ratio": statistics.median(values), "ratio-min": min(values), "ratio-max": max(values)}


# --- S0 to S5 ----------------------------------------------------------------------------------

FLWR_SIDES = ("flwr run_simulation", "flwr start_simulation")
PEERS = {"flwr": FLWR_SIDES, "pfl, NumPy": ("pfl numpy", "pfl numpy-gloo"), "pfl, PyTorch": ("pfl torch",)}
# Multiplications and additions that training one client takes (50 examples, one epoch).
FLOPS = {"softmax": 1.57e6, "perceptron": 44e6, "niid-cnn": 76e6, "mcmahan-cnn": 3620e6}
WORKS = {  # id: (what it is called, the task, whether with NumPy and C++, whether with PyTorch)
    "S0": ("no training, 7,850 floats sent back, 1,000 of 100,000 clients",
           {"work": "noop", "pool": 100_000, "cohort": 1000, "rounds": 20, "warm_up": 2}, True, False),
    "S1": ("softmax regression, 50 of 1,200 clients",
           {"work": "softmax", "pool": 1200, "cohort": 50, "rounds": 100, "warm_up": 3}, True, True),
    "S2": ("perceptron 784-200-200-10, 50 of 1,200 clients",
           {"work": "perceptron", "pool": 1200, "cohort": 50, "rounds": 30, "warm_up": 2}, True, True),
    "S3": ("CNN of NIID-Bench, 50 of 1,200 clients",
           {"work": "niid-cnn", "pool": 1200, "cohort": 50, "rounds": 10, "warm_up": 2}, False, True),
    "S4": ("CNN of McMahan et al., 20 of 1,200 clients",
           {"work": "mcmahan-cnn", "pool": 1200, "cohort": 20, "rounds": 3, "warm_up": 1}, False, True),
}


class Work:
    """One row's work on all sides."""

    def __init__(self, sides, row, native):
        self.sides, self.bench, self.row = sides, sides.bench, row
        name, task, _, _ = WORKS[row]
        self.case = name if native else f"{name}, PyTorch"
        self.native = native
        self.task = {**task, "data": sides.data, "rate": 0.01, "torch": not native}
        self.rounds = {}  # of sides that are too slow for the task's
        self.swept = {}
        if sides.smoke:
            self.task.update(pool=40, cohort=8, rounds=1, warm_up=1)
        elif row == "S0":
            self.rounds = dict.fromkeys(FLWR_SIDES, 3)

    def groups(self):
        """The names under which rows show sides: ours, and each peer's ways of doing the work."""
        ours = {"C++": ("umbel, C++",), "Python": ("umbel, Python",)} if self.native else {
            "PyTorch": ("umbel, Python",)}
        peers = dict(PEERS) if self.native else {"flwr": PEERS["flwr"], "pfl": ("pfl torch",)}
        if self.row in ("S0", "S4"):
            peers["flwr"] = ("flwr start_simulation",)  # S0: see newer_engine()
        if self.sides.smoke and self.row != "S1":  # Ray and PyTorch take their seconds to start
            peers = {"pfl, PyTorch": ("pfl torch",)} if self.row == "S3" else {"pfl, NumPy": ("pfl numpy",)}
        return ours, peers

    def run(self):
        ours, peers = ({name: self.sides.pick(*members) for name, members in group.items()}
                       for group in self.groups())
        if not any(ours.values()):
            return
        if self.row == "S0" and not self.sides.smoke:
            self.newer_engine()
        chosen = {name: self.best_of(members) for name, members in {**ours, **peers}.items() if members}
        if self.sides.smoke:
            results = self.swept
        else:
            self.draw_cohorts(chosen)
            results = self.sides.in_turn(7, [chosen[n] for n in ours if n in chosen],
                                         [chosen[n] for n in peers if n in chosen], self.task, self.rounds)
        self.hold_to_accuracy(results)
        for our_name in ours:
            for peer_name in peers:
                if our_name in chosen and peer_name in chosen:
                    self.emit(our_name, chosen[our_name], peer_name, chosen[peer_name], results)

    def best_of(self, members):
        """The fastest of a peer's ways, each with its best setting."""
        few = max(1, self.task["rounds"] // 5)
        for member in members:
            self.swept[member.name] = [self.sides.sweep(
                self.row, member, {**self.task, "rounds": min(few, self.rounds.get(member.name, few))})]
        return min(members, key=lambda member: self.swept[member.name][0]["seconds"])

    def newer_engine(self):
        """flwr's run_simulation looks at each client for each message: too slow for a large pool."""
        for side in self.sides.pick("flwr run_simulation"):
            side.best = {"num_cpus": 1}
            seconds = side.measure({**self.task, "pool": 10_000, "rounds": 1, "warm_up": 0})["seconds"]
            self.bench.note(f"S0: flwr run_simulation, num_cpus 1: {seconds:.3g} s a round with 1,000 of only "
                            "10,000 clients; the time grows with the number of clients, so the rows are of "
                            "start_simulation")

    def draw_cohorts(self, chosen):
        if "C++" in chosen and self.task["work"] != "noop":
            for seed in (1, 2, 3):
                path = f"{self.sides.data}/cohorts-{self.task['work']}-{seed}"
                chosen["C++"].measure({**self.task, "seed": seed, "cohorts": path})

    def hold_to_accuracy(self, results):
        accuracies = {name: statistics.mean(one["accuracy"] for one in runs)
                      for name, runs in results.items() if runs and "accuracy" in runs[0]}
        if not accuracies:
            return
        self.bench.note(f"{self.row}: {self.case}: accuracy after {self.task['rounds'] + self.task['warm_up']} "
                        "rounds, mean of the seeds: " +
                        "; ".join(f"{name}: {100 * value:.2f} %" for name, value in accuracies.items()))
        apart = max(accuracies.values()) - min(accuracies.values())
        if apart > ACCURACY_APART and not self.sides.smoke:
            raise Failed(f"{self.row}: accuracies are {100 * apart:.2f} points apart: {accuracies}")

    def emit(self, our_name, ours, peer_name, peer, results):
        clients = self.task["cohort"]
        mine = [one["seconds"] for one in results[ours.name]]
        theirs = [one["seconds"] for one in results[peer.name]]
        row = {"id": self.row, "case": f"{self.case}: {our_name}", "ours": clients / statistics.median(mine),
               "unit": "clients/s", "peer": f"{peer_name} ({peer.name.split()[1]})",
               "peer-value": clients / statistics.median(theirs), "peer-version": f"{FLWR}, {RAY}, {PFL}",
               "ours-settings": ours.best, "peer-settings": peer.best, "runs": len(mine),
               **spread([b / a for a, b in zip(mine, theirs)])}
        floor = self.bench.floor(self.task["work"])
        if floor:
            row.update({"floor": floor, "share-of-floor": row["ours"] / floor})
        self.bench.emit(row)


class Floors:
    """What this machine's processors allow, in clients a second."""

    def __init__(self, program):
        said = subprocess.run([program, '{"work": "floor"}'], check=True, stdout=subprocess.PIPE, text=True).stdout
        self.constants = json.loads(said.removeprefix("RESULT "))

    def __call__(self, work):
        if work == "noop":
            return self.constants["updates"]
        return self.constants["flops"] / FLOPS[work]


def population(sides):
    """S5: a round's time and the memory of all processes, by the number of clients there are."""
    sizes = {"umbel, C++": (10**4, 10**6, 10**8), "umbel, Python": (10**4, 10**6, 10**8),
             "pfl numpy": (10**4, 10**6, 10**8), "flwr start_simulation": (10**4, 10**5, 10**6),
             "flwr run_simulation": (10**3, 10**4)}
    for side in sides.pick(*sizes):
        side.best = side.settings[min(1, len(side.settings) - 1)]
        flwr = side.name in FLWR_SIDES
        if sides.smoke and flwr:
            continue
        task = {"work": "softmax", "data": sides.data, "rate": 0.01, "cohort": 8 if sides.smoke else 1000,
                "rounds": 1 if flwr or sides.smoke else 5, "warm_up": int(side.name != "flwr run_simulation"), "seed": 1}
        repeat = 1 if sides.smoke or flwr else 5
        few = sizes[side.name][0]
        times = {}
        for clients in sizes[side.name][:2] if sides.smoke else sizes[side.name]:
            case = f"{side.name}: {clients:,} clients, softmax regression, {task['cohort']:,} a round"
            times[clients] = [side.measure({**task, "pool": clients})["seconds"] for _ in range(repeat)]
            row = {"id": "S5", "case": case, "ours": statistics.median(times[clients]) * 1e3, "unit": "ms a round",
                   "runs": repeat}
            if clients != few:
                row.update({"peer": f"{few:,} clients", "peer-value": statistics.median(times[few]) * 1e3,
                            **spread([a / b for a, b in zip(times[few], times[clients])])})
            sides.bench.emit(row)
            memory = side.measure({**task, "pool": clients}, memory=True)["mebibytes"]
            sides.bench.emit({"id": "S5", "case": f"{case}: memory of all processes", "ours": memory, "unit": "MiB",
                              "runs": 1})


def kinds(sides, wanted):
    """Rows to measure: (id, whether with NumPy and C++ or else with PyTorch); few in a smoke test."""
    for row, (_, _, native, with_torch) in WORKS.items():
        if row in wanted and not (sides.smoke and row == "S4"):
            if native:
                yield row, True
            if with_torch and not (sides.smoke and native):
                yield row, False


# --- A1, F1, F2 --------------------------------------------------------------------------------

class Folder:
    """vs_flower/fold.py: answers a method's name with the seconds it took."""

    def __init__(self, side, framework, k, n, threads):
        environment = side.environment({"blas": threads})
        environment["UMBEL_THREADS"] = str(threads)
        self.process = subprocess.Popen(
            [side.command[0], BENCH / "vs_flower" / "fold.py", framework, str(k), str(n)], text=True,
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.process.stdout.readline().strip() != "ready":
            raise Failed(f"A1: fold.py {framework} did not start")

    def ask(self, method):
        self.process.stdin.write(f"{method}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        output, _ = self.process.communicate()
        return [float(word) for word in output.split()]


def aggregation(sides):
    """A1 through the Python API: FedAvg's aggregate_train of replies that lie in memory."""
    bench = sides.bench
    pair = [sides.pick(name) for name in ("umbel, Python", "flwr run_simulation")]
    if not all(pair):
        return
    (ours,), (peer,) = pair
    cases = [(10, 10_000)] if sides.smoke else [(10, 10_000_000), (50, 1_000_000), (200, 100_000)]
    threads = min(2, os.cpu_count() or 1)
    for k, n in cases:
        mine, theirs = (Folder(side, name, k, n, threads) for side, name in ((ours, "umbel"), (peer, "flwr")))
        read, copy = (bench.limits[f"{what}, {threads} thread(s)"]["ours"] * 1e9 for what in ("read", "copy"))
        floor = k * n * 4 / read + n * 4 / copy
        methods = ("aggregate_train", "aggregate_arrayrecords", "legacy", "numpy")
        times = {method: [] for method in ("ours", *methods)}
        for repeat in range(2 if sides.smoke else 10):
            order = [("ours", mine, "aggregate_train"), *((name, theirs, name) for name in methods)]
            for name, side, method in order if repeat % 2 == 0 else reversed(order):
                times[name].append(side.ask(method))
        means = mine.close(), theirs.close()
        for got, want in zip(*means):
            if abs(got - want) > 1e-4 * abs(want) + 1e-6:
                raise Failed(f"A1: our mean is {means[0]}, flwr's {means[1]}")
        seconds = {name: statistics.median(values[1:]) for name, values in times.items()}
        names = {"aggregate_train": "flwr, FedAvg.aggregate_train",
                 "aggregate_arrayrecords": "flwr, aggregate_arrayrecords",
                 "legacy": "flwr, aggregate of NumPyClients' results",
                 "numpy": "NumPy, weights @ stacked matrix"}
        for method in methods:
            ratios = [b / a for a, b in zip(times["ours"][1:], times[method][1:])]
            bench.emit({"id": "A1", "case": f"Python, FedAvg.aggregate_train: {k} replies of {n:,} float32, "
                        f"{threads} thread(s)", "ours": seconds["ours"] * 1e3, "unit": "ms", "peer": names[method],
                        "peer-version": f"{FLWR}, {NUMPY}", "peer-value": seconds[method] * 1e3, **spread(ratios),
                        "floor": floor * 1e3, "share-of-floor": floor / seconds["ours"], "runs": len(ratios)})


def first_line(sides):
    """F1: from a program's start to its first line with an accuracy: 10 nodes, a round of all of them."""
    task = {"work": "softmax", "data": sides.data, "rate": 0.01, "pool": 10, "cohort": 10, "rounds": 2,
            "warm_up": 1, "seed": 1}
    names = ("umbel, C++", "umbel, Python", "flwr run_simulation", "flwr start_simulation", "pfl numpy", "pfl torch")
    found = sides.pick(*(name for name in names if not sides.smoke or name not in FLWR_SIDES))
    for side in found:
        side.best = side.settings[-1 if not side.name.startswith("flwr") else min(1, len(side.settings) - 1)]
    compare(sides, "F1", "first line with an accuracy, 10 clients, a script", found,
            lambda side: side.first_accuracy(task), 1 if sides.smoke else 7)


def compare(sides, row, case, found, measure, repeats):
    """Rows of each of our sides against each of the others, measured in turn."""
    times = {side.name: [] for side in found}
    for repeat in range(repeats):
        for side in found if repeat % 2 == 0 else reversed(found):
            times[side.name].append(measure(side))
    ours = [name for name in times if name.startswith("umbel")]
    for mine in ours:
        for peer in [name for name in times if name not in ours]:
            sides.bench.emit({"id": row, "case": f"{case}: {mine}", "ours": statistics.median(times[mine]) * 1e3,
                              "unit": "ms", "peer": peer, "peer-value": statistics.median(times[peer]) * 1e3,
                              **spread([b / a for a, b in zip(times[mine], times[peer])]), "runs": repeats})


class Command:
    """A program that is started to see how long that takes."""

    def __init__(self, name, command, path=()):
        self.name, self.command, self.path = name, [str(part) for part in command], path

    def seconds(self):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, self.path)),
                       "FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0"}
        began = time.perf_counter()
        subprocess.run(self.command, env=environment, check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - began


def starts(sides):
    """F2: the command lines' --help, and what importing the packages costs beyond NumPy."""
    repeats = 1 if sides.smoke else 11
    binaries = sides.bench.bin
    commands = [Command("umbel --help", [binaries / "umbel", "--help"])]
    flwr = sides.pick("flwr run_simulation")
    if flwr:
        folder = pathlib.Path(flwr[0].command[0]).parent
        commands.append(Command("flwr --help", [folder / "flwr", "--help"]))
    compare(sides, "F2", "the command line's start", [c for c in commands if os.access(c.command[0], os.X_OK)],
            Command.seconds, repeats)
    hubs = [Server("umbel-superlink, TLS", [binaries / "umbel-superlink", "--address", "127.0.0.1", "--state", "hub"],
                   ["--port", "{port}"])]
    if flwr:
        hubs.append(Server("flower-superlink, no TLS", [folder / "flower-superlink", "--insecure", "--isolation",
                                                        "process", "--host", "127.0.0.1"], ["--port", "{port}"]))
    compare(sides, "F2", "a hub that takes connections", [c for c in hubs if os.access(c.command[0], os.X_OK)],
            Server.seconds, repeats)
    ours, pfl = sides.pick("umbel, Python"), sides.pick("pfl numpy")
    imports = []
    for side, what in ((ours, "umbel, umbel.app, umbel.clientapp, umbel.serverapp"),
                       (flwr, "flwr.app, flwr.clientapp, flwr.serverapp"), (pfl, "pfl.algorithm.base")):
        for one in side[:1]:
            imports.append(Import(what.split(".")[0].split(",")[0], one, f"import numpy, {what}"))
    compare(sides, "F2", "import, beyond NumPy's", imports, Import.seconds, repeats)


class Server(Command):
    """A hub that is started to see when it takes connections."""

    def __init__(self, name, command, port_option):
        super().__init__(name, command)
        self.port_option = port_option

    def seconds(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with tempfile.TemporaryDirectory(prefix="umbel-bench-", ignore_cleanup_errors=True) as folder:
            environment = {**os.environ, "HOME": folder, "UMBEL_HOME": folder, "FLWR_HOME": folder,
                           "FLWR_TELEMETRY_ENABLED": "0",
                           "PATH": f"{pathlib.Path(self.command[0]).parent}:{os.environ['PATH']}"}
            began = time.perf_counter()
            with subprocess.Popen([*self.command, *(part.format(port=port) for part in self.port_option)],
                                  env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, start_new_session=True) as process:
                try:
                    self._wait(process, port)
                    return time.perf_counter() - began
                finally:
                    end_session(process)

    def _wait(self, process, port):
        for _ in range(60_000):
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port)).close()
                return
            if process.poll() is not None:
                break
            time.sleep(0.001)
        raise Failed(f"F2: {self.name} takes no connections")


class Import(Command):
    def __init__(self, name, side, code):
        super().__init__(f"{name}, import", [side.command[0], "-c", code], side.path)
        self.numpy_alone = Command(name, [side.command[0], "-c", "import numpy"], side.path)

    def seconds(self):
        return max(super().seconds() - self.numpy_alone.seconds(), 1e-4)


ALL = ("S0", "S1", "S2", "S3", "S4", "S5", "F1", "F2", "A1")


def measure(bench, wanted):
    try:
        sides = Sides(bench)
    except Missing as reason:
        bench.skip(str(reason))
        return
    with sides.folder:
        for row, kind in kinds(sides, wanted):
            bench.attempt(row, Work(sides, row, kind).run)
        for row, run in (("S5", population), ("A1", aggregation), ("F1", first_line), ("F2", starts)):
            if row in wanted:
                bench.attempt(row, lambda run=run: run(sides))

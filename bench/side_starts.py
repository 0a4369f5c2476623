"""A1, F1 and F2: the mean of replies that lie in memory, and how long starts take."""
from __future__ import annotations

import contextlib
import os
import pathlib
import socket
import statistics
import subprocess
import tempfile
import time

from side_rounds import FLWR_SIDES
from sides import BENCH, FLWR, NUMPY, Failed, end_session, spread

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
            bench.emit({"beside": True, "id": "A1", "case": "Python, FedAvg.aggregate_train: "
                        f"{k} replies of {n:,} float32, {threads} thread(s)", "ours": seconds["ours"] * 1e3, "unit": "ms", "peer": names[method],
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
            sides.bench.emit({"beside": True, "id": row, "case": f"{case}: {mine}", "unit": "ms",
                              "ours": statistics.median(times[mine]) * 1e3, "peer": peer, "peer-value": statistics.median(times[peer]) * 1e3,
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

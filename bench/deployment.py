"""The benches of the deployment: a hub, nodes and runs in processes of their own, TLS on."""
import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
PATIENCE = 120  # seconds, for whatever should take a few


def spread(values):
    return {"ratio": statistics.median(values), "ratio-min": min(values), "ratio-max": max(values)}


class Lines:
    """A program whose standard output is read line by line."""

    def __init__(self, command, environment, log):
        self.log = log
        with open(log, "ab") as errors:
            self.process = subprocess.Popen([str(part) for part in command], env=environment, text=True,
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                                            preexec_fn=many_descriptors)

    def until(self, pattern):
        """The lines up to the first that matches, and the match."""
        lines = []
        for line in self.process.stdout:
            lines.append(line.rstrip("\n"))
            if match := re.search(pattern, line):
                return lines, match
        sys.exit(f"{self.process.args[0]} ended; expected {pattern!r}; {self.log} says:\n"
                 f"{pathlib.Path(self.log).read_text()[-2000:]}")

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self):
        self.process.stdin.close()
        rest = self.process.stdout.read()
        self.process.wait(timeout=PATIENCE)
        return rest

    def kill(self, number=signal.SIGKILL):
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(timeout=PATIENCE)


def copied(app, folder):
    """The app where its build leaves nothing behind."""
    target = pathlib.Path(folder) / "app"
    shutil.copytree(ROOT / app, target, ignore=shutil.ignore_patterns("build"))
    return target


def many_descriptors():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Deployment:
    """A hub in a folder of its own, with a link of that name for the command line."""

    def __init__(self, binaries, folder):
        self.bin = pathlib.Path(binaries)
        self.folder = pathlib.Path(folder)
        self.environment = dict(os.environ, UMBEL_HOME=str(self.folder / "home"))
        self.port = 0
        self.trust = None
        self.hub = None

    def open(self):
        self.start()
        self.umbel("link", "add", "hub", self.address, "--trust", f"sha256:{self.trust}",
                   "--key", self.admin_key)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def admin_key(self):
        return self.folder / "hub" / "admin.key"

    def start(self):
        self.hub = Lines([self.bin / "umbel-superlink", "--address", "127.0.0.1", "--port", self.port,
                          "--state", self.folder / "hub"], self.environment, self.folder / "hub.log")
        _, ready = self.hub.until(r"ready on .*:(\d+)$")
        _, trust = self.hub.until(r"--trust sha256:([0-9a-f]{64})")
        self.port, self.trust = int(ready[1]), trust[1]

    def umbel(self, *arguments, cwd=None):
        return subprocess.run([str(part) for part in (self.bin / "umbel", *arguments)], check=True, text=True,
                              env=self.environment, cwd=cwd, stdout=subprocess.PIPE,
                              stderr=open(self.folder / "umbel.log", "a")).stdout

    def nodes(self, what, count, *arguments):
        """A bench_deploy against this hub."""
        return Lines([self.bin / "bench_deploy", what, self.address, self.trust, self.admin_key, count,
                      *arguments], self.environment, self.folder / "nodes.log")

    def memory(self, field):
        """VmRSS or VmHWM of the hub, in bytes."""
        status = pathlib.Path(f"/proc/{self.hub.process.pid}/status").read_text()
        return int(re.search(rf"^{field}:\s+(\d+) kB", status, re.M)[1]) * 1024

    def run(self, *arguments):
        """Starts a run of the benches' app."""
        app = copied("bench/deploy_app", self.folder)
        process = subprocess.Popen(
            [str(part) for part in (self.bin / "umbel", "run", app, "hub", "--format", "json", *arguments)],
            env=self.environment, text=True, stdout=subprocess.PIPE,
            stderr=open(self.folder / "umbel.log", "a"))
        return process

    def completed(self, process):
        """Waits for a run and returns its last line."""
        output, _ = process.communicate(timeout=600)
        result = json.loads(output.splitlines()[-1])
        if result["status"] != "completed":
            log = (self.folder / "umbel.log").read_text()[-3000:]
            sys.exit(f"the run did not complete: {result}\n{log}")
        return result

    def stop(self):
        if self.hub:
            self.hub.kill(signal.SIGTERM)


@contextlib.contextmanager
def deployment(binaries):
    with tempfile.TemporaryDirectory(prefix="umbel-bench-") as folder:
        hub = Deployment(binaries, folder)
        try:
            hub.open()
            yield hub
        finally:
            hub.stop()


def rows_of(lines):
    return [json.loads(line) for line in lines if line.startswith("{")]


def latency(bench):
    for row in bench.program("bench_deploy", "latency"):
        bench.emit(row)
    with deployment(bench.bin) as hub:
        rounds = 20 if bench.options.smoke else 1000
        node = hub.nodes("ping", 1, rounds)
        node.until("^joined$")
        hub.completed(hub.run("--nodes", 1, "--run-config",
                              f"mode='ping' rounds={rounds}"))
        for row in rows_of(node.end().splitlines()):
            bench.emit(row)


def hundred_rounds(bench):
    """`umbel run` of the smallest app on ten nodes of umbel up, against the same run simulated."""
    nodes, rounds = (2, 5) if bench.options.smoke else (10, 100)
    with tempfile.TemporaryDirectory(prefix="umbel-bench-") as folder:
        app = copied("examples/linear", folder)
        environment = dict(os.environ, UMBEL_HOME=f"{folder}/home")
        umbel = bench.bin / "umbel"
        up = Lines([umbel, "up", "--nodes", nodes, "--port", 0], environment, f"{folder}/up.log")
        try:
            up.until("local")
            common = ["--format", "json", "--nodes", nodes, "--seed", 1, "--run-config",
                      f"rounds={rounds} clients-per-round={nodes} learning-rate=0.001"]

            def wall(*link):
                start = time.perf_counter()
                output = subprocess.run([str(part) for part in (umbel, "run", app, *link, *common)], check=True,
                                        env=environment, text=True, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL).stdout
                seconds = time.perf_counter() - start
                result = json.loads(output.splitlines()[-1])
                if result["rounds"] != rounds:
                    sys.exit(f"D-100: {result['rounds']} rounds, expected {rounds}")
                return seconds, result["model-sha256"]

            wall("local"), wall()  # the bundle and the build are there from now on
            pairs = 1 if bench.options.smoke else 5
            times = [(wall("local"), wall()) for _ in range(pairs)]
            if any(there[1] != here[1] for there, here in times):
                sys.exit("D-100: the deployment's model differs from the simulation's")
            bench.emit({"id": "D-100", "case": f"umbel run, {rounds} rounds of a tiny model on {nodes} local nodes",
                        "ours": statistics.median(there[0] for there, _ in times), "unit": "s",
                        "peer": "the same run simulated", "peer-value": statistics.median(here[0] for _, here in times),
                        **spread([here[0] / there[0] for there, here in times]), "runs": pairs})
        finally:
            up.kill(signal.SIGINT)


def uploads(bench):
    megabytes, rounds = (4, 2) if bench.options.smoke else (1024, 6)
    with deployment(bench.bin) as hub:
        before = hub.memory("VmRSS")
        nodes = hub.nodes("upload", 4, rounds)
        nodes.until("^joined$")
        hub.completed(hub.run("--nodes", 4, "--run-config",
                              f"mode='fold' rounds={rounds} model-bytes={megabytes << 20}"))
        for row in rows_of(nodes.end().splitlines()):
            bench.emit(row)
        peak = hub.memory("VmHWM")
        bench.emit({"id": "D-1G", "case": f"the hub's greatest memory meanwhile, over the model's {megabytes} MiB",
                    "ours": peak / (megabytes << 20), "unit": "models", "runs": rounds,
                    "bytes-before": before})


def idle(bench):
    count = 50 if bench.options.smoke else 2000
    with deployment(bench.bin) as hub:
        nodes = hub.nodes("idle", count)
        lines, _ = nodes.until("^enrolled$")
        floor_bytes, floor_seconds = (float(x) for x in re.search(r"^floor (\S+) (\S+)$", lines[0]).groups())
        before = hub.memory("VmRSS")
        start = time.perf_counter()
        nodes.say("")
        nodes.until("^joined$")
        joined = time.perf_counter() - start
        each = (hub.memory("VmRSS") - before) / count
        bench.emit({"id": "D-2000", "case": f"memory of the hub for each of {count:,} idle nodes, TLS on",
                    "ours": each / 1024, "unit": "KiB", "floor": floor_bytes / 1024,
                    "share-of-floor": floor_bytes / each, "runs": 1})
        bench.emit({"id": "D-2000", "case": f"all {count:,} join a hub at once", "ours": joined, "unit": "s",
                    "floor": floor_seconds, "share-of-floor": floor_seconds / joined, "runs": 1})
        runs = []
        for _ in range(1 if bench.options.smoke else 3):
            hub.hub.kill()
            start = time.perf_counter()
            hub.start()
            nodes.until("^joined$")
            runs.append(time.perf_counter() - start)
        bench.emit({"id": "D-2000", "case": f"kill -9 and restart of the hub: all {count:,} are back",
                    "ours": statistics.median(runs), "unit": "s", "floor": floor_seconds,
                    "share-of-floor": floor_seconds / statistics.median(runs), "runs": len(runs)})
        nodes.end()


ALL = {"D-lat": latency, "D-100": hundred_rounds, "D-1G": uploads, "D-2000": idle}

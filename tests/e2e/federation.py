"""A federation of real processes for tests: a hub, nodes and users on loopback or in namespaces.

    with Federation("/path/of/programs") as federation:
        federation.start_hub()
        federation.add_nodes(5)
        result = federation.run(app, "rounds=3")

Everything lies in a temporary folder and ends with the `with`.  Waits are polls with a deadline.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATIENCE = 60.0  # seconds; for a step that takes one where machines are idle


def wait_for(what, condition, seconds=PATIENCE):
    """The first true value of condition(); AssertionError with `what` after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s for: {what}")
        time.sleep(0.01)


class Program:
    """A daemon with its output in a file."""

    def __init__(self, arguments, output, environment, prefix=()):
        self.output = pathlib.Path(output)
        self.start_of_output = self.output.stat().st_size if self.output.exists() else 0
        with open(output, "ab") as file:
            self.process = subprocess.Popen([*prefix, *map(str, arguments)], stdout=file, stderr=file,
                                            stdin=subprocess.DEVNULL, env=environment,
                                            start_new_session=True)

    @property
    def pid(self):
        return self.process.pid

    def said(self):
        """What it has written since it was started."""
        with open(self.output, "rb") as file:
            file.seek(self.start_of_output)
            return file.read().decode(errors="replace")

    def wait_to_say(self, pattern, seconds=PATIENCE):
        def look():
            found = re.search(pattern, self.said())
            if not found and self.process.poll() is not None:
                raise AssertionError(f"{self.output.name}: ended with {self.process.returncode} "
                                     f"before it said {pattern!r}:\n{self.said()}")
            return found
        return wait_for(f"{self.output.name} to say {pattern!r}:\n{self.said()}", look, seconds)

    def is_running(self):
        return self.process.poll() is None

    def send(self, number):
        os.kill(self.pid, number)

    def end(self, number=signal.SIGTERM, seconds=PATIENCE):
        """Ends it by a signal; its exit code."""
        if self.is_running():
            self.send(number)
        return self.process.wait(seconds)

    def kill(self):
        return self.end(signal.SIGKILL)


def processes(*words):
    """The ids of processes whose command line has all these words."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                line = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
                text = b" ".join(line).decode(errors="replace")
                if all(word in text for word in words):
                    found.append(int(entry))
    return found


def parent(pid):
    with contextlib.suppress(OSError):
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
        return int(stat.rsplit(")", 1)[1].split()[1])
    return 0


class Node:
    def __init__(self, federation, name, arguments):
        self.federation, self.name, self.arguments = federation, name, list(arguments)
        self.state = federation.folder / name
        self.gate = federation.folder / f"gate-{name}"
        self.gate.mkdir(exist_ok=True)
        self.prefix = ()
        self.program = None

    def register(self):
        """Makes its key and tells the hub of it, so that the node is let in at its first try."""
        f = self.federation
        home = f.folder / f"home-{self.name}"
        key = f.call("key", home=home).stdout.strip()
        self.state.mkdir(mode=0o700)
        (home / "user.key").rename(self.state / "node.key")
        f.umbel("supernode", "register", self.name, key, f.link)

    def start(self):
        f = self.federation
        self.program = Program(
            [f.programs / "umbel-supernode", "--superlink", f.address, *f.trust,
             "--state", self.state, "--trust-publisher", f.publisher, "--node-config",
             f'gate="{self.gate}"', *self.arguments],
            f.folder / f"{self.name}.out", f.environment, self.prefix)

    def wait_online(self):
        wait_for(f"{self.name} to be online", lambda: self.at_hub().get("status") == "online")

    def at_hub(self):
        nodes = self.federation.umbel("supernode", "ls", self.federation.link)["nodes"]
        return next((node for node in nodes if node["name"] == self.name), {})

    def client_processes(self):
        return [pid for pid in processes("--umbel-client") if parent(pid) == self.program.pid]

    def is_held(self):
        """A client waits at this node's gate."""
        return any(self.gate.glob("client-*"))

    def open_gate(self):
        (self.gate / "open").touch()


class Federation:
    link = "hub"

    def __init__(self, programs, tls=True, folder=None):
        self.programs = pathlib.Path(programs).resolve()
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="umbel-e2e-"))
        self.tls = tls
        self.environment = dict(os.environ, UMBEL_HOME=str(self.folder / "home"), LC_ALL="C.UTF-8")
        self.hub, self.nodes, self.started = None, [], []
        self.hub_arguments, self.listen = [], "127.0.0.1"
        self.hub_prefix, self.cli_prefix = (), ()  # commands that run the program, for namespaces
        self.port, self.trust, self.address, self.publisher = 0, [], None, None
        self.state = self.folder / "hub"

    def __enter__(self):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a test that takes too long cleans up
        return self

    def __exit__(self, kind, *_):
        if kind and not issubclass(kind, SystemExit):
            for out in sorted(self.folder.glob("*.out")):
                print(f"--- the end of {out.name}\n{out.read_text(errors='replace')[-3000:]}", flush=True)
        programs = [n.program for n in self.nodes] + [self.hub] + self.started
        for program in programs:
            if program and program.is_running():
                with contextlib.suppress(OSError):
                    program.send(signal.SIGCONT)
                program.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def call(self, *arguments, home=None, seconds=170):
        environment = dict(self.environment, **({"UMBEL_HOME": str(home)} if home else {}))
        return subprocess.run([*self.cli_prefix, self.programs / "umbel", *map(str, arguments)],
                              env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, errors="replace", timeout=seconds)

    def umbel(self, *arguments, code=0, home=None, seconds=170):
        """Runs umbel with --format json: the object that it prints."""
        done = self.call(*arguments, "--format", "json", home=home, seconds=seconds)
        if done.returncode != code:
            raise AssertionError(f"umbel {' '.join(map(str, arguments))}: exit code "
                                 f"{done.returncode}, expected {code}\n{done.stdout}{done.stderr}")
        return json.loads(done.stdout.splitlines()[-1])

    def start_hub(self, *arguments):
        """Starts the hub for the first time, and makes the link to it."""
        self.hub_arguments = [*arguments, *([] if self.tls else ["--insecure-no-tls"])]
        self.hub = self.launch_hub()
        said = self.hub.wait_to_say(r"ready on (\S+):(\d+)")
        self.port = int(said[2])
        self.address = f"{'127.0.0.1' if said[1] == '0.0.0.0' else said[1]}:{self.port}"
        self.trust = ["--insecure-no-tls"]
        if self.tls:
            self.trust = ["--trust", self.hub.wait_to_say(r"--trust (sha256:[0-9a-f]{64})")[1]]
        self.umbel("link", "add", self.link, self.address, *self.trust, "--key",
                   self.state / "admin.key")
        self.publisher = self.call("key").stdout.strip()

    def launch_hub(self):
        return Program([self.programs / "umbel-superlink", "--address", self.listen, "--port", self.port,
                        "--state", self.state, *self.hub_arguments],
                       self.folder / "hub.out", self.environment, self.hub_prefix)

    def start_hub_again(self):
        self.hub = self.launch_hub()
        self.hub.wait_to_say("ready on")

    def add_node(self, name, *arguments, prefix=()):
        """A registered node that is about to be online."""
        node = Node(self, name, arguments)
        node.prefix = prefix
        node.register()
        node.start()
        self.nodes.append(node)
        return node

    def add_nodes(self, count, *arguments):
        for number in range(count):
            self.add_node(f"node-{number + 1}", *arguments)
        for node in self.nodes:
            node.wait_online()

    def open_gates(self):
        for node in self.nodes:
            node.open_gate()

    def close_gates(self):
        for node in self.nodes:
            for file in node.gate.iterdir():
                file.unlink()

    def wait_held(self, nodes=None):
        nodes = self.nodes if nodes is None else nodes
        wait_for(f"clients at the gates of {[n.name for n in nodes]}",
                 lambda: all(node.is_held() for node in nodes))

    def build(self, source):
        """A copy of an app's folder, built."""
        app = self.folder / "apps" / pathlib.Path(source).name
        shutil.copytree(source, app, ignore=shutil.ignore_patterns("build"))
        self.umbel("build", app)
        return app

    def run(self, app, config="", *arguments, code=0):
        """A run at the hub, to its end: its result."""
        return self.umbel("run", app, self.link, "--no-build", "--no-report",
                          *(["--run-config", config] if config else []), *arguments, code=code)

    def simulate(self, app, config="", *arguments):
        return self.umbel("run", app, "--no-build", "--no-report",
                          *(["--run-config", config] if config else []), *arguments)

    def begin(self, app, config="", *arguments):
        """A run at the hub that goes on by itself: its number."""
        return self.run(app, config, "--detach", *arguments)["link-run-id"]

    def listed(self, number):
        runs = self.umbel("ls", self.link, "--limit", "0")["runs"]
        return next(run for run in runs if run["run-id"] == number)

    def wait_over(self, number, seconds=PATIENCE):
        over = ("completed", "failed", "stopped")
        return wait_for(f"run {number} to be over", lambda: (r := self.listed(number))["status"] in over
                        and r, seconds)

    def log(self, number, *arguments):
        done = self.call("log", number, self.link, *arguments)
        if done.returncode != 0:
            raise AssertionError(f"umbel log {number}: {done.stderr}")
        return done.stdout

    def artifacts(self, number):
        """The artifacts of a run at the hub: name to SHA-256, as `pull` gets them."""
        to = self.folder / f"pulled-{number}-{time.monotonic_ns()}"
        self.umbel("pull", number, self.link, "--to", to)
        return digests(to)

    def decisions(self):
        """The hub's own record of whose replies counted: (run, round, type, asked, counted)."""
        database = sqlite3.connect(f"file:{self.state}/superlink.db?mode=ro", uri=True, timeout=10)
        with contextlib.closing(database):
            rows = database.execute("SELECT run, round, type, asked, counted FROM decisions"
                                    " ORDER BY rowid").fetchall()
        return [(*row[:3], json.loads(row[3]), json.loads(row[4])) for row in rows]


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(pathlib.Path(folder).glob("*.safetensors"))}

#!/usr/bin/python3
"""Apps in Python, here and on hubs: python_test.py FOLDER_OF_PROGRAMS PYTHON [unittest arguments].

PYTHON is an interpreter that the package of these programs was built for.  Exit code 77 if it was not.
"""

import fcntl
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
import unittest

from federation import ROOT, Federation, Node, digests, processes, wait_for

PROGRAMS = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "bin").resolve()
PYTHON = sys.argv[2] if len(sys.argv) > 2 else str(PROGRAMS.parent / "python-env/bin/python")
SOURCE = ROOT / "tests" / "e2e" / "python_app"
NODES = 5
ENTRIES = {"cpp": 'cmake = "."', "python": 'python = "app"',
           "python-server": 'cmake = "."\npython-server = "app:server"',
           "python-client": 'cmake = "."\npython-client = "app:client"'}

FLOWER = {
    "pyproject.toml": """
[project]
name = "fl_app"
version = "1.0"
[tool.flwr.app]
publisher = "umbel"
[tool.flwr.app.components]
serverapp = "fl_app.server_app:app"
clientapp = "fl_app.client_app:app"
[tool.flwr.app.config]
num-server-rounds = 2
model.size = 10
[tool.flwr.federations]
default = "local"
[tool.flwr.federations.local]
options.num-supernodes = 5
""",
    "fl_app/__init__.py": "",
    "fl_app/client_app.py": """
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
app = ClientApp()
@app.train()
def train(msg: Message, context: Context):
    w = msg.content["arrays"].to_numpy_ndarrays()[0] + context.node_config["partition-id"]
    metrics = MetricRecord({"num-examples": 1 + context.node_config["partition-id"]})
    return Message(RecordDict({"arrays": ArrayRecord([w]), "metrics": metrics}), reply_to=msg)
""",
    "fl_app/server_app.py": """
import numpy as np
from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
app = ServerApp()
@app.main()
def main(grid: Grid, context: Context) -> None:
    arrays = ArrayRecord([np.zeros(context.run_config["model.size"])])
    result = FedAvg(fraction_evaluate=0.0).start(
        grid, arrays, num_rounds=context.run_config["num-server-rounds"])
    print("ends at", result.arrays.to_numpy_ndarrays()[0][0])
"""}


class Apps:
    """The app with each kind of entry; its program is built once."""

    builder, program = None, None

    @classmethod
    def make(cls, folder, entry):
        app = pathlib.Path(folder) / "apps" / f"{entry}-{time.monotonic_ns()}"
        app.mkdir(parents=True)
        for file in SOURCE.iterdir():
            if file.is_file():
                shutil.copy(file, app)
        manifest = (app / "umbel.toml").read_text().replace(ENTRIES["python"], ENTRIES[entry])
        (app / "umbel.toml").write_text(manifest)
        if entry != "python":
            (app / "build").mkdir()
            shutil.copy(cls.built(), app / "build")
        return app

    @classmethod
    def built(cls):
        if cls.program is None:
            cls.builder = Federation(PROGRAMS)
            source = cls.builder.folder / "source"
            shutil.copytree(SOURCE, source)
            manifest = (source / "umbel.toml").read_text()
            (source / "umbel.toml").write_text(manifest.replace(ENTRIES["python"], ENTRIES["cpp"]))
            cls.program = cls.builder.build(source) / "build" / "mixed"
        return cls.program

    @classmethod
    def remove(cls):
        if cls.builder:
            cls.builder.__exit__(None)


class Case(unittest.TestCase):
    def setUp(self):
        self.f = Federation(PROGRAMS)
        self.f.environment["UMBEL_PYTHON"] = PYTHON
        self.addCleanup(self.end)

    def end(self):
        failed = any(error for _, error in getattr(self._outcome, "errors", ()))
        self.f.__exit__(AssertionError if failed else None)

    def app(self, entry="python"):
        return Apps.make(self.f.folder, entry)

    def flower_app(self):
        app = self.f.folder / "flower"
        for name, text in FLOWER.items():
            (app / name).parent.mkdir(parents=True, exist_ok=True)
            (app / name).write_text(text)
        return app

    def simulated(self, app, config="", *arguments):
        return digests(self.f.simulate(app, config, *arguments)["folder"])

    def log_here(self, run):
        return self.f.call("log", run["run-id"]).stdout

    def processes_here(self):
        return processes("--umbel-", str(self.f.folder))


class Simulated(Case):
    def test_threads_change_no_bit(self):
        app = self.app()
        one, *others = [self.simulated(app, "drawn=true", "--threads", str(n)) for n in (1, 2, 5)]
        self.assertTrue(one)
        self.assertEqual(others, [one, one])

    def test_each_side_in_either_language_gives_the_same_bits(self):
        models = {entry: self.simulated(self.app(entry)) for entry in ENTRIES}
        self.assertTrue(models["cpp"])
        for entry, model in models.items():
            self.assertEqual(model, models["cpp"], entry)

    def test_a_flower_app_runs_as_it_lies(self):
        run = self.f.simulate(self.flower_app(), "model.size=3")
        self.assertEqual((run["app"], run["version"], run["nodes"], run["rounds"]),
                         ("fl-app", "1.0.0", 5, 2))
        # The weighted mean of 0 to 4 is 40 / 15, twice.
        self.assertIn("ends at 5.33333", self.log_here(run))

    def test_prints_and_tracebacks_are_in_the_log(self):
        run = self.f.simulate(self.app(), "trouble=raise rounds=2")
        self.assertEqual(run["failures"], 1)
        log = self.log_here(run)
        self.assertIn("client 3 is at work", log)
        self.assertRegex(log, r"client 0.*ValueError: the scans of this client cannot be read")
        self.assertRegex(log, r"app\.py.*in misbehave")

    def test_a_server_that_raises_is_a_failed_run_with_its_place(self):
        run = self.f.umbel("run", self.app(), "--no-report", "-c", "server-trouble=true", code=1)
        self.assertRegex(run["error"], r"RuntimeError: the server's test images are gone.*app\.py:\d+")
        self.assertIn("Traceback", self.log_here(run))

    def test_what_cannot_be_imported_is_told_in_a_line(self):
        app = self.app()
        (app / "app.py").write_text("import no_such_framework\n")
        run = self.f.umbel("run", app, "--no-report", code=4)
        self.assertRegex(run["error"], r"cannot import app: .*no_such_framework.*app\.py:1.*pip install")
        self.assertNotIn("\n", run["error"])
        self.assertIn("Traceback", self.log_here(run))

    def test_a_worker_that_dies_is_one_clients_failure(self):
        for trouble, how in (("kill", "SIGKILL"), ("exit", "3")):
            run = self.f.simulate(self.app(), f"trouble={trouble}")
            self.assertEqual((run["rounds"], run["failures"]), (3, 1), run)
            self.assertIn(how, self.log_here(run) + str(run["failure-reasons"]))

    def debugged(self, config):
        """`umbel run --debug` at a terminal of its own, and what holds that terminal."""
        controller, terminal = pty.openpty()
        umbel = subprocess.Popen(
            [PROGRAMS / "umbel", "run", str(self.app()), "--debug", "--no-report", "-c", config],
            env=self.f.environment, stdin=terminal, stdout=terminal, stderr=terminal,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.addCleanup(umbel.kill)
        os.close(terminal)
        return umbel, controller

    def test_ctrl_c_at_an_app_that_has_the_terminal_is_told_as_any(self):
        umbel, controller = self.debugged("rounds=1000000")
        said = b""
        while b"at work" not in said:
            self.assertTrue(select.select([controller], [], [], 30)[0], said)
            said += os.read(controller, 4096)
        os.write(controller, b"\x03")
        try:
            while os.read(controller, 4096):
                pass
        except OSError:  # the terminal's other end is closed
            pass
        self.assertEqual(umbel.wait(30), 130)
        os.close(controller)
        self.assertEqual(self.f.umbel("ls")["runs"][0]["status"], "stopped")
        self.assertEqual(self.processes_here(), [])

    def test_a_debugger_has_the_terminal(self):
        umbel, controller = self.debugged("trouble=break rounds=2")
        said = b""
        for expected, answer in ((rb"\(Pdb\)", b"up\n"),
                                 (rb"\(Pdb\).*\(Pdb\)", b"p 'at client', number\n"),
                                 (rb"\('at client', 0\).*\(Pdb\)", b"c\n"), (rb"completed.*model", b"")):
            while not re.search(expected, said, re.DOTALL):
                ready, _, _ = select.select([controller], [], [], 30)
                self.assertTrue(ready, said.decode(errors="replace"))
                said += os.read(controller, 4096)
            os.write(controller, answer)
        self.assertEqual(umbel.wait(30), 0, said.decode(errors="replace"))
        os.close(controller)

    def test_a_breakpoint_without_a_terminal_says_what_to_do(self):
        run = self.f.simulate(self.app(), "trouble=break")
        self.assertIn("umbel run --debug", self.log_here(run))
        self.assertIn("--format json", self.f.umbel("run", self.app(), "--debug", code=4)["error"])
        refused = self.f.call("run", self.app(), "somewhere", "--debug")
        self.assertEqual((refused.returncode, "only a simulation" in refused.stderr), (4, True))

    def begun(self):
        umbel = subprocess.Popen(
            [PROGRAMS / "umbel", "run", str(self.app()), "--no-report", "-c", "rounds=1000000"],
            env=self.f.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True)
        self.addCleanup(umbel.kill)
        self.addCleanup(umbel.stdout.close)
        while b"round 2/" not in umbel.stdout.readline():
            self.assertIsNone(umbel.poll())
        self.assertTrue(self.processes_here())
        return umbel

    def test_ctrl_c_leaves_no_process(self):
        umbel = self.begun()
        umbel.send_signal(signal.SIGINT)
        umbel.stdout.read()
        self.assertEqual(umbel.wait(30), 130)
        self.assertEqual(self.processes_here(), [])
        self.assertEqual(self.f.umbel("ls")["runs"][0]["status"], "stopped")

    def test_a_killed_command_line_leaves_no_process(self):
        self.begun().kill()
        wait_for("all of it to be gone", lambda: not self.processes_here(), 30)

    def test_the_interpreter_is_named_where_it_is_wrong(self):
        app, old = self.app(), self.f.folder / "python-old"
        error = self.f.umbel("run", app, "--python", "/nowhere/python", code=4)["error"]
        self.assertIn("--python /nowhere/python: no such interpreter", error)
        old.write_text(f"#!/bin/sh\nexec {PYTHON} -I -S -c \"import sys; sys.version_info = (3, 9);"
                       " sys.executable = '$0'; exec(sys.argv[2])\" \"$@\"\n")
        old.chmod(0o755)
        run = self.f.umbel("run", app, "--python", old, "--no-report", code=4)
        self.assertIn(f"{old}: is Python 3.9, Umbel needs 3.10 or newer", run["error"])
        bare = self.f.folder / "bare"
        subprocess.run([PYTHON, "-m", "venv", "--without-pip", bare], check=True)
        environment = dict(self.f.environment, PYTHONPATH="")
        home = dict(environment, UMBEL_PYTHON=str(bare / "bin" / "python"))
        done = subprocess.run([PROGRAMS / "umbel", "run", app, "--no-report"], env=home,
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 4, done.stderr)  # it has no NumPy
        self.assertIn("numpy", done.stdout)
        self.assertIn("pip install numpy", done.stdout)

    def test_new_says_what_there_is_to_install(self):
        bare = self.f.folder / "bare"
        subprocess.run([PYTHON, "-m", "venv", "--without-pip", bare], check=True)
        for template, package in (("pytorch", "torch"), ("sklearn", "scikit-learn"), ("numpy", None)):
            made = self.f.umbel("new", f"new-{template}", "-t", template, "--python", bare / "bin/python")
            expected = package and f"{bare}/bin/python has no {package} yet: "\
                                   f"`{bare}/bin/python -m pip install {package}`"
            self.assertEqual(made["missing"], expected)

    def test_a_ported_app_gives_the_same_bits(self):
        app = self.flower_app()
        before = self.simulated(app)
        self.assertTrue(self.f.umbel("port", app, "--dry-run")["lines"])
        self.assertFalse((app / "umbel.toml").exists())
        self.f.umbel("port", app)
        self.assertIn("umbel.clientapp", (app / "fl_app" / "client_app.py").read_text())
        self.assertTrue(before)
        self.assertEqual(self.simulated(app), before)
        self.assertIn("no such folder", self.f.umbel("port", "nowhere", code=4)["error"])

    def test_the_twin_of_an_app_in_python(self):
        run = self.f.simulate(self.app(), "", "--twin")
        twin = next(r for r in self.f.umbel("ls")["runs"] if r["run-id"] == run["run-id"] + 1)
        self.assertEqual((twin["status"], twin["nodes"]), ("completed", 1))


class Deployed(Case):
    def setUp(self):
        super().setUp()
        # What somebody may have put into a daemon's environment is nothing to an app.
        self.hijack = self.f.folder / "hijack"
        self.hijack.mkdir()
        for module in ("sitecustomize", "numpy", "umbel"):
            (self.hijack / f"{module}.py").write_text(
                f"import pathlib\npathlib.Path({str(self.hijack / 'taken')!r}).touch()\n")
        subprocess.run([PYTHON, "-c", ""], env=dict(os.environ, PYTHONPATH=str(self.hijack)), check=True)
        (self.hijack / "taken").unlink()  # so it is taken where nothing prevents it
        self.clean = dict(self.f.environment)
        self.f.environment.update(PYTHONPATH=str(self.hijack), PYTHONSTARTUP=str(self.hijack / "numpy.py"),
                                  PYTHONHOME="/nowhere")
        self.f.start_hub()
        self.f.add_nodes(NODES)
        self.f.environment = self.clean

    def deployed(self, app, config="", *arguments):
        run = self.f.run(app, config, "--nodes", str(NODES), *arguments)
        self.assertEqual(run["status"], "completed", run["error"])
        return run

    def test_the_same_app_on_a_hub_gives_the_same_bits_in_either_language(self):
        for entry, config in (("python", "drawn=true"), ("python-server", ""), ("python-client", "")):
            app = self.app(entry)
            run = self.deployed(app, config)
            self.assertEqual(self.f.artifacts(run["link-run-id"]), self.simulated(app, config), entry)
        flower = self.flower_app()
        run = self.deployed(flower)
        self.assertEqual(self.f.artifacts(run["link-run-id"]), self.simulated(flower))
        self.assertFalse((self.hijack / "taken").exists(), "a daemon's PYTHONPATH reached an app")
        bundles = [*self.f.folder.glob("hub/runs/*/app"), *self.f.folder.glob("node-*/bundles/*/app")]
        self.assertTrue(bundles)
        self.assertEqual([p for b in bundles for p in b.rglob("__pycache__")], [])

    def test_a_killed_client_process_changes_no_bit(self):
        app = self.app()
        run = self.f.begin(app, "trouble=gate troubled=5", "--nodes", str(NODES))
        self.f.wait_held()
        pid, = self.f.nodes[1].client_processes()
        os.kill(pid, signal.SIGKILL)
        self.f.open_gates()
        over = self.f.wait_over(run)
        self.assertEqual(over["status"], "completed", over["error"])
        self.assertEqual(self.f.artifacts(run), self.simulated(app))

    def test_tracebacks_stay_at_the_node_and_prints_of_the_server_come(self):
        run = self.deployed(self.app(), "trouble=raise")
        log = self.f.log(run["link-run-id"])
        self.assertIn("the server saw round 2", log)
        self.assertNotIn("the scans of this client", log)
        logs = [p.read_text() for p in self.f.folder.glob("node-*/logs/run-*.log")]
        self.assertTrue(any("ValueError: the scans of this client" in text for text in logs))
        self.assertTrue(any("client 2 is at work" in text for text in logs))

    def test_what_a_node_cannot_import_is_in_its_log_and_leaves_it_as_its_owner_says(self):
        open_one = self.f.add_node("node-6", "--client-logs", "errors")
        open_one.wait_online()
        app = self.app()
        (app / "far.py").write_text("import no_such_framework\n")
        manifest = (app / "umbel.toml").read_text()
        (app / "umbel.toml").write_text(manifest.replace(
            ENTRIES["python"], 'python-server = "app:server"\npython-client = "far:client"'))
        run = self.f.run(app, "rounds=1", "--nodes", str(NODES + 1), code=1)
        self.assertEqual(run["status"], "failed")
        why = "cannot import far: ModuleNotFoundError: No module named 'no_such_framework' (far.py:1)"
        for node in self.f.nodes:
            self.assertIn(why, node.program.said(), node.name)
        self.assertIn("the app's process exited with 4", run["error"])
        self.assertNotIn(why, run["error"])
        for node in self.f.nodes[:NODES]:
            node.program.kill()
        wait_for("one node alone", lambda: [n for n in self.f.umbel("supernode", "ls", self.f.link)["nodes"]
                                            if n["status"] == "online"] == [open_one.at_hub()])
        run = self.f.run(app, "rounds=1", "--nodes", "1", code=1)
        self.assertIn(f"the app's process exited with 4: {why}", run["error"])
        run = self.f.run(self.app(), "trouble=raise rounds=2", "--nodes", "1")
        self.assertRegex(self.f.log(run["link-run-id"]),
                         r"Traceback \(most recent call last\):\n +File .*\n(.*\n)*  ValueError: the scans")

    def test_a_server_that_cannot_be_imported_ends_the_run_with_the_line(self):
        app = self.app()
        (app / "app.py").write_text("import no_such_framework\n")
        run = self.f.run(app, "", "--nodes", str(NODES), code=4)
        self.assertRegex(run["error"], r"cannot import app: .*no_such_framework.*app\.py:1")

    def test_a_node_without_python_says_so(self):
        old = self.f.folder / "old"
        old.write_text("#!/bin/sh\necho \"$0: is Python 3.8, Umbel needs 3.10 or newer\" >&2\nexit 4\n")
        old.chmod(0o755)
        node = Node(self.f, "node-6", ["--python", old])
        node.register()
        node.start()
        self.f.nodes.append(node)
        node.wait_online()
        run = self.f.run(self.app(), "", "--nodes", str(NODES + 1))
        self.assertEqual(run["failures"], 3)
        self.assertIn("its ClientApp is in Python, which this node is not ready for: "
                      f"{old}: is Python 3.8", node.program.said())

    def test_a_hub_without_python_refuses_the_run(self):
        self.f.hub.end()
        self.f.environment["UMBEL_PYTHON"] = "/nowhere/python"
        self.f.start_hub_again()
        done = self.f.call("run", self.app(), self.f.link, "--no-report")
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("is in Python, which this hub does not have: UMBEL_PYTHON /nowhere/python", done.stderr)


if __name__ == "__main__":
    if not list((PROGRAMS.parent / "python" / "umbel").glob("_core.*.so")):
        print("skipped: the Python package was not built")
        sys.exit(77)
    try:
        unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
    finally:
        Apps.remove()

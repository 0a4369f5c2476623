"""An app's process: what it says where an app cannot be loaded, fails, prints or stops to debug."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest

from umbel._process.start import COMMAND

APP = """
from umbel.app import Message, RecordDict
from umbel.clientapp import ClientApp
from umbel.serverapp import ServerApp

client = ClientApp()
server = ServerApp()
number = 7

@client.query()
def query(message, context):
    raise ValueError("no data here")

@client.query("stop")
def stop(message, context):
    breakpoint()

@client.query("say")
def say(message, context):
    print("client says", context.node_id)
    return Message(RecordDict(), reply_to=message)

@server.main()
def main(grid, context):
    kind = context.run_config["kind"]
    print("server says", kind)
    for reply in grid.send_and_receive([Message(RecordDict(), n, kind) for n in range(5)]):
        print("content" if reply.has_content() else reply.error.reason)
    if context.run_config["crash"]:
        {}["nokey"]
"""


class Ran:
    def __init__(self, process: subprocess.CompletedProcess[str], events: str) -> None:
        self.code = process.returncode
        self.out = process.stdout
        self.err = process.stderr
        self.events = [json.loads(line) for line in events.splitlines()]

    @property
    def finished(self) -> dict[str, Any]:
        (event,) = [event for event in self.events if event["event"] == "finished"]
        return event

    def logged(self, side: str) -> list[str]:
        return [e["message"] for e in self.events if e["event"] == "log" and e["side"] == side]


def start(
    folder: pathlib.Path,
    kind: str = "query",
    *,
    server: str = "app:server",
    client: str = "app:client",
    crash: bool = False,
    arguments: list[str] | None = None,
    **environment: str,
) -> Ran:
    spec = folder / "spec.json"
    settings = [("kind", kind), ("crash", crash)]
    spec.write_text(
        json.dumps(
            {
                "version": 1, "run-id": 1, "seed": 1, "nodes": 5, "threads": 2,
                "output": str(folder),
                "app": {"name": "a", "version": "0.1.0", "publisher": "p", "path": str(folder)},
                "run-config": [{"key": k, "value": v, "origin": "t"} for k, v in settings],
            }
        )
    )  # fmt: skip
    command = list(COMMAND)
    command += arguments or ["--umbel-run", str(spec), "--server", server, "--client", client]
    with open(folder / "events", "w+") as events:
        process = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=60,
            pass_fds=[events.fileno()], stdin=subprocess.DEVNULL, check=False,
            env={**os.environ, "UMBEL_EVENTS_FD": str(events.fileno()), **environment},
        )  # fmt: skip
        events.seek(0)
        return Ran(process, events.read())


@pytest.fixture
def app(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def test_a_client_s_failure_is_one_line_and_its_traceback_is_in_the_log(app: pathlib.Path) -> None:
    ran = start(app)
    assert ran.code == 0
    for node in range(5):
        assert f"client {node}: ValueError: no data here (app.py:12 in query)\n" in ran.out
    tracebacks = ran.logged("client")
    assert 3 <= len(tracebacks) <= 6  # of the same line each process logs three
    assert 'File "' in tracebacks[0] and "_process" not in tracebacks[0]
    assert tracebacks[0].endswith("ValueError: no data here")


def test_the_server_s_failure_is_the_run_s_and_its_traceback_is_in_the_log(
    app: pathlib.Path,
) -> None:
    ran = start(app, "query.say", crash=True)
    assert ran.code == 1 and ran.finished["status"] == "failed"
    assert ran.finished["error"] == "KeyError: 'nokey' (app.py:30 in main)"
    assert ran.logged("server")[0].startswith("Traceback")
    assert "Traceback" not in ran.err


def test_prints_are_the_run_s_log_line_by_line(app: pathlib.Path) -> None:
    ran = start(app, "query.say")
    assert sorted(line for line in ran.out.splitlines() if "client" in line) == [
        f"client says {node}" for node in range(5)
    ]
    assert ran.out.startswith("server says query.say\n")


def test_breakpoint_says_how_to_get_a_terminal(app: pathlib.Path) -> None:
    assert "umbel run --debug" in start(app, "query.stop").out


def test_debugging_serves_clients_in_the_process_itself(app: pathlib.Path) -> None:
    ran = start(app, "query.stop", UMBEL_DEBUG="1", PYTHONBREAKPOINT="os.getpid")
    assert ran.out.count("returned None") == 5  # the hook was called, and went on


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\nimport no_such_package_\n", "cannot import app: ModuleNotFoundError: No module named "
         "'no_such_package_' (app.py:2): pip install no_such_package_ in the environment of "),
        ("import no_such_.sklearn", "(app.py:1): pip install no_such_ in"),
        ("def f(:", "cannot import app: SyntaxError: "),
        ("x = 1\nx.y", "cannot import app: AttributeError: 'int' object has no attribute 'y' "
         "(app.py:2)"),
        ("import sys; sys.exit(0)", "cannot import app: SystemExit: 0 (app.py:1)"),
        ("", "app (app.py) has no 'server'; a ServerApp is expected there"),
    ],
)  # fmt: skip
def test_what_cannot_be_imported_is_one_line(
    tmp_path: pathlib.Path, text: str, words: str
) -> None:
    (tmp_path / "app.py").write_text(text)
    ran = start(tmp_path)
    assert ran.code == 4 and ran.finished["exit-code"] == 4
    assert words in ran.finished["error"] and "\n" not in ran.finished["error"]
    assert ran.err.rstrip().splitlines()[-1] == ran.finished["error"]
    assert "_process" not in ran.err  # the traceback begins in the app


def test_wrong_objects_are_named(app: pathlib.Path) -> None:
    for server, words in [
        ("app:number", "app:number (app.py) is of type int, expected a ServerApp; there is server"),
        ("app:sever", "has no 'sever'"),
        ("nowhere:server", f"there is no module 'nowhere' in {app}"),
        ("app", "expected MODULE:OBJECT"),
    ]:
        assert words in start(app, server=server).finished["error"]
    assert "there is client" in start(app, client="app:server").finished["error"]


def test_modules_of_a_src_layout_are_found(tmp_path: pathlib.Path) -> None:
    package = tmp_path / "src" / "mine"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "app.py").write_text(APP)
    ran = start(tmp_path, "query.say", server="mine.app:server", client="mine.app:client")
    assert ran.code == 0, ran.err


def test_an_app_whose_import_starts_a_thread_has_workers_of_their_own_import(
    app: pathlib.Path,
) -> None:
    threads = "import threading, time\nthreading.Thread(target=time.sleep, args=(2,)).start()\n"
    (app / "app.py").write_text(threads + APP)
    ran = start(app, "query.say")
    assert ran.code == 0, ran.err
    assert ran.out.count("client says") == 5


def test_wrong_arguments_are_exit_code_4(app: pathlib.Path) -> None:
    for arguments in (["--umbel-run", "spec.json"], ["--umbel-client"], ["--wrong"]):
        assert start(app, arguments=arguments).code == 4
    for mode in ("--umbel-client", "--umbel-zygote"):
        ran = start(app, arguments=[mode, "--client", "app:client"])
        assert ran.code == 4 and "starts this" in ran.err
    assert start(app, arguments=["--help"]).code == 0


SIGNALS = """
import multiprocessing, os, signal, subprocess, time
from umbel.clientapp import ClientApp
from umbel.serverapp import ServerApp

client, server = ClientApp(), ServerApp()

@server.main()
def main(grid, context):
    kind = context.run_config["kind"]
    start = time.monotonic()
    if kind == "subprocess":
        process = subprocess.Popen(["sleep", "50"])
        process.terminate()
        print(process.wait())
    if kind == "fork":
        process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(50,))
        process.start()
        process.terminate()
        process.join()
        print(process.exitcode)
    if kind == "stop":
        os.kill(os.getpid(), signal.SIGTERM)
        while not context.stop_requested:
            time.sleep(0.001)
        grid.send_and_receive([])
    assert time.monotonic() - start < 30
"""


@pytest.mark.parametrize("kind", ["subprocess", "fork"])
def test_processes_that_main_starts_can_be_ended(tmp_path: pathlib.Path, kind: str) -> None:
    (tmp_path / "app.py").write_text(SIGNALS)
    ran = start(tmp_path, kind)
    assert (ran.code, ran.out) == (0, "-15\n"), ran.err


def test_a_signal_stops_a_run_while_python_code_is_at_work(tmp_path: pathlib.Path) -> None:
    (tmp_path / "app.py").write_text(SIGNALS)
    ran = start(tmp_path, "stop")
    assert (ran.code, ran.finished["status"]) == (143, "stopped"), ran.err


# With a thread, which no fork takes along, each worker imports the app by itself.
THREAD = """
import threading, time
threading.Thread(target=time.sleep, args=(9,), daemon=True).start()
"""


@pytest.mark.parametrize("name", ["random", "types", "typing", "socket", "umbel"])
@pytest.mark.parametrize("threads", ["", THREAD])
def test_files_with_names_of_other_modules_are_no_trap(
    app: pathlib.Path, name: str, threads: str
) -> None:
    (app / f"{name}.py").write_text("mine = 1\n")
    (app / "app.py").write_text(APP + threads)
    ran = start(app, "query.say")
    assert ran.code == 0, ran.err
    assert ran.out.count("content\n") == 5


def test_an_import_that_such_a_file_breaks_says_so(app: pathlib.Path) -> None:
    (app / "html.py").write_text("")
    (app / "app.py").write_text("from html import escape\n" + APP)
    assert "html.py in the app's folder has the name of a standard" in start(app).finished["error"]


@pytest.mark.parametrize("end", ["os.chdir('/')", "os.chdir(d); os.rmdir(d)"])
@pytest.mark.parametrize("threads", ["", THREAD])
def test_the_working_directory_is_the_app_s_to_change(
    app: pathlib.Path, end: str, threads: str
) -> None:
    code = f"import os, tempfile\nd = tempfile.mkdtemp()\n{end}\n"
    (app / "app.py").write_text(APP + code + threads)
    ran = start(app)
    assert ran.out.count("ValueError: no data here (app.py:12 in query)") == 5, ran.err


FLOWER = "this app is written for Flower: run `umbel port` on its folder, or keep [tool.flwr.app]"


def test_an_import_of_flower_says_what_to_do(tmp_path: pathlib.Path) -> None:
    (tmp_path / "app.py").write_text("from flwr.serverapp import ServerApp\n")
    line = start(tmp_path, PYTHONNOUSERSITE="1").finished["error"]
    assert line.startswith("cannot import app: ModuleNotFoundError: No module named 'flwr' (app.py")
    assert FLOWER in line and "pip install" not in line
    lazy = APP.replace('raise ValueError("no data here")', "import flwr.common")
    (tmp_path / "app.py").write_text(lazy)
    assert f"named 'flwr' (app.py:12 in query): {FLOWER}" in start(tmp_path).out


def test_a_module_that_the_alias_lacks_is_told_of_in_its_words(tmp_path: pathlib.Path) -> None:
    (tmp_path / "app.py").write_text("import flwr.server.workflow\n")
    names = ["--server", "app:server", "--client", "app:client", "--flower"]
    line = start(tmp_path, arguments=["--umbel-run", "spec.json", *names]).finished["error"]
    assert "no module 'flwr.server.workflow' in Umbel's form of Flower's API" in line
    assert "pip install" not in line and "umbel port" not in line


def test_an_object_of_an_installed_flower_says_what_to_do(tmp_path: pathlib.Path) -> None:
    (tmp_path / "flwr.py").write_text("class ServerApp: pass\n")
    (tmp_path / "app.py").write_text("import flwr\nserver = flwr.ServerApp()\nclient = 3\n")
    line = start(tmp_path).finished["error"]
    assert line.startswith("app:server (app.py) is Flower's ServerApp: run `umbel port`")


def test_what_a_call_is_refused_with_says_where_the_call_is(tmp_path: pathlib.Path) -> None:
    call = "from umbel.app import ArrayRecord\n    ArrayRecord(3)"
    (tmp_path / "app.py").write_text(APP.replace('kind = context.run_config["kind"]', call))
    ran = start(tmp_path)
    line = "ArrayRecord: a value of type int, expected a list of arrays or a dict of arrays by name"
    assert ran.finished["error"] == f"{line} (app.py:26 in main)"
    (traceback,) = ran.logged("server")
    assert traceback.endswith(f"WrongType: {line}")


def test_lines_of_processes_do_not_mix_where_python_is_unbuffered(tmp_path: pathlib.Path) -> None:
    how = 'print("direct", sys.stdout.write_through, "by line", sys.stdout.line_buffering)'
    app = "import sys\n" + APP.replace('print("client says", context.node_id)', how)
    (tmp_path / "app.py").write_text(app.replace('print("server says", kind)', how))
    ran = start(tmp_path, "query.say", PYTHONUNBUFFERED="1")
    assert ran.out.count("direct False by line True\n") == 6  # of five clients and the server
    script = (
        "from app import *\nfrom umbel.simulation import run_simulation\n"
        "run_simulation(server, client, 5, workers=2, run_config={'kind': 'query.say', 'crash': 0})"
    )
    simulated = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert simulated.stdout.count("direct False by line True\n") == 5, simulated.stderr


def test_where_one_debugs_tracebacks_are_on_the_terminal(app: pathlib.Path) -> None:
    ran = start(app, UMBEL_DEBUG="1")
    assert "line 12, in query\n" in ran.err and ran.err.count("ValueError: no data here\n") == 3
    assert "KeyError: 'nokey'\n" in start(app, "query.say", crash=True, UMBEL_DEBUG="1").err


@pytest.mark.parametrize("code, status", [("", "completed"), ("0", "completed"), ("3", "failed")])
def test_exit_in_main_is_its_end(app: pathlib.Path, code: str, status: str) -> None:
    (app / "app.py").write_text(APP.replace('{}["nokey"]', f"raise SystemExit({code})"))
    ran = start(app, "query.say", crash=True)
    assert ran.finished["status"] == status and ran.out.count("content\n") == 5


def test_leaving_the_debugger_stops_a_run_that_ends_before_the_signal_comes(
    app: pathlib.Path,
) -> None:
    left = "import bdb; raise bdb.BdbQuit"
    never = "import os\nos.kill = lambda *_: None\n"
    (app / "app.py").write_text(never + APP.replace("breakpoint()", left))
    assert start(app, "query.stop", UMBEL_DEBUG="1").finished["status"] == "stopped"


def test_leaving_the_debugger_in_main_stops_the_run(app: pathlib.Path) -> None:
    left = "import bdb\n        raise bdb.BdbQuit"
    (app / "app.py").write_text(APP.replace('{}["nokey"]', left))
    ran = start(app, "query.say", crash=True, UMBEL_DEBUG="1")
    assert ran.finished["status"] == "stopped" and "Traceback" not in ran.err


def test_leaving_the_debugger_ends_the_run(app: pathlib.Path) -> None:
    left = "import bdb; print('asked once'); raise bdb.BdbQuit"
    (app / "app.py").write_text(APP.replace("breakpoint()", left))
    ran = start(app, "query.stop", UMBEL_DEBUG="1")
    assert ran.finished["status"] == "stopped" and "Traceback" not in ran.err
    assert ran.out.count("asked once") == 1  # not by the other clients
    script = (
        "from app import *\nfrom umbel.simulation import run_simulation\n"
        "settings = {'kind': 'query.stop', 'crash': 0}\n"
        "run_simulation(server, client, 5, workers=0, run_config=settings)"
    )
    simulated = subprocess.run(
        [sys.executable, "-c", script], cwd=app, capture_output=True, text=True, timeout=60
    )
    assert simulated.stderr.splitlines()[-1] == "bdb.BdbQuit"

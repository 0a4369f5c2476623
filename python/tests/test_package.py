"""The package as a whole: its types, its stub, what importing it costs."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

import umbel
from umbel import _core

SOURCE = pathlib.Path(__file__).parent.parent / "umbel"
STUB = SOURCE / "_core.pyi"

MYPY = """
[mypy]
strict = True
[mypy-torch.*,tensorflow.*,tomli.*,xgboost.*]
ignore_missing_imports = True
"""

APP = """
from __future__ import annotations
import numpy as np
from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp
from umbel.serverapp import Grid, ServerApp
from umbel.simulation import run_simulation

client = ClientApp()
server = ServerApp()

@client.train()
def train(message: Message, context: Context) -> Message:
    arrays = message.content.array_records["arrays"].to_numpy_ndarrays()
    step = context.rng().standard_normal(arrays[0].shape)
    metrics = MetricRecord({"num-examples": 1, "loss": 0.5})
    content = RecordDict({"arrays": ArrayRecord([arrays[0] + step]), "metrics": metrics})
    return Message(content, reply_to=message)

@server.main()
def main(grid: Grid, context: Context) -> None:
    content = RecordDict({"arrays": ArrayRecord([np.zeros(3)])})
    for reply in grid.send_and_receive([Message(content, n, "train") for n in grid.get_node_ids()]):
        context.log(reply.error.reason or "" if reply.has_error() else "")
    context.save("model.safetensors", content.array_records["arrays"])

result = run_simulation(server, client, 3, run_config={"rounds": 1})
hash: str = result.model_sha256
"""

WRONG = APP.replace('context.log(', 'context.log(level=3, message=').replace("3, run", '"3", run')


def test_the_stub_is_what_the_extension_says(tmp_path: pathlib.Path) -> None:
    if importlib.util.find_spec("nanobind") is None:
        pytest.skip("nanobind is not installed")
    made = tmp_path / "_core.pyi"
    command = [sys.executable, "-m", "nanobind.stubgen", "-q", "-m", "umbel._core", "-o"]
    subprocess.run([*command, str(made)], check=True)
    hint = f"run: {' '.join(command)} {STUB}"
    assert made.read_text() == STUB.read_text(), hint


def checked(tmp_path: pathlib.Path, *targets: str) -> subprocess.CompletedProcess[str]:
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    config = tmp_path / "mypy.ini"
    config.write_text(MYPY)
    command = [sys.executable, "-m", "mypy", "--config-file", str(config)]
    command += ["--cache-dir", str(tmp_path / "cache"), *targets]
    environment = {**os.environ, "MYPYPATH": str(SOURCE.parent)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path,
                          check=False)


def test_types_are_right_in_the_package_and_known_to_apps(tmp_path: pathlib.Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    parts = ["app", "clientapp", "serverapp", "simulation", "data", "_process"]
    ran = checked(tmp_path, *(str(SOURCE / part) for part in parts), str(tmp_path / "app.py"))
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_wrong_type_in_an_app_is_found(tmp_path: pathlib.Path) -> None:
    (tmp_path / "app.py").write_text(WRONG)
    ran = checked(tmp_path, str(tmp_path / "app.py"))
    assert ran.stdout.count("error:") == 2 and "[arg-type]" in ran.stdout, ran.stdout


def test_importing_umbel_brings_in_no_framework_and_little_else() -> None:
    code = (
        "import sys, numpy\n"
        "before = set(sys.modules)\n"
        "import umbel, umbel.app, umbel.clientapp, umbel.serverapp\n"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before} - {'umbel'}))\n"
    )
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    not_ours = set(ran.stdout.split()) - set(sys.stdlib_module_names)
    slow = {"asyncio", "multiprocessing", "http", "urllib", "unittest", "xml"}
    assert not not_ours and not slow & set(ran.stdout.split()), ran.stdout


def test_every_error_is_one_of_the_family_and_what_python_expects() -> None:
    pairs = {
        "NotFound": KeyError, "InvalidArgument": ValueError, "WrongType": TypeError,
        "OutOfRange": IndexError, "DeadlineExceeded": TimeoutError, "Unavailable": ConnectionError,
        "Unimplemented": NotImplementedError, "Cancelled": RuntimeError,
    }  # fmt: skip
    for name, base in pairs.items():
        kind = getattr(umbel, name)
        assert issubclass(kind, umbel.Error) and issubclass(kind, base)
        assert str(kind("words")) == "words" and kind.code == kind("words").code != "unknown"


def test_the_version_is_the_core_s() -> None:
    assert umbel.__version__ == _core.version
    for name in umbel.__all__:
        assert hasattr(umbel, name)


@pytest.mark.parametrize("interface,age", [(0, "older"), (99, "newer")])
def test_an_extension_of_another_time_than_its_sources_is_told_of(interface: int, age: str) -> None:
    text = f"""
import sys, types
core = types.ModuleType("umbel._core")
core.version, core.interface, core.__file__ = "0.1.0", {interface}, "/here/_core.so"
sys.modules["umbel._core"] = core
import umbel
"""
    ran = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    line = ran.stderr.splitlines()[-1]
    assert line.startswith(
        f"ImportError: umbel's extension is {age} than its sources: ./dev build (/here/_core.so has"
    )

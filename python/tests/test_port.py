"""`umbel port`: imports are rewritten, everything else stays, and nothing is half-done."""

from __future__ import annotations

import hashlib
import os
import pathlib
import shutil

import federate
import pytest

from umbel.compat import port
from umbel.compat.port_source import Problem, rewritten

ROOT = pathlib.Path(__file__).resolve().parents[2]


def changed(source: str) -> str:
    return rewritten(source.encode(), "app.py").decode()


@pytest.mark.parametrize("before,after", [
    ("from flwr.app import Context, Message\n", "from umbel.app import Context, Message\n"),
    ("from flwr.common import Context\n", "from umbel.app import Context\n"),
    ("from flwr.common import Context, NDArrays\n",
     "from umbel.compat.flwr.common import Context, NDArrays\n"),
    ("from flwr.client import ClientApp\n", "from umbel.clientapp import ClientApp\n"),
    ("from flwr.client.mod import LocalDpMod\n", "from umbel.clientapp.mod import LocalDpMod\n"),
    ("from flwr.server import ServerApp, ServerConfig\n",
     "from umbel.compat.flwr.server import ServerApp, ServerConfig\n"),
    ("from flwr.serverapp.strategy.strategy_utils import sample_nodes\n",
     "from umbel.serverapp.strategy.strategy_utils import sample_nodes\n"),
    ("from flwr.common.logger import log\n", "from umbel.compat.flwr.common.logger import log\n"),
    ("from flwr import clientapp\n", "from umbel import clientapp\n"),
    ("from flwr import simulation\n", "from umbel.compat.flwr import simulation\n"),
    ("from flwr.common import *\n", "from umbel.compat.flwr.common import *\n"),
    ("import flwr as fl\nfl.client.NumPyClient\n",
     "import umbel.compat.flwr as fl\nfl.client.NumPyClient\n"),
    ("import flwr\nflwr.server.strategy.FedAvg\n",
     "import umbel.compat.flwr as flwr\nflwr.server.strategy.FedAvg\n"),
    ("import os, flwr.server.strategy, sys\nflwr.server.strategy.FedAvg\n",
     "import os, umbel.compat.flwr as flwr, sys\nflwr.server.strategy.FedAvg\n"),
    ("import flwr.server as s  # it\n", "import umbel.compat.flwr.server as s  # it\n"),
    ("from  flwr . common   import (  # flwr.common\n    Context,\n)\n",
     "from  umbel.app   import (  # flwr.common\n    Context,\n)\n"),
    ("from \\\n  flwr.app \\\n  import Context\n", "from \\\n  umbel.app \\\n  import Context\n"),
    ("x = 'é'; from flwr.app import Context; y = 'ü'\n",
     "x = 'é'; from umbel.app import Context; y = 'ü'\n"),
    ("def f():\r\n\tfrom flwr.app import Context\r\n\treturn 1 \r\n",
     "def f():\r\n\tfrom umbel.app import Context\r\n\treturn 1 \r\n"),
    ("\ufefffrom flwr.app import Array", "\ufefffrom umbel.app import Array"),
    ("text = 'from flwr.app import Array'  # import flwr\n",
     "text = 'from flwr.app import Array'  # import flwr\n"),
    ("from flwr_datasets import Federated\n", "from flwr_datasets import Federated\n"),
    ("from .flwr import x\n", "from .flwr import x\n"),
    ("from flwr.serverapp import strategy\ndef f(strategy):\n    strategy.start()\n",
     "from umbel.serverapp import strategy\ndef f(strategy):\n    strategy.start()\n"),
])
def test_only_the_modules_path_changes(before, after):
    assert changed(before) == after
    assert changed(after) == after


@pytest.mark.parametrize("source,why", [
    ("\nfrom flwr.serverapp.strategy import FedAvg, Bulyan\n",
     "app.py:2: umbel.serverapp.strategy has no Bulyan in this version; there are: FedAdagrad"),
    ("import flwr as fl\n\nfl.server.strategy.QFedAvg\n",
     "app.py:3: flwr.server.strategy has no QFedAvg in Umbel: umbel.serverapp.strategy has it"),
    ("from flwr.server.workflow import DefaultWorkflow\n", "app.py:1: Umbel has no flwr.server"),
    ("import flwr.proto.fleet_pb2\n", "app.py:1: Umbel has no flwr.proto.fleet_pb2"),
    ("import flwr as fl\nfl.client.start_client(server_address='x')\n",
     "app.py:2: fl.client.start_client: apps are started by `umbel run`"),
    ("from flwr.simulation import start_simulation\n", "app.py:1: flwr.simulation.start_simula"),
    ("import importlib\nimportlib.import_module('flwr.client')\n",
     'app.py:2: import_module("flwr.client"): a module that is named in a text'),
    ("def f(:\n    import flwr\n", "app.py:1: not Python: "),
    ("# coding: latin-1\nfrom flwr.app import Array\n", "app.py:1: encoded in iso-8859-1"),
])
def test_what_cannot_be_rewritten_is_named_by_its_line(source, why):
    with pytest.raises(Problem) as raised:
        changed(source)
    assert str(raised.value).startswith(why)


def fill_in(folder: pathlib.Path) -> pathlib.Path:
    shutil.copytree(ROOT / "templates" / "flower", folder)
    project = folder / "pyproject.toml"
    project.write_text(project.read_text().replace("@APP_NAME@", "Drawn_Signs").replace(
        "@PUBLISHER@", "tests"))
    return folder


def tree(folder: pathlib.Path) -> dict:
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file()}


CONFIG = {"num-server-rounds": 6, "fraction-train": 0.5, "local-epochs": 2, "batch-size": 16,
          "learning-rate": 0.1}


def test_the_template_ported_gives_the_model_of_the_template_unported(tmp_path, capsys):
    app = fill_in(tmp_path / "app")
    before = federate.run(app, "glyphs.server_app:app", "glyphs.client_app:app", nodes=12,
                          config=CONFIG, flower=True, output=tmp_path / "before")
    mode = (app / "glyphs" / "client_app.py").stat().st_mode
    files = tree(app)
    assert port.main([str(app), "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "+from umbel.clientapp import ClientApp" in shown and "+name = \"drawn-signs\"" in shown
    assert tree(app) == files
    assert port.main([str(app)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "3 files changed"
    assert (app / "glyphs" / "client_app.py").stat().st_mode == mode
    assert "flwr" not in (app / "glyphs" / "server_app.py").read_text()
    ported = tree(app)
    assert port.main([str(app)]) == 0
    assert tree(app) == ported
    after = federate.run(app, "glyphs.server_app:app", "glyphs.client_app:app", nodes=12,
                         config=CONFIG, output=tmp_path / "after")
    assert after.finished["model-sha256"] == before.finished["model-sha256"]


def test_nothing_changes_where_one_file_cannot_be_ported(tmp_path, capsys):
    app = fill_in(tmp_path / "app")
    (app / "glyphs" / "more.py").write_text("import flwr.superlink\n")
    files = tree(app)
    assert port.main([str(app)]) == 4
    said = capsys.readouterr().err
    assert "glyphs/more.py:1: Umbel has no flwr.superlink" in said
    assert "nothing was changed" in said
    assert tree(app) == files


def test_a_disk_that_fails_half_way_leaves_the_app_as_it_was(tmp_path, monkeypatch, capsys):
    app = fill_in(tmp_path / "app")
    files = tree(app)
    replace, calls = os.replace, []

    def fails(source, target):
        calls.append(target)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        replace(source, target)
    monkeypatch.setattr(os, "replace", fails)
    assert port.main([str(app)]) == 4
    assert "No space left on device" in capsys.readouterr().err
    assert tree(app) == files


def test_environments_and_builds_are_left_alone(tmp_path):
    app = fill_in(tmp_path / "app")
    for folder in (".venv/lib", "env/lib", "build"):
        (app / folder).mkdir(parents=True)
        (app / folder / "x.py").write_text("import flwr\n")
    (app / "env" / "pyvenv.cfg").write_text("")
    assert port.main([str(app)]) == 0
    for folder in (".venv/lib", "env/lib", "build"):
        assert (app / folder / "x.py").read_text() == "import flwr\n"


@pytest.mark.parametrize("text,why", [
    ("[project]\nname = 'x'\n", "pyproject.toml: no [tool.flwr.app]"),
    ("[tool.flwr.app]\n", "pyproject.toml: [tool.flwr.app.components] serverapp: None, expected"),
    ("[tool.flwr.app\n", "pyproject.toml: "),
    ("[tool.flwr.app.components]\nserverapp = 'a:b'\nclientapp = 'a:c'\n"
     "[tool.flwr.app.config]\n'a b' = 1\n", 'pyproject.toml: [tool.flwr.app.config] "a b": a key'),
    ("[tool.flwr.app.components]\nserverapp = 'a:b'\nclientapp = 'a:c'\n"
     "[tool.flwr.app.config]\na = 2024-01-01\n", '"a" is of type date'),
])
def test_a_manifest_that_has_no_place_in_umbel_toml_is_named(tmp_path, capsys, text, why):
    (tmp_path / "pyproject.toml").write_text(text)
    assert port.main([str(tmp_path)]) == 4
    assert why in capsys.readouterr().err
    assert not (tmp_path / "umbel.toml").exists()


def test_settings_in_tables_get_names_with_dots(tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        "[project]\nname = 'A_b'\nversion = '1.0rc1'\n"
        "[tool.flwr.app.components]\nserverapp = 'a:b'\nclientapp = 'a:c'\n"
        "[tool.flwr.app.config]\nrate = 0.5\non = true\ntext = 'a \"b\" \\\\ é'\nmodel.size = 3\n"
        "[tool.flwr.federations]\ndefault = 'b'\n[tool.flwr.federations.a]\n"
        "options.num-supernodes = 3\n[tool.flwr.federations.b]\noptions.num-supernodes = 7\n")
    assert port.main([str(tmp_path)]) == 0
    tomllib = pytest.importorskip("tomllib")
    written = tomllib.loads((tmp_path / "umbel.toml").read_text())
    assert written == {
        "app": {"name": "a-b", "version": "1.0.0-rc1", "publisher": "example"},
        "entry": {"python-server": "a:b", "python-client": "a:c"},
        "config": {"rate": 0.5, "on": True, "text": 'a "b" \\\\ é', "model.size": 3},
        "simulation": {"nodes": 7}}

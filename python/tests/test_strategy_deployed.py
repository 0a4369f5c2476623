"""Strategies on a hub with nodes of its own processes give the model that a simulation gives."""

from __future__ import annotations

import os
import pathlib
import shutil
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("UMBEL_BIN", ROOT / "build" / "bin"))
NODES = 4

MANIFEST = """
[app]
name = "strategies"
version = "0.1.0"
publisher = "tests"
[entry]
python = "app"
[config]
overridden = {overridden}
strategy = "{strategy}"
broken = [2]
[simulation]
nodes = 4
"""


@pytest.fixture(scope="module")
def federation():
    for program in ("umbel", "umbel-superlink", "umbel-supernode"):
        if not (BIN / program).exists():
            pytest.skip(f"{BIN / program} is not built")
    sys.path.insert(0, str(ROOT / "tests" / "e2e"))
    from federation import Federation
    with Federation(BIN) as one:
        one.environment["UMBEL_PYTHON"] = sys.executable
        one.environment.pop("PYTHONPATH", None)
        one.start_hub()
        one.add_nodes(NODES)
        yield one


def both(federation, app: pathlib.Path, config: str = "") -> tuple[dict, dict]:
    """Artifacts of a run on the hub, and of one here, by name."""
    from federation import digests
    run = federation.run(app, config, "--nodes", str(NODES))
    assert run["status"] == "completed", run["error"]
    here = federation.simulate(app, config, "--nodes", str(NODES))
    return federation.artifacts(run["link-run-id"]), digests(here["folder"])


@pytest.mark.parametrize("strategy,overridden", [("FedAdam", "false"), ("FedAdam", "true"),
                                                 ("FedMedian", "false")])
def test_a_strategy_in_the_core_or_in_python(federation, strategy, overridden):
    app = federation.folder / f"{strategy}-{overridden}"
    shutil.copytree(ROOT / "python" / "tests" / "apps" / "strategies", app,
                    ignore=shutil.ignore_patterns("__pycache__"))
    (app / "umbel.toml").write_text(MANIFEST.format(strategy=strategy, overridden=overridden))
    there, here = both(federation, app)
    assert "model.safetensors" in here and there == here


def test_the_old_numpy_client_app(federation):
    app = federation.folder / "numpy_client"
    shutil.copytree(ROOT / "examples" / "numpy_client", app,
                    ignore=shutil.ignore_patterns("__pycache__"))
    project = app / "turbines" / "server.py"
    project.write_text(project.read_text().replace("min_available_clients=6",
                                                   "min_available_clients=2"))
    there, here = both(federation, app, "num-rounds=3")
    assert here and there == here

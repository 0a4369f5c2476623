"""`import flwr` in an app's process is umbel's form of it, and never an installed package."""

from __future__ import annotations

import subprocess
import sys
import textwrap

SETUP = "from umbel.compat import install\ninstall()\n"


def said(code: str, *path: str) -> str:
    """What a process of its own prints."""
    ran = subprocess.run([sys.executable, "-c", SETUP + textwrap.dedent(code)], text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
    return ran.stdout


def test_modules_are_the_very_same_under_both_names():
    assert said("""
        import flwr as fl, umbel.serverapp.strategy, umbel.compat.flwr.common
        from flwr.serverapp.strategy import FedAvg
        import flwr.common.logger
        import flwr.serverapp.strategy.strategy_utils as utils
        assert fl.serverapp.strategy is umbel.serverapp.strategy
        assert FedAvg is umbel.serverapp.strategy.FedAvg
        assert fl.common is umbel.compat.flwr.common
        assert utils is umbel.serverapp.strategy.strategy_utils
        assert fl.common.__name__ == "umbel.compat.flwr.common"
        assert fl.common.__spec__.name == fl.common.__name__
        import importlib
        importlib.reload(fl.common.config)
        print(fl.simulation.run_simulation.__name__, fl.common.logger.log.__name__)
        """) == "run_simulation log\n"


def test_an_installed_flwr_is_not_imported(tmp_path):
    package = tmp_path / "flwr"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('the installed one')\n")
    (package / "secret.py").write_text("")
    assert said(f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        from flwr.client import NumPyClient
        print(NumPyClient.__module__)
        try:
            import flwr.secret
        except ModuleNotFoundError as error:
            print(str(error)[:60])
        """) == ("umbel.compat.flwr.client.numpy_client\n"
                 "no module 'flwr.secret' in Umbel's form of Flower's API (umb\n")


def test_one_that_was_imported_before_is_told_of(tmp_path):
    (tmp_path / "flwr.py").write_text("")
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import flwr\n"
         + SETUP], text=True, capture_output=True, timeout=60, check=False)
    assert "flwr is imported already, from" in ran.stderr


def test_names_that_are_not_there_are_named_and_twice_is_once():
    assert said("""
        install()
        import flwr
        for line in ("from flwr.server.workflow import X", "from flwr.common import Nothing",
                     "from flwr.client.mod import secagg_mod", "flwr.nothing",
                     "from flwr.server import start_server as s; s()",
                     "flwr.client.start_client(server_address='x')"):
            try:
                exec(line)
            except Exception as error:
                print(type(error).__name__, str(error)[:54])
        print(hasattr(flwr.common, "_private"), hasattr(flwr.common.log, "x"))
        """).splitlines() == [
            "ModuleNotFoundError no module 'flwr.server.workflow' in Umbel's form of Fl",
            "ImportError flwr.common has no Nothing in Umbel; there are: DEFAUL",
            "ImportError flwr.client.mod has no secagg_mod in Umbel: there is n",
            "ImportError flwr has no nothing in Umbel; there are: app, client, ",
            "Unimplemented flwr.server.start_server is not in Umbel: make it app ",
            "Unimplemented flwr.client.start_client is not in Umbel: make it app ",
            "False False"]

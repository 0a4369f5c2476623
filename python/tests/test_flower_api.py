"""The names of Flower's API here, against those of the released package."""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import pathlib
import subprocess
import sys

import pytest
import venvs

HERE = pathlib.Path(__file__).parent
RELEASE = "1.42.0"
# What importing flwr takes; flwr itself without what it asks for, of which certifi is too new for
# some package indexes.
NEEDED = ["numpy>=1.26,<3", "grpcio>=1.70,<2", "grpcio-health-checking>=1.70,<2",
          "protobuf>=5.28,<7", "cryptography", "pycryptodome", "iterators", "typer>=0.13,<0.21",
          "tomli", "tomli-w", "pathspec", "rich>=14,<15", "pyyaml", "requests", "httpx", "click",
          "packaging", "certifi", "prompt-toolkit", "sqlalchemy[asyncio]", "alembic",
          "uvicorn[standard]", "fastapi", "starlette"]

# What apps do not find here; importing it says why.
ABSENT = {
    "flwr": {"agentapp"},
    "flwr.serverapp": {"GaussianPrivacyEvent", "NeighboringRelation", "PrivacyAccountant",
                       "PrivacyConfig", "PrivacySpent", "RdpAccountant", "SamplingMethod"},
    "flwr.serverapp.strategy": {"Bulyan", "DifferentialPrivacyClientSideAdaptiveClipping",
                                "DifferentialPrivacyClientSideFixedClipping",
                                "DifferentialPrivacyServerSideAdaptiveClipping",
                                "DifferentialPrivacyServerSideFixedClipping"},
    "flwr.common": {"EventType", "GRPC_MAX_MESSAGE_LENGTH", "configure", "event"},
    "flwr.client.mod": {"make_ffn", "secagg_mod", "secaggplus_mod"},
    "flwr.server": {"LegacyContext", "Server", "workflow"},
    "flwr.server.strategy": {"Bulyan", "DPFedAvgAdaptive", "DPFedAvgFixed",
                             "DifferentialPrivacyClientSideAdaptiveClipping",
                             "DifferentialPrivacyClientSideFixedClipping",
                             "DifferentialPrivacyServerSideAdaptiveClipping",
                             "DifferentialPrivacyServerSideFixedClipping", "FedAvgAndroid",
                             "FedXgbBagging", "FedXgbCyclic", "FedXgbNnAvg", "QFedAvg"},
    "flwr.simulation": {"SimulationIoConnection", "run_simulation_process"},
}
# Methods of Flower's classes that have no place here: how its records travel.
WIRE = {"children", "deflate", "inflate", "is_dirty", "object_id", "slice_array", "data", "stype"}
OTHER_METHODS = {
    "Grid": {"get_nodes", "run", "set_run"},
    "Driver": {"get_nodes", "run", "set_run"},
    "ClientManager": {"register", "unregister", "wait_for"},
    "SimpleClientManager": {"register", "unregister"},
    "Metadata": {"created_at", "delivered_at", "dst_node_id", "group_id", "message_id",
                 "message_type", "reply_to_message_id", "run_id", "src_node_id", "ttl",
                 "src_task_id", "dst_task_id"},  # fields here, no properties
}


@functools.cache
def python_with_flower() -> str:
    try:
        return venvs.venv("flwr", NEEDED, no_deps=[f"flwr=={RELEASE}"])
    except venvs.Skip as reason:
        pytest.skip(f"flwr {RELEASE}: {reason}")


def printed(*command: str) -> dict:
    """What a process prints, which is JSON from the first brace on."""
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout[ran.stdout.index("{"):])


@functools.cache
def released() -> dict:
    found = printed(python_with_flower(), str(HERE / "flower_names.py"))
    assert found["version"] == RELEASE
    return found["modules"]


@functools.cache
def aliased() -> bool:
    from umbel import compat
    compat.install()
    return True


def ours(module: str):
    assert aliased()
    return importlib.import_module(module)


MODULES = ["flwr", "flwr.app", "flwr.clientapp", "flwr.clientapp.mod", "flwr.serverapp",
           "flwr.serverapp.strategy", "flwr.common", "flwr.client", "flwr.client.mod",
           "flwr.server", "flwr.server.strategy", "flwr.simulation"]


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_there_or_says_why_not(module):
    missing = set()
    for name in released()[module]:
        try:
            getattr(ours(module), name)
        except ImportError as error:
            assert name in str(error) and "Umbel" in str(error) or "this version" in str(error)
            missing.add(name)
    assert missing == ABSENT.get(module, set())


@pytest.mark.parametrize("module", MODULES)
def test_what_is_called_takes_flowers_arguments_with_flowers_defaults(module):
    for name, described in released()[module].items():
        if described["parameters"] is None or name in ABSENT.get(module, set()):
            continue
        found = getattr(ours(module), name)
        if (module.endswith(".mod") and not isinstance(found, type)) or name == "Array":
            continue  # mods are called by place; the native Array has no signature
        if not callable(found) or getattr(found, "__module__", "") in ("typing", "types"):
            continue
        theirs = {parameter: default for parameter, default, kind in described["parameters"]
                  if not kind.startswith("VAR_")}
        missing, unlike = compare(found, theirs)
        assert not missing, f"{module}.{name} lacks {missing}"
        assert not unlike, f"{module}.{name}: {unlike}"


def compare(found, theirs: dict) -> tuple[list, list]:
    """Parameters that ours lacks, and those with another default."""
    mine = all_parameters(found)
    missing = [name for name in theirs if name not in mine and not accepts_any(found)]
    unlike = [(name, default, mine[name]) for name, default in theirs.items()
              if name in mine and not same_default(default, mine[name])]
    return missing, unlike


def all_parameters(found) -> dict:
    """Ours by name; with **more, those of the class above too."""
    mine: dict = {}
    for one in (found.__mro__ if isinstance(found, type) else [found]):
        if one is object:
            continue
        if isinstance(found, type) and "__init__" not in vars(one):
            continue
        signature = inspect.signature(one)
        for name, p in signature.parameters.items():
            mine.setdefault(name, None if p.default is p.empty else repr(p.default))
        if not any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()):
            break
    return mine


def accepts_any(found) -> bool:
    """Says what to do instead, whatever it is called with."""
    if isinstance(found, type):
        return False
    kinds = {p.kind.name for p in inspect.signature(found).parameters.values()}
    return kinds == {"VAR_POSITIONAL", "VAR_KEYWORD"}


def same_default(theirs, mine) -> bool:
    if theirs is None or mine is None:
        return True  # ours may have one where Flower's has none
    return theirs == mine or "<" in theirs


@pytest.mark.parametrize("module", ["flwr.app", "flwr.clientapp", "flwr.serverapp",
                                    "flwr.serverapp.strategy", "flwr.server",
                                    "flwr.server.strategy", "flwr.client"])
def test_classes_have_flowers_methods(module):
    for name, described in released()[module].items():
        if name in ABSENT.get(module, set()) or not described["methods"]:
            continue
        found = getattr(ours(module), name)
        lacks = {method for method in described["methods"] if not hasattr(found, method)}
        assert lacks <= WIRE | OTHER_METHODS.get(name, set()), f"{module}.{name} lacks {lacks}"


def test_strategies_make_of_replies_what_flowers_make_of_them():
    """To rounding, but for the bias correction of FedAdam's rate, which the paper does not have."""
    theirs = printed(python_with_flower(), str(HERE / "flower_steps.py"))
    mine = printed(sys.executable, "-c",
                   "from umbel.compat import install; install(); import runpy; "
                   f"runpy.run_path({str(HERE / 'flower_steps.py')!r}, run_name='__main__')")
    assert set(theirs) == set(mine)
    correction = (1 - 0.99 ** 2) ** 0.5 / (1 - 0.9 ** 2)
    mine["FedAdam"][:2] = [[correction * step for step in steps] for steps in mine["FedAdam"][:2]]
    for name in theirs:
        for one, other in zip(theirs[name], mine[name], strict=True):
            assert other == pytest.approx(one, rel=1e-6, abs=1e-7), name


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, *sys.argv[1:]]))

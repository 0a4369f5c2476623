"""Apps of the older form: NumPyClient, Client, client_fn, server_fn and their strategies."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys

import federate
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLE = {"num-rounds": 15, "local-epochs": 3, "learning-rate": 0.3}


def test_the_example_learns_unmodified_the_same_for_any_number_of_workers(tmp_path):
    app = tmp_path / "app"
    shutil.copytree(ROOT / "examples" / "numpy_client", app)
    ran = [federate.run(app, "turbines.server:app", "turbines.client:app", nodes=12,
                        threads=threads, config=EXAMPLE, flower=True) for threads in (1, 3)]
    assert ran[0].finished["model-sha256"] == ran[1].finished["model-sha256"]
    assert ran[0].finished["metrics"]["accuracy"] >= 0.92
    assert [r["clients"] for r in ran[0].rounds[1:]] == [6] * 15
    assert ran[0].rounds[-1]["evaluate"]["accuracy"] > 0.9  # of evaluate_metrics_aggregation_fn


APP = '''
import flwr as fl
import numpy as np
from flwr.common import (Code, Context, EvaluateRes, FitRes, GetParametersRes, Status,
                         ndarrays_to_parameters, parameters_to_ndarrays)
from flwr.client import Client, ClientApp, NumPyClient
from flwr.server import ServerApp, ServerAppComponents, ServerConfig
from flwr.server.strategy import {strategies}

BEGIN = [np.zeros((2, 3)), np.array([1.0, 2.0])]


class Numbers(NumPyClient):
    def __init__(self, node):
        self.node = node

    def get_parameters(self, config):
        return [array + 5 for array in BEGIN]

    def fit(self, parameters, config):
        state = self.get_context().state
        if "calls" not in state:
            state["calls"] = fl.common.MetricRecord({{"n": 0}})
        state["calls"]["n"] += 1
        return ([array + 1 + self.node for array in parameters], 1 + self.node,
                {{"text": "x", "yes": True, "loss": 0.5, "raw": b"ab", "calls": state["calls"]["n"],
                  "keys": ",".join(sorted(config))}})

    def evaluate(self, parameters, config):
        return float(parameters[0].mean()), 1 + self.node, {{"accuracy": np.float32(0.5)}}

{client}

def client_fn(context: Context):
    return Numbers(context.node_config["partition-id"]).to_client()


client = ClientApp(client_fn)

{server}
'''


def app(folder: pathlib.Path, server: str, strategies: str = "FedAvg", client: str = "") -> None:
    (folder / "old.py").write_text(APP.format(strategies=strategies, server=server, client=client))


def run(folder: pathlib.Path, nodes: int = 3, **options) -> federate.Ran:
    return federate.run(folder, "old:server", "old:client", nodes=nodes, flower=True, **options)


def test_first_parameters_come_from_a_client_and_metrics_reach_the_functions(tmp_path):
    app(tmp_path, """
seen = []

def fit_metrics(metrics):
    seen.append(sorted(metrics, key=lambda pair: pair[0]))
    return {"calls": max(m["calls"] for _, m in metrics), "texts": "not a number"}

def evaluate(server_round, parameters, config):
    return float(parameters[1].sum()), {"first": float(parameters[0][0, 0])}

def server_fn(context):
    return ServerAppComponents(config=ServerConfig(num_rounds=2), strategy=FedAvg(
        evaluate_fn=evaluate, fit_metrics_aggregation_fn=fit_metrics,
        on_fit_config_fn=lambda number: {"round": number, "rate": 0.1}))

server = ServerApp(server_fn=server_fn)

import atexit
atexit.register(lambda: print("seen", seen))
""")
    ran = run(tmp_path)
    # From 5; then the mean of 1, 2, 3 by weights 1, 2, 3 in each round.
    step = (1 * 1 + 2 * 2 + 3 * 3) / 6
    firsts = [r["server"]["first"] for r in ran.rounds]
    assert firsts == pytest.approx([5, 5 + step, 5 + 2 * step])
    assert [r["train"]["calls"] for r in ran.rounds[1:]] == [1, 2]
    assert ran.rounds[2]["evaluate"]["loss"] == pytest.approx(5 + 2 * step)
    (line,) = [line for line in ran.log.splitlines() if line.startswith("seen")]
    seen = eval(line.removeprefix("seen "))
    assert seen[0][0] == (1, {"text": "x", "yes": True, "loss": 0.5, "raw": b"ab", "calls": 1,
                              "keys": "rate,round"})


def test_hooks_that_are_overridden_are_called(tmp_path):
    app(tmp_path, """
from flwr.server.client_proxy import ClientProxy

class Own(FedAvg):
    def configure_fit(self, server_round, parameters, client_manager):
        assert client_manager.num_available() == 4 and len(client_manager.all()) == 4
        asked = super().configure_fit(server_round, parameters, client_manager)
        return [(client, ins) for client, ins in asked if client.cid != "3"]

    def aggregate_fit(self, server_round, results, failures):
        assert all(isinstance(client, ClientProxy) for client, _ in results)
        assert len(results) == 3 and not failures
        arrays = [parameters_to_ndarrays(result.parameters) for _, result in results]
        best = max(arrays, key=lambda a: a[0].sum())
        return ndarrays_to_parameters(best), {"kept": len(best)}

    def aggregate_evaluate(self, server_round, results, failures):
        loss, metrics = super().aggregate_evaluate(server_round, results, failures)
        return loss, {"results": len(results)}

server = ServerApp(config=ServerConfig(num_rounds=2), strategy=Own(
    initial_parameters=ndarrays_to_parameters(BEGIN), min_fit_clients=4, min_evaluate_clients=4))
""")
    ran = run(tmp_path, nodes=4)
    assert ran.rounds[-1]["train"]["kept"] == 2
    assert ran.rounds[-1]["evaluate"]["loss"] == pytest.approx(6)  # 0 + 3 + 3
    assert ran.rounds[-1]["evaluate"]["results"] == 4


@pytest.mark.parametrize("strategy,expected", [
    ("FedAvg()", 7 / 3), ("FedAvgM(server_learning_rate=0.5)", 7 / 6), ("FedMedian()", 2),
    ("FedTrimmedAvg(beta=0.34)", 2), ("Krum(num_clients_to_keep=3)", 7 / 3),
    ("FedProx(proximal_mu=0.1)", 7 / 3),
    ("FaultTolerantFedAvg(min_completion_rate_fit=1.0)", 7 / 3),
    # delta 7/3: x + eta m / (sqrt(v) + tau) with m = 0.1 delta and v = 0.01 delta^2; Adagrad's
    # m is delta and its v delta^2; Yogi's tau of 1e-3 is felt
    ("FedAdam(initial_parameters=P, eta=0.1)", 0.1), ("FedYogi(initial_parameters=P)", 0.009957),
    ("FedAdagrad(initial_parameters=P, eta=0.1)", 0.1)])
def test_strategies_of_that_form_make_the_next_model(tmp_path, strategy, expected):
    names = strategy.partition("(")[0]
    if "initial_parameters" not in strategy:
        strategy = strategy.replace("(", "(initial_parameters=P, ", 1)
    app(tmp_path, f"""
P = ndarrays_to_parameters(BEGIN)
server = ServerApp(server_fn=lambda context: ServerAppComponents(strategy={strategy}))
""", strategies=names)
    ran = run(tmp_path)
    loss = ran.rounds[-1]["evaluate"]["loss"]
    assert loss == pytest.approx(expected, rel=2e-3)


def test_such_clients_train_with_a_strategy_of_messages(tmp_path):
    app(tmp_path, """
from flwr.serverapp import ServerApp as Messages
from flwr.serverapp.strategy import FedAvg as Modern
from flwr.app import ArrayRecord, ConfigRecord

server = Messages()

@server.main()
def main(grid, context):
    result = Modern().start(grid, ArrayRecord([a.copy() for a in BEGIN]), num_rounds=2,
                            train_config=ConfigRecord({"rate": 1}))
    assert result.train_metrics_clientapp[1]["loss"] == 0.5
    context.publish("first", {"value": float(result.arrays["0"].numpy()[0, 0])})
""")
    assert run(tmp_path).record("first")["value"] == pytest.approx(2 * 7 / 3)


def test_a_client_of_instructions_and_results(tmp_path):
    app(tmp_path, """
P = ndarrays_to_parameters(BEGIN)
server = ServerApp(server_fn=lambda context: ServerAppComponents(
    strategy=FedAvg(initial_parameters=P)))
""", client='''
class Plain(Client):
    def fit(self, ins):
        arrays = [array + 2 for array in parameters_to_ndarrays(ins.parameters)]
        return FitRes(Status(Code.OK, ""), ndarrays_to_parameters(arrays), 3, {})

    def evaluate(self, ins):
        assert ins.parameters.tensors[0].startswith(b"\\x93NUMPY")
        return EvaluateRes(Status(Code.OK, ""), 4.0, 3, {})

Numbers = lambda node: Plain()
''')
    ran = run(tmp_path)
    assert ran.rounds[-1]["evaluate"]["loss"] == 4


@pytest.mark.parametrize("body,why", [
    ("return parameters, 3", "fit returned a tuple of 2, expected (list of ndarrays, int, dict)"),
    ("return parameters, 3.5, {}", "fit returned float for the number of examples"),
    ("return parameters, 3, []", "fit returned list for the metrics, expected a dict"),
    ("return [array[:1] for array in parameters], 3, {}", 'array "0": float64[1,3]'),
    ("return [array + np.nan for array in parameters], 3, {}", 'array "0"'),
    ("raise ValueError('no data')", "ValueError: no data (old.py:"),
])
def test_what_a_client_does_wrong_is_named_and_the_others_go_on(tmp_path, body, why):
    app(tmp_path, """
P = ndarrays_to_parameters(BEGIN)
server = ServerApp(server_fn=lambda context: ServerAppComponents(
    strategy=FedAvg(initial_parameters=P, fraction_evaluate=0.0)))
""", client=f'''
right = Numbers.fit

def fit(self, parameters, config):
    if self.node == 1:
        {body}
    return right(self, parameters, config)

Numbers.fit = fit
''')
    ran = run(tmp_path)
    (sample,) = ran.rounds[-1]["failure-samples"]
    assert sample["node"] == 1 and why in sample["reason"], sample
    assert ran.rounds[-1]["clients"] == 2


@pytest.mark.parametrize("server,why", [
    ("ServerApp(server_fn=lambda context: 5)", "server_fn returned int, expected Server"),
    ("ServerApp(server_fn=lambda context: ServerAppComponents(server=object()))",
     "a server of one's own cannot be used here"),
    ("ServerApp(server_fn=lambda context: ServerAppComponents(strategy=FedAvg("
     "min_fit_clients=9, initial_parameters=ndarrays_to_parameters(BEGIN))))", ""),
])
def test_servers_that_cannot_be_are_named(tmp_path, server, why):
    app(tmp_path, f"server = {server}\n")
    ran = run(tmp_path, expect="completed" if not why else "failed")
    assert why in ran.finished["error"]
    if not why:
        assert ran.rounds[-1]["clients"] == 0  # nobody is drawn where too few are there


def test_a_script_simulates_with_flowers_call(tmp_path):
    app(tmp_path, """
server = ServerApp(server_fn=lambda context: ServerAppComponents(
    config=ServerConfig(num_rounds=2),
    strategy=FedAvg(initial_parameters=ndarrays_to_parameters(BEGIN))))
""")
    code = """
from umbel.compat import install
install()
from flwr.simulation import run_simulation
from old import client, server
ran = run_simulation(server_app=server, client_app=client, num_supernodes=3,
                     backend_name="ray", backend_config={"client_resources": {"num_cpus": 1}})
print(ran.status, [event["round"] for event in ran.history], ran.metrics["loss"])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, text=True, timeout=60,
                          capture_output=True, check=True)
    assert done.stdout.splitlines()[-1].startswith("completed [1, 2] 4.66666")


def test_parameters_are_npy_and_nothing_is_unpickled():
    from umbel.compat.flwr.common import (
        Parameters,
        ndarrays_to_parameters,
        parameters_to_ndarrays,
    )
    arrays = [np.arange(6, dtype=np.float32).reshape(2, 3), np.array(7)]
    parameters = ndarrays_to_parameters(arrays)
    arrays[0][:] = 0
    assert parameters_to_ndarrays(parameters)[0].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert parameters == Parameters(list(parameters.tensors), "numpy.ndarray")
    back = parameters_to_ndarrays(Parameters(parameters.tensors, parameters.tensor_type))
    assert back[1] == 7 and back[0].dtype == np.float32
    with pytest.raises(ValueError, match="allow_pickle"):
        parameters_to_ndarrays(Parameters([b"\x80\x04K\x01."], ""))

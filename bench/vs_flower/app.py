"""One app for flwr and for umbel: their message APIs have the same names.

BENCH_FRAMEWORK is flwr or umbel, BENCH_TASK the task as JSON (bench/side_by_side.py).
"""
from __future__ import annotations

import functools
import importlib
import json
import os

import bench_work

FRAMEWORK = os.environ["BENCH_FRAMEWORK"]
TASK = json.loads(os.environ["BENCH_TASK"])
DATA, WORK, RATE = TASK["data"], TASK["work"], TASK.get("rate", 0.01)

app = importlib.import_module(f"{FRAMEWORK}.app")
clientapp = importlib.import_module(f"{FRAMEWORK}.clientapp")
serverapp = importlib.import_module(f"{FRAMEWORK}.serverapp")
strategies = importlib.import_module(f"{FRAMEWORK}.serverapp.strategy")

client = clientapp.ClientApp()
server = serverapp.ServerApp()


@functools.lru_cache(maxsize=1)
def torch_work():
    import torch_work as module  # the models that are trained by PyTorch
    return module


@client.train()
def train(message, context):
    """Trains on the examples of this client; `noop` sends back what came."""
    if WORK == "noop":
        arrays = message.content["arrays"]
        metrics = {"num-examples": bench_work.EXAMPLES, "loss": 0.5}
    else:
        x, y = bench_work.examples(DATA, int(context.node_config["partition-id"]))
        if TASK.get("torch"):
            state, loss = torch_work().train(WORK, message.content["arrays"].to_torch_state_dict(),
                                             x, y, RATE)
            arrays = app.ArrayRecord(state)
        else:
            model = message.content["arrays"].to_numpy_ndarrays()
            loss = bench_work.train(model, x, y, RATE)
            arrays = app.ArrayRecord(model)
        metrics = {"num-examples": len(y), "loss": loss}
    content = app.RecordDict({"arrays": arrays, "metrics": app.MetricRecord(metrics)})
    return app.Message(content, reply_to=message)


@server.main()
def main(grid, context):
    """FedAvg; the clock is read after each round, where the model could be evaluated."""
    clock = bench_work.Clock(TASK)
    result = {}

    def after_round(number, arrays):
        clock.round_ended(number)
        if clock.wants_accuracy(number):
            if TASK.get("torch"):
                result["accuracy"] = torch_work().accuracy(WORK, DATA, arrays.to_torch_state_dict())
            else:
                result["accuracy"] = bench_work.accuracy(DATA, arrays.to_numpy_ndarrays())
            clock.announce(result["accuracy"])

    if TASK.get("torch"):
        initial = app.ArrayRecord(torch_work().initial(WORK, DATA))
    else:
        initial = app.ArrayRecord(bench_work.initial(DATA, WORK))
    strategy = strategies.FedAvg(fraction_train=1e-9, min_train_nodes=TASK["cohort"],
                                 min_available_nodes=TASK["cohort"], fraction_evaluate=0.0)
    strategy.start(grid=grid, initial_arrays=initial, num_rounds=clock.last, timeout=3600,
                   evaluate_fn=after_round)
    clock.report(**result)

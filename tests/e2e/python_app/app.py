"""The app of the tests of apps in Python: a vector moves towards each client's number.

`main.cc` is the same app in C++, to the bit: a test mixes the two.  What a client does besides, a
setting says.
"""

from __future__ import annotations

import os
import pathlib
import signal
import time

import numpy as np
from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import FedAvg

client = ClientApp()
server = ServerApp()


def misbehave(trouble: str, context: Context) -> None:
    if trouble == "raise":
        raise ValueError("the scans of this client cannot be read")
    if trouble == "exit":
        os._exit(3)
    if trouble == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if trouble == "break":
        breakpoint()
    if trouble == "gate":
        gate = pathlib.Path(context.node_config["gate"])
        (gate / f"client-{context.partition_id}").touch()
        while not (gate / "open").exists():
            time.sleep(0.01)


@client.train()
def train(message: Message, context: Context) -> Message:
    config, number = context.run_config, context.partition_id
    print(f"client {number} is at work")
    if number < config["troubled"] and message.content["config"]["round"] == 2:
        misbehave(config["trouble"], context)
    w = message.content["arrays"]["w"].numpy()
    w += np.float32(0.5) * (np.float32(number + 1) - w)
    if config["drawn"]:
        w += context.rng().random(w.shape, dtype=np.float32)
    metrics = MetricRecord({"num-examples": 10 + number, "loss": float(number)})
    reply = RecordDict({"arrays": ArrayRecord({"w": w}), "metrics": metrics})
    return Message(reply, reply_to=message)


@server.main()
def serve(grid: Grid, context: Context) -> None:
    def evaluate(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        print(f"the server saw round {server_round}")
        if config["server-trouble"] and server_round == 2:
            raise RuntimeError("the server's test images are gone")
        w = arrays["w"].numpy()
        return MetricRecord({"first": float(w[0]), "loss": float(np.mean((w - 3) ** 2))})

    config = context.run_config
    start = ArrayRecord({"w": np.zeros(config["size"], np.float32)})
    strategy = FedAvg(fraction_evaluate=0, min_train_nodes=1, min_available_nodes=1)
    strategy.start(grid, start, num_rounds=config["rounds"], evaluate_fn=evaluate)

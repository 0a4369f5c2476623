"""The NumPyClient of legacy.py, in a module of its own: Ray's workers import it by name."""
from __future__ import annotations

import functools
import json
import os

import bench_work
from flwr.client import NumPyClient

TASK = json.loads(os.environ["BENCH_TASK"])


class Numpy:
    """The task's model as a list of arrays, trained by NumPy."""

    def initial(self):
        return bench_work.initial(TASK["data"], TASK["work"])

    def train(self, arrays, x, y):
        return arrays, bench_work.train(arrays, x, y, TASK["rate"])

    def accuracy(self, arrays):
        return bench_work.accuracy(TASK["data"], arrays)


class Torch:
    """The same, trained by PyTorch."""

    def __init__(self):
        import torch
        import torch_work
        self.torch, self.work = torch, torch_work
        self.names = list(torch_work.module(TASK["work"]).state_dict())

    def _state(self, arrays):
        return {name: self.torch.from_numpy(array) for name, array in zip(self.names, arrays)}

    @staticmethod
    def _arrays(state):
        return [value.numpy() for value in state.values()]

    def initial(self):
        return self._arrays(self.work.initial(TASK["work"], TASK["data"]))

    def train(self, arrays, x, y):
        state, loss = self.work.train(TASK["work"], self._state(arrays), x, y, TASK["rate"])
        return self._arrays(state), loss

    def accuracy(self, arrays):
        return self.work.accuracy(TASK["work"], TASK["data"], self._state(arrays))


@functools.lru_cache(maxsize=1)
def model():
    return Torch() if TASK.get("torch") else Numpy()


class Trainer(NumPyClient):
    def __init__(self, client):
        self.client = client

    def fit(self, parameters, config):
        if TASK["work"] == "noop":
            return parameters, bench_work.EXAMPLES, {"loss": 0.5}
        x, y = bench_work.examples(TASK["data"], self.client)
        arrays, loss = model().train(parameters, x, y)
        return arrays, len(y), {"loss": loss}


def client_fn(context):
    return Trainer(int(context.node_config["partition-id"])).to_client()

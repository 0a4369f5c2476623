"""simulate.py TASK: the work in pfl's simulation; says how long a central iteration took.

The task's "form": numpy (a model of ours, in one process: pfl's NumPy mode reduces over no others),
numpy-gloo (the same training, its sums in PyTorch's tensors, so that processes can share a cohort),
torch (pfl's own PyTorchModel).  "processes" share the cohort by torch.distributed.
"""
from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys

import bench_work
import numpy as np

task = bench_work.task()
WORK, DATA, RATE, FORM = task["work"], task["data"], task.get("rate", 0.01), task["form"]


def share_with_other_processes():
    """Starts the others, as torchrun would; PyTorch must not be imported before."""
    if task["processes"] == 1 or "RANK" in os.environ:
        return []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    group = {"TORCHELASTIC_RUN_ID": "bench", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
             "WORLD_SIZE": str(task["processes"]), "LOCAL_WORLD_SIZE": str(task["processes"])}
    os.environ.update(group, RANK="0", LOCAL_RANK="0")
    return [subprocess.Popen([sys.executable, *sys.argv],
                             env={**os.environ, "RANK": str(rank), "LOCAL_RANK": str(rank)})
            for rank in range(1, task["processes"])]


others = share_with_other_processes()

from pfl.aggregate.simulate import SimulatedBackend  # noqa: E402  (PyTorch reads the environment)
from pfl.algorithm.base import NNAlgorithmParams  # noqa: E402
from pfl.algorithm.federated_averaging import FederatedAveraging  # noqa: E402
from pfl.callback.base import TrainingProcessCallback  # noqa: E402
from pfl.data.dataset import Dataset  # noqa: E402
from pfl.data.federated_dataset import FederatedDataset  # noqa: E402
from pfl.hyperparam import NNTrainHyperParams  # noqa: E402
from pfl.internal.ops import selector  # noqa: E402
from pfl.metrics import Metrics  # noqa: E402
from pfl.model.base import StatefulModel  # noqa: E402
from pfl.stats import MappedVectorStatistics  # noqa: E402

if FORM == "numpy":
    from pfl.internal.ops import numpy_ops
    selector.set_framework_module(numpy_ops)
else:
    import torch
    import torch_work
    from pfl.internal.ops import pytorch_ops
    from pfl.model.pytorch import PyTorchModel
    selector.set_framework_module(pytorch_ops)
    torch.set_num_threads(task.get("threads", 1))


class NumpyModel(StatefulModel):
    """A list of arrays; its statistics are arrays, or tensors that share their memory."""

    def __init__(self, arrays):
        super().__init__()
        self.arrays = arrays
        self.tensors = self._statistics(arrays)

    @staticmethod
    def _statistics(arrays):
        wrap = torch.from_numpy if FORM == "numpy-gloo" else lambda array: array
        return MappedVectorStatistics({str(i): wrap(a) for i, a in enumerate(arrays)})

    @staticmethod
    def _copy(source, target):
        for name, value in source.items():
            np.copyto(np.asarray(target[name]), np.asarray(value))

    def get_parameters(self, placeholders=None):
        if placeholders is None:
            return self._statistics([array.copy() for array in self.arrays])
        self._copy(self.tensors, placeholders)
        return placeholders

    def set_parameters(self, w):
        self._copy(w, self.tensors)

    def get_model_difference(self, other_parameters, clone=False):
        return self._statistics([array - np.asarray(other_parameters[str(i)])
                                 for i, array in enumerate(self.arrays)])

    def apply_model_update(self, statistics):
        for i, array in enumerate(self.arrays):
            array += np.asarray(statistics[str(i)])
        return self, Metrics()

    def evaluate(self, dataset, name_formatting_fn, eval_params=None):
        return Metrics()

    def save(self, dir_path):
        raise NotImplementedError("nothing is saved here")

    def load(self, dir_path):
        raise NotImplementedError("nothing is saved here")


class NumpyAveraging(FederatedAveraging):
    def train_one_user(self, initial_model_state, model, user_dataset, central_context):
        if WORK != "noop":
            bench_work.train(model.arrays, *user_dataset.raw_data, RATE)
        return model.get_model_difference(initial_model_state), Metrics()


class TorchNoop(FederatedAveraging):
    def train_one_user(self, initial_model_state, model, user_dataset, central_context):
        return model.get_model_difference(initial_model_state), Metrics()


class Rounds(TrainingProcessCallback):
    def __init__(self):
        self.clock, self.result = bench_work.Clock(task), {}

    def after_central_iteration(self, aggregate_metrics, model, *, central_iteration):
        self.clock.round_ended(central_iteration + 1)
        if self.clock.wants_accuracy(central_iteration + 1) and os.environ.get("RANK", "0") == "0":
            self.result["accuracy"] = (
                torch_work.accuracy(WORK, DATA, model.pytorch_model.state_dict()) if FORM == "torch"
                else bench_work.accuracy(DATA, model.arrays))
            self.clock.announce(self.result["accuracy"])
        return False, Metrics()


def dataset(user):
    x, y = bench_work.examples(DATA, user)
    if FORM == "torch":
        return Dataset((torch.from_numpy(x), torch.from_numpy(y).long()), user_id=str(user))
    return Dataset((x, y), user_id=str(user))


def drawn():
    """The clients of each round: the file's, so that all sides train the same ones; or any."""
    if task.get("cohorts"):
        with open(task["cohorts"], encoding="utf-8") as file:
            return itertools.cycle([client for line in file for client in json.loads(line)])
    random = np.random.default_rng(1)
    return iter(lambda: int(random.integers(task["pool"])), -1)


def main():
    np.random.seed(1)
    ids = drawn()
    users = FederatedDataset(dataset, lambda: next(ids))
    if FORM == "torch":
        module = torch_work.module(WORK)
        module.load_state_dict(torch_work.initial(WORK, DATA))
        model = PyTorchModel(module, torch.optim.SGD,
                             torch.optim.SGD(module.parameters(), lr=1.0))
        algorithm = TorchNoop() if WORK == "noop" else FederatedAveraging()
    else:
        model = NumpyModel(bench_work.initial(DATA, WORK))
        algorithm = NumpyAveraging()
    rounds = Rounds()
    parameters = NNAlgorithmParams(central_num_iterations=rounds.clock.last,
                                   evaluation_frequency=rounds.clock.last + 1,
                                   train_cohort_size=task["cohort"], val_cohort_size=0)
    training = NNTrainHyperParams(local_num_epochs=1, local_learning_rate=RATE,
                                  local_batch_size=bench_work.BATCH)
    algorithm.run(parameters, SimulatedBackend(users, users), model, training, None, [rounds],
                  send_metrics_to_platform=False)
    if os.environ.get("RANK", "0") != "0":
        return
    rounds.clock.report(**rounds.result)
    for other in others:
        other.wait()


if __name__ == "__main__":
    main()

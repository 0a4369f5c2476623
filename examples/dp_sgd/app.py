"""Clients who train by DP-SGD: what leaves them tells little of any single image of theirs.

DP-SGD (Abadi et al. 2016, arXiv 1607.00133) is Opacus's; each client accounts for its own privacy
over all rounds, and takes no part in a round that would exceed what it allows.
"""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import torch
from opacus import PrivacyEngine
from opacus.accountants import RDPAccountant
from torch.utils.data import DataLoader, TensorDataset
from umbel import data
from umbel.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import FedAvg

client = ClientApp()
server = ServerApp()
# Opacus on `secret-noise`, and PyTorch on images that need no gradient.
warnings.filterwarnings("ignore", "Secure RNG turned off|Full backward hook is firing")


@cache
def images(split: str) -> TensorDataset:
    """Images [n, 784] around 0, and labels [n]."""
    raw = data.fashion_mnist(split)
    pixels = torch.from_numpy(raw.features.reshape(-1, 784).astype(np.float32)) / 255 - 0.5
    return TensorDataset(pixels, torch.from_numpy(raw.labels.astype(np.int64)))


def images_of(context: Context) -> TensorDataset:
    """The images of this client.  Put your own data here."""
    mine = np.arange(context.partition_id, len(images("train")), context.num_partitions)
    return TensorDataset(*images("train")[mine])


def account(context: Context, sample_rate: float, steps: int) -> float:
    """Epsilon after `steps` more steps, besides those that this client's state knows of.

    PermissionError, and nothing noted, if that exceeds `epsilon-max`.
    """
    config = context.run_config
    spent = context.state.get("privacy", ConfigRecord({"steps": 0}))
    accountant = RDPAccountant()
    total = spent["steps"] + steps
    accountant.history = [(config["noise-multiplier"], sample_rate, total)]
    epsilon = accountant.get_epsilon(config["delta"])
    if epsilon > config["epsilon-max"]:
        raise PermissionError(f"a further round would give away epsilon {epsilon:.3g}, "
                              f"epsilon-max is {config['epsilon-max']}")
    context.state["privacy"] = ConfigRecord({"steps": total})
    return epsilon


@client.train()
def train(message: Message, context: Context) -> Message:
    config = context.run_config
    mine = images_of(context)
    model = torch.nn.Linear(784, 10)
    model.load_state_dict(message.content["arrays"].to_torch_state_dict())
    random = torch.Generator()  # of the noise, and of who is in which batch
    if config["secret-noise"]:
        random.seed()
    else:
        random.manual_seed(context.seed)
    private, optimizer, batches = PrivacyEngine().make_private(
        module=model, optimizer=torch.optim.SGD(model.parameters(), lr=config["learning-rate"]),
        data_loader=DataLoader(mine, batch_size=config["batch-size"], generator=random),
        noise_multiplier=config["noise-multiplier"], max_grad_norm=config["max-grad-norm"],
        noise_generator=random)
    steps = config["local-epochs"] * len(batches)
    epsilon = account(context, batches.sample_rate, steps)
    for _ in range(config["local-epochs"]):
        for x, y in batches:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(private(x), y).backward()
            optimizer.step()
    metrics = MetricRecord({"num-examples": len(mine), "epsilon": epsilon,
                            "sample-rate": batches.sample_rate, "steps": steps})
    arrays = ArrayRecord(model.state_dict())
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)


@server.main()
def serve(grid: Grid, context: Context) -> None:
    torch.manual_seed(context.run_seed)
    model = torch.nn.Linear(784, 10)
    x, y = images("test").tensors

    @torch.no_grad()
    def evaluate(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        model.load_state_dict(arrays.to_torch_state_dict())
        return MetricRecord({"accuracy": (model(x).argmax(1) == y).double().mean().item()})

    result = FedAvg(fraction_evaluate=0).start(
        grid, ArrayRecord(model.state_dict()), num_rounds=context.run_config["rounds"],
        evaluate_fn=evaluate)
    context.save("model.safetensors", result.arrays)

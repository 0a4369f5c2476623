"""A convolutional network of PyTorch learns Fashion-MNIST from clients who keep their images."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from umbel import data
from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import FedAvg

from model import Cnn, fit, score

client = ClientApp()
server = ServerApp()


@cache
def partition(clients: int, alpha: float, seed: int) -> data.Partition:
    """Who holds which training images; made once in a process."""
    labels = data.fashion_mnist("train").labels
    return data.partition(labels, kind="dirichlet", clients=clients, alpha=alpha, seed=seed)


Tensors = tuple[torch.Tensor, torch.Tensor]


def tensors(images: data.Dataset, examples: np.ndarray | slice) -> Tensors:
    """Images [n, 1, 28, 28] from 0 to 1 and labels [n]."""
    pixels = torch.from_numpy(images.features[examples].astype(np.float32) / 255)
    return pixels.unsqueeze(1), torch.from_numpy(images.labels[examples].astype(np.int64))


def images_of(context: Context) -> Tensors:
    """The images and labels of this client.  Put your own data here."""
    alpha = context.run_config["dirichlet-alpha"]
    parts = partition(context.num_partitions, alpha, context.run_seed)
    return tensors(data.fashion_mnist("train"), parts.examples(context.partition_id))


@client.train()
def train(message: Message, context: Context) -> Message:
    config = context.run_config
    x, y = images_of(context)
    model = Cnn()
    model.load_state_dict(message.content["arrays"].to_torch_state_dict())
    loss = fit(model, x, y, config["local-epochs"], config["batch-size"], config["learning-rate"])
    metrics = MetricRecord({"num-examples": len(y), "loss": loss})
    arrays = ArrayRecord(model.state_dict())
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)


@server.main()
def serve(grid: Grid, context: Context) -> None:
    torch.manual_seed(context.run_seed)
    model = Cnn()
    x, y = tensors(data.fashion_mnist("test"), slice(None))

    def evaluate(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        model.load_state_dict(arrays.to_torch_state_dict())
        return MetricRecord(score(model, x, y))

    config = context.run_config
    clients = len(list(grid.get_node_ids()))
    strategy = FedAvg(fraction_train=min(1, config["clients-per-round"] / clients),
                      fraction_evaluate=0)
    result = strategy.start(grid, ArrayRecord(model.state_dict()), num_rounds=config["rounds"],
                            evaluate_fn=evaluate)
    context.save("model.safetensors", result.arrays)

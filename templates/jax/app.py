"""A neural network in JAX learns Fashion-MNIST from clients who keep their images."""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from umbel import data
from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import FedAvgM

import mlp

client = ClientApp()
server = ServerApp()


@cache
def partition(clients: int, alpha: float, seed: int) -> data.Partition:
    """Who holds which training images; made once in a process."""
    labels = data.fashion_mnist("train").labels
    return data.partition(labels, kind="dirichlet", clients=clients, alpha=alpha, seed=seed)


def images_of(context: Context) -> tuple[np.ndarray, np.ndarray]:
    """The images [n, 784] and labels [n] of this client.  Put your own data here."""
    alpha = context.run_config["dirichlet-alpha"]
    parts = partition(context.num_partitions, alpha, context.run_seed)
    mine = parts.examples(context.partition_id)
    images = data.fashion_mnist("train")
    return pixels(images.features[mine]), images.labels[mine]


def pixels(features: np.ndarray) -> np.ndarray:
    return features.reshape(len(features), 784).astype(np.float32) / 255


def weights_of(arrays: ArrayRecord) -> mlp.Weights:
    return {name: jnp.asarray(array.numpy()) for name, array in arrays.items()}


@client.train()
def train(message: Message, context: Context) -> Message:
    config = context.run_config
    x, y = images_of(context)
    # Whole batches alone, and one compiled program for all clients.
    batch = min(config["batch-size"], len(y))
    orders = [context.rng().permutation(len(y)) for _ in range(config["local-epochs"])]
    whole = len(y) // batch * batch
    batches = np.concatenate([order[:whole] for order in orders]).reshape(-1, batch)
    weights = weights_of(message.content["arrays"])
    trained, loss = mlp.fit(weights, x[batches], y[batches], config["learning-rate"])
    metrics = MetricRecord({"num-examples": len(y), "loss": float(loss)})
    arrays = ArrayRecord(trained)
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)


@server.main()
def serve(grid: Grid, context: Context) -> None:
    test = data.fashion_mnist("test")
    x, y = pixels(test.features), test.labels

    def evaluate(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        accuracy, loss = mlp.score(weights_of(arrays), x, y)
        return MetricRecord({"accuracy": float(accuracy), "loss": float(loss)})

    config = context.run_config
    clients = len(list(grid.get_node_ids()))
    strategy = FedAvgM(fraction_train=min(1, config["clients-per-round"] / clients),
                       fraction_evaluate=0, server_momentum=0.5)
    initial = mlp.initial(jax.random.key(context.run_seed))
    result = strategy.start(grid, ArrayRecord(initial), num_rounds=config["rounds"],
                            evaluate_fn=evaluate)
    context.save("model.safetensors", result.arrays)

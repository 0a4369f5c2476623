"""A Keras model of TensorFlow learns Fashion-MNIST from clients who keep their images."""

from __future__ import annotations

from functools import cache

import numpy as np
import tensorflow as tf
from umbel import data
from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import FedAvg

client = ClientApp()
server = ServerApp()


@cache
def model() -> tf.keras.Model:
    """A small convolutional network; made once in a process: that takes longer than training it."""
    layers = tf.keras.layers
    network = tf.keras.Sequential([
        tf.keras.Input((28, 28, 1)),
        layers.Conv2D(8, 5, strides=2, padding="same", activation="relu"),
        layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
        layers.Flatten(),
        layers.Dense(10),
    ])
    network.compile(tf.keras.optimizers.SGD(), metrics=["accuracy"],
                    loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return network


@cache
def partition(clients: int, alpha: float, seed: int) -> data.Partition:
    """Who holds which training images; made once in a process."""
    labels = data.fashion_mnist("train").labels
    return data.partition(labels, kind="dirichlet", clients=clients, alpha=alpha, seed=seed)


def images_of(context: Context) -> tuple[np.ndarray, np.ndarray]:
    """The images [n, 28, 28, 1] and labels [n] of this client.  Put your own data here."""
    alpha = context.run_config["dirichlet-alpha"]
    parts = partition(context.num_partitions, alpha, context.run_seed)
    mine = parts.examples(context.partition_id)
    images = data.fashion_mnist("train")
    return pixels(images.features[mine]), images.labels[mine]


def pixels(features: np.ndarray) -> np.ndarray:
    return features[..., np.newaxis].astype(np.float32) / 255


@client.train()
def train(message: Message, context: Context) -> Message:
    config = context.run_config
    x, y = images_of(context)
    network = model()
    network.set_weights(message.content["arrays"].to_numpy_ndarrays())
    network.optimizer.learning_rate = config["learning-rate"]
    history = network.fit(x, y, epochs=config["local-epochs"], batch_size=config["batch-size"],
                          verbose=0)
    metrics = MetricRecord({"num-examples": len(y), "loss": history.history["loss"][-1]})
    arrays = ArrayRecord(network.get_weights())
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)


@server.main()
def serve(grid: Grid, context: Context) -> None:
    tf.keras.utils.set_random_seed(context.run_seed)
    test = data.fashion_mnist("test")

    def evaluate(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        model().set_weights(arrays.to_numpy_ndarrays())
        loss, accuracy = model().evaluate(pixels(test.features), test.labels, batch_size=1000,
                                          verbose=0)
        return MetricRecord({"accuracy": accuracy, "loss": loss})

    config = context.run_config
    clients = len(list(grid.get_node_ids()))
    strategy = FedAvg(fraction_train=min(1, config["clients-per-round"] / clients),
                      fraction_evaluate=0)
    result = strategy.start(grid, ArrayRecord(model().get_weights()), num_rounds=config["rounds"],
                            evaluate_fn=evaluate)
    context.save("model.safetensors", result.arrays)

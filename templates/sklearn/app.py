"""A linear classifier of scikit-learn learns handwritten digits from clients who keep theirs."""

from __future__ import annotations

from functools import cache

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from umbel import data
from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import FedAvg

CLASSES = np.arange(10)

client = ClientApp()
server = ServerApp()


@cache
def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images [n, 64] from 0 to 1, for training and for tests, and their labels."""
    x, y = load_digits(return_X_y=True)
    return train_test_split(x / 16, y.astype(np.int32), test_size=0.2, random_state=1, stratify=y)


@cache
def partition(clients: int, alpha: float, seed: int) -> data.Partition:
    """Who holds which training images; made once in a process."""
    _, _, labels, _ = digits()
    return data.partition(labels, kind="dirichlet", clients=clients, alpha=alpha, seed=seed)


def images_of(context: Context) -> tuple[np.ndarray, np.ndarray]:
    """The images and labels of this client.  Put your own data here."""
    alpha = context.run_config["dirichlet-alpha"]
    parts = partition(context.num_partitions, alpha, context.run_seed)
    mine = parts.examples(context.partition_id)
    x, _, y, _ = digits()
    return x[mine], y[mine]


def model_of(arrays: ArrayRecord, rate: float = 0.1, seed: int = 0) -> SGDClassifier:
    """A logistic regression with these weights, ready to predict or to learn on."""
    model = SGDClassifier(loss="log_loss", alpha=1e-4, learning_rate="constant", eta0=rate,
                          random_state=seed)
    model.classes_ = CLASSES
    model.coef_, model.intercept_ = arrays["coef"].numpy(), arrays["intercept"].numpy()
    return model


def score(model: SGDClassifier, x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    return {"accuracy": model.score(x, y),
            "loss": log_loss(y, model.predict_proba(x), labels=CLASSES)}


@client.train()
def train(message: Message, context: Context) -> Message:
    x, y = images_of(context)
    seed = int(context.rng().integers(2**31))
    model = model_of(message.content["arrays"], context.run_config["learning-rate"], seed)
    for _ in range(context.run_config["local-epochs"]):
        model.partial_fit(x, y, CLASSES)
    arrays = ArrayRecord({"coef": model.coef_, "intercept": model.intercept_})
    metrics = MetricRecord({"num-examples": len(y), "loss": score(model, x, y)["loss"]})
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)


@client.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """How good the model is on this client's own images: averaged over the clients."""
    x, y = images_of(context)
    model = model_of(message.content["arrays"])
    metrics = MetricRecord({"num-examples": len(y), **score(model, x, y)})
    return Message(RecordDict({"metrics": metrics}), reply_to=message)


@server.main()
def serve(grid: Grid, context: Context) -> None:
    _, x, _, y = digits()

    def on_test_images(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        return MetricRecord(score(model_of(arrays), x, y))

    initial = ArrayRecord({"coef": np.zeros((10, 64)), "intercept": np.zeros(10)})
    result = FedAvg().start(grid, initial, num_rounds=context.run_config["rounds"],
                            evaluate_fn=on_test_images)
    context.save("model.safetensors", result.arrays)

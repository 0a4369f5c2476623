"""Tells which of three states a machine is in from its eight sensors: softmax regression."""

import numpy as np
from umbel.app import ArrayRecord, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp
from umbel.serverapp import ServerApp, strategy

client, server = ClientApp(), ServerApp()


def make_data(seed, examples):
    """Readings [n, 8] and states [n]: made up here, from a seed."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=examples)
    angle = y[:, None] * 2.1 + np.arange(8) * 0.7
    return np.sin(angle) + rng.normal(0, 0.8, (examples, 8)), y


def probabilities(w, b, x):
    scores = x @ w + b
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def train(w, b, x, y, rng):
    """One epoch of stochastic gradient descent, in place."""
    for batch in np.array_split(rng.permutation(len(y)), len(y) // 20):
        error = probabilities(w, b, x[batch]) - np.eye(3)[y[batch]]
        w -= 0.1 * x[batch].T @ error / len(batch)
        b -= 0.1 * error.mean(axis=0)


def accuracy(w, b, x, y):
    return float((probabilities(w, b, x).argmax(axis=1) == y).mean())


@client.train()
def train_at_site(message, context):
    w, b = message.content["arrays"].to_numpy_ndarrays()
    train(w, b, *make_data(2 + context.partition_id, 200), context.rng())
    arrays, metrics = ArrayRecord([w, b]), MetricRecord({"num-examples": 200})
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)


@server.main()
def serve(grid, context):
    test = make_data(1, 2000)
    w, b = np.zeros((8, 3)), np.zeros(3)

    def evaluate(server_round, arrays):
        return MetricRecord({"accuracy": accuracy(*arrays.to_numpy_ndarrays(), *test)})

    fed_avg = strategy.FedAvg(fraction_evaluate=0)
    fed_avg.start(grid, ArrayRecord([w, b]), num_rounds=10, evaluate_fn=evaluate)

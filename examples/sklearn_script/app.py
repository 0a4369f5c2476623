"""Tells which of three states a machine is in from its eight sensors, by a linear classifier."""

import numpy as np
from sklearn.linear_model import SGDClassifier
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


model = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.01, random_state=1)


def train(x, y):
    """One epoch of stochastic gradient descent."""
    model.partial_fit(x, y, classes=[0, 1, 2])


@client.train()
def train_at_site(message, context):
    model.coef_, model.intercept_ = message.content["arrays"].to_numpy_ndarrays()
    train(*make_data(2 + context.partition_id, 200))
    return Message(RecordDict({"arrays": ArrayRecord([model.coef_, model.intercept_]),
                               "metrics": MetricRecord({"num-examples": 200})}), reply_to=message)


@server.main()
def serve(grid, context):
    test = make_data(1, 2000)

    def evaluate(server_round, arrays):
        model.coef_, model.intercept_ = arrays.to_numpy_ndarrays()
        model.classes_ = np.arange(3)
        return MetricRecord({"accuracy": model.score(*test)})

    initial = ArrayRecord([np.zeros((3, 8)), np.zeros(3)])
    fed_avg = strategy.FedAvg(fraction_evaluate=0)
    fed_avg.start(grid, initial, num_rounds=10, evaluate_fn=evaluate)

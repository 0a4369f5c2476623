"""Tells which of three states a machine is in from its eight sensors, by a linear classifier."""

import numpy as np
from sklearn.linear_model import SGDClassifier


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


test = make_data(1, 2000)
x, y = make_data(0, 2000)
for epoch in range(10):
    train(x, y)
    print(f"epoch {epoch + 1}: accuracy {model.score(*test):.3f}")

"""Tells which of three states a machine is in from its eight sensors: softmax regression."""

import numpy as np


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


def main():
    test = make_data(1, 2000)
    w, b = np.zeros((8, 3)), np.zeros(3)
    x, y = make_data(0, 2000)
    rng = np.random.default_rng(1)
    for epoch in range(10):
        train(w, b, x, y, rng)
        print(f"epoch {epoch + 1}: accuracy {accuracy(w, b, *test):.3f}")


if __name__ == "__main__":
    main()

"""Logistic regression, and readings of turbines that no farm gives away."""

import numpy as np

FEATURES = 9  # vibration in eight bands, oil temperature


def readings(farm: int, count: int):
    """Readings [count, 9] of one farm, and whether the gearbox failed within a week."""
    rng = np.random.default_rng([3, farm])
    truth = np.random.default_rng(4).normal(size=FEATURES)
    offset = rng.normal(scale=0.5, size=FEATURES)  # no two farms are alike
    x = rng.normal(size=(count, FEATURES)) + offset
    y = x @ truth + 0.3 * rng.logistic(size=count) > 0
    return x, y.astype(np.float64)


def probability(weights, x):
    w, b = weights
    return 1 / (1 + np.exp(-(x @ w + b)))


def fit(weights, x, y, epochs: int, rate: float):
    w, b = weights
    for _ in range(epochs):
        error = probability([w, b], x) - y
        w = w - rate * x.T @ error / len(y)
        b = b - rate * error.mean()
    return [w, np.asarray(b)]


def score(weights, x, y):
    p = np.clip(probability(weights, x), 1e-9, 1 - 1e-9)
    loss = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    return float(loss), float(np.mean((p > 0.5) == y))

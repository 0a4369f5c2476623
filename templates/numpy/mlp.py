"""The network: 784 pixels, 200 hidden units, 10 classes, written out in NumPy."""

from __future__ import annotations

import numpy as np

Weights = dict[str, np.ndarray]


def initial(seed: int) -> Weights:
    """Weights to begin with: normal, scaled for ReLU (He et al. 2015, arXiv 1502.01852)."""
    rng = np.random.default_rng(seed)
    return {"hidden.weight": rng.normal(0, (2 / 784) ** 0.5, (784, 200)).astype(np.float32),
            "hidden.bias": np.zeros(200, np.float32),
            "out.weight": rng.normal(0, (2 / 200) ** 0.5, (200, 10)).astype(np.float32),
            "out.bias": np.zeros(10, np.float32)}


def forward(w: Weights, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The hidden units [n, 200] and the log-probabilities [n, 10] of images [n, 784]."""
    hidden = np.maximum(x @ w["hidden.weight"] + w["hidden.bias"], 0)
    scores = hidden @ w["out.weight"] + w["out.bias"]
    scores -= scores.max(axis=1, keepdims=True)
    return hidden, scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def step(w: Weights, x: np.ndarray, y: np.ndarray, rate: float) -> float:
    """One step of gradient descent on a batch, in place; the loss before it."""
    hidden, log_p = forward(w, x)
    rows = np.arange(len(y))
    d_scores = np.exp(log_p)
    d_scores[rows, y] -= 1
    d_scores /= np.float32(len(y))
    d_hidden = (d_scores @ w["out.weight"].T) * (hidden > 0)
    w["out.weight"] -= np.float32(rate) * (hidden.T @ d_scores)
    w["out.bias"] -= np.float32(rate) * d_scores.sum(axis=0)
    w["hidden.weight"] -= np.float32(rate) * (x.T @ d_hidden)
    w["hidden.bias"] -= np.float32(rate) * d_hidden.sum(axis=0)
    return float(-log_p[rows, y].mean())


def score(w: Weights, x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Accuracy and mean loss on images [n, 784] with labels [n]."""
    _, log_p = forward(w, x)
    return {"accuracy": float((log_p.argmax(axis=1) == y).mean()),
            "loss": float(-log_p[np.arange(len(y)), y].mean())}

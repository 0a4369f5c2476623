"""The network: 784 pixels, 128 hidden units, 10 classes, in JAX alone."""

from __future__ import annotations

import jax
import jax.numpy as jnp

Weights = dict[str, jax.Array]


def initial(key: jax.Array) -> Weights:
    """Weights to begin with: normal, scaled for ReLU (He et al. 2015, arXiv 1502.01852)."""
    hidden, out = jax.random.split(key)
    return {"hidden.weight": jax.random.normal(hidden, (784, 128)) * (2 / 784) ** 0.5,
            "hidden.bias": jnp.zeros(128),
            "out.weight": jax.random.normal(out, (128, 10)) * (2 / 128) ** 0.5,
            "out.bias": jnp.zeros(10)}


def log_probabilities(w: Weights, x: jax.Array) -> jax.Array:
    """[n, 10], of images [n, 784]."""
    hidden = jax.nn.relu(x @ w["hidden.weight"] + w["hidden.bias"])
    return jax.nn.log_softmax(hidden @ w["out.weight"] + w["out.bias"])


def loss(w: Weights, x: jax.Array, y: jax.Array) -> jax.Array:
    """Mean cross-entropy."""
    return -jnp.take_along_axis(log_probabilities(w, x), y[:, None], axis=1).mean()


@jax.jit
def fit(w: Weights, x: jax.Array, y: jax.Array, rate: float) -> tuple[Weights, jax.Array]:
    """A step of gradient descent on each of the batches x [m, b, 784], y [m, b]; the mean loss."""

    def step(w: Weights, batch: tuple[jax.Array, jax.Array]) -> tuple[Weights, jax.Array]:
        value, gradient = jax.value_and_grad(loss)(w, *batch)
        return jax.tree.map(lambda a, g: a - rate * g, w, gradient), value

    w, losses = jax.lax.scan(step, w, (x, y))
    return w, losses.mean()


@jax.jit
def score(w: Weights, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Accuracy and mean loss."""
    return (log_probabilities(w, x).argmax(axis=1) == y).mean(), loss(w, x, y)

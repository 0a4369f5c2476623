"""The data and the model, in NumPy."""

import numpy as np

CLASSES, SIDE, HIDDEN = 10, 8, 32
PIXELS = SIDE * SIDE


def signs():
    """Ten signs: smooth random drawings, the same for everybody."""
    rng = np.random.default_rng(2024)
    drawings = rng.normal(size=(CLASSES, SIDE, SIDE))
    for axis in (1, 2):
        drawings = drawings + np.roll(drawings, 1, axis)
    return (drawings / drawings.std()).reshape(CLASSES, PIXELS).astype(np.float32)


def drawn(labels, rng):
    """Each sign as somebody drew it: shifted by a pixel or not, with noise."""
    images = signs()[labels].reshape(-1, SIDE, SIDE)
    for axis in (1, 2):
        moved = rng.integers(0, 2, len(labels)).astype(bool)
        images[moved] = np.roll(images[moved], 1, axis)
    noise = rng.normal(scale=1.4, size=(len(labels), PIXELS))
    return images.reshape(-1, PIXELS) + noise.astype(np.float32)


def load_data(partition_id):
    """A client's own 120 images and labels, most of them of few kinds; put your data here."""
    rng = np.random.default_rng([7, partition_id])
    labels = rng.choice(CLASSES, size=120, p=rng.dirichlet(np.full(CLASSES, 0.5)))
    return drawn(labels, rng), labels


def load_test():
    """2,000 images that no client has, of all kinds alike."""
    rng = np.random.default_rng(8)
    labels = rng.integers(0, CLASSES, 2000)
    return drawn(labels, rng), labels


def initial_weights():
    """Two layers: 64 pixels, 32 hidden units, 10 signs."""
    rng = np.random.default_rng(9)
    return {"hidden.weight": rng.normal(scale=PIXELS**-0.5, size=(PIXELS, HIDDEN)).astype("f4"),
            "hidden.bias": np.zeros(HIDDEN, "f4"),
            "out.weight": rng.normal(scale=HIDDEN**-0.5, size=(HIDDEN, CLASSES)).astype("f4"),
            "out.bias": np.zeros(CLASSES, "f4")}


def forward(weights, images):
    hidden = np.maximum(images @ weights["hidden.weight"] + weights["hidden.bias"], 0)
    scores = hidden @ weights["out.weight"] + weights["out.bias"]
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return hidden, scores / scores.sum(axis=1, keepdims=True)


def train(weights, images, labels, epochs, batch_size, rate, rng):
    """Stochastic gradient descent in place; returns the mean loss."""
    losses = []
    for _ in range(epochs):
        order = rng.permutation(len(labels))
        for first in range(0, len(order), batch_size):
            batch = order[first:first + batch_size]
            x, y = images[batch], labels[batch]
            hidden, p = forward(weights, x)
            losses.append(float(-np.log(p[np.arange(len(y)), y] + 1e-9).mean()))
            p[np.arange(len(y)), y] -= 1
            p /= len(y)
            back = (p @ weights["out.weight"].T) * (hidden > 0)
            for name, step in (("out.weight", hidden.T @ p), ("out.bias", p.sum(axis=0)),
                               ("hidden.weight", x.T @ back), ("hidden.bias", back.sum(axis=0))):
                weights[name] -= rate * step
    return float(np.mean(losses))


def test(weights, images, labels):
    """Loss and accuracy."""
    _, p = forward(weights, images)
    loss = float(-np.log(p[np.arange(len(labels)), labels] + 1e-9).mean())
    return loss, float((p.argmax(axis=1) == labels).mean())

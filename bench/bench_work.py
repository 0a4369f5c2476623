"""The work that every side of a comparison does: the data, the models, the clock.

bench_work.py export FOLDER: Fashion-MNIST in the order of the clients (client c of 1,200 has the 50
examples from 50 c on; a seeded permutation of all 60,000), as every side reads it: train-x.npy and
test-x.npy (float32, mean 0, deviation 1), train-u8.npy and test-u8.npy (the pixels), train-y.npy and
test-y.npy (int32), and initial-NAME-0.npy, ...: the models that all begin with.

Models are lists of float32 arrays: a weight [out, in] and a bias [out] for each layer.
"""
from __future__ import annotations

import functools
import gzip
import json
import os
import pathlib
import sys
import time

import numpy as np

EXAMPLES = 50  # of a client
BATCH = 10
CLIENTS = 1200  # that hold different examples; client c has those of c % CLIENTS
MEAN, DEVIATION = 72.94, 90.02  # of the pixels
WIDTHS = {"noop": [784, 10], "softmax": [784, 10], "perceptron": [784, 200, 200, 10]}
IMAGES = "/usr/share/datasets/fashion-mnist"


def _read(name, offset):
    with gzip.open(os.path.join(os.environ.get("UMBEL_FASHION_MNIST", IMAGES), name)) as file:
        return np.frombuffer(file.read(), np.uint8, offset=offset)


def export(folder):
    folder = pathlib.Path(folder)
    order = np.random.default_rng(1).permutation(60_000)
    for part, name, rows in (("train", "train", order), ("test", "t10k", slice(None))):
        pixels = _read(f"{name}-images-idx3-ubyte.gz", 16).reshape(-1, 784)[rows]
        labels = _read(f"{name}-labels-idx1-ubyte.gz", 8)[rows]
        np.save(folder / f"{part}-u8.npy", pixels)
        np.save(folder / f"{part}-x.npy", ((pixels - np.float32(MEAN)) / np.float32(DEVIATION)))
        np.save(folder / f"{part}-y.npy", labels.astype(np.int32))
    for name, widths in WIDTHS.items():
        random = np.random.default_rng(2)
        for layer, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
            weight = random.standard_normal((outputs, inputs)) * np.sqrt(2 / inputs)
            np.save(folder / f"initial-{name}-{2 * layer}.npy", weight.astype(np.float32))
            np.save(folder / f"initial-{name}-{2 * layer + 1}.npy", np.zeros(outputs, np.float32))


def initial(folder, work):
    return [np.load(os.path.join(folder, f"initial-{work}-{i}.npy"))
            for i in range(2 * len(WIDTHS[work]) - 2)]


@functools.lru_cache(maxsize=None)
def load(folder, part):
    """Features and labels, mapped: processes on one machine share the pages."""
    return tuple(np.asarray(np.load(os.path.join(folder, f"{part}-{kind}.npy"), mmap_mode="r"))
                 for kind in "xy")


def examples(folder, client):
    x, y = load(folder, "train")
    first = client % CLIENTS * EXAMPLES
    return x[first:first + EXAMPLES], y[first:first + EXAMPLES]


def _scores(model, x):
    outputs = [x]
    for layer in range(0, len(model), 2):
        x = x @ model[layer].T + model[layer + 1]
        if layer + 2 < len(model):
            np.maximum(x, 0, out=x)
        outputs.append(x)
    return outputs


def train(model, x, y, rate):
    """One epoch of plain SGD in place, batches in order; returns the mean loss before each step."""
    losses = []
    for first in range(0, len(y), BATCH):
        labels = y[first:first + BATCH]
        outputs = _scores(model, x[first:first + BATCH])
        rows = np.arange(len(labels))
        gradient = outputs[-1]
        gradient -= gradient.max(axis=1, keepdims=True)
        chosen = gradient[rows, labels]
        np.exp(gradient, out=gradient)
        total = gradient.sum(axis=1, keepdims=True)
        losses.append(float((np.log(total[:, 0]) - chosen).mean()))
        gradient /= total
        gradient[rows, labels] -= 1
        gradient *= np.float32(rate / len(labels))
        for layer in range(len(model) - 2, -1, -2):
            below = outputs[layer // 2]
            if layer:
                deeper = (gradient @ model[layer]) * (below > 0)
            model[layer] -= gradient.T @ below
            model[layer + 1] -= gradient.sum(axis=0)
            if layer:
                gradient = deeper
    return sum(losses) / len(losses)


def accuracy(folder, model):
    x, y = load(folder, "test")
    return float((_scores(model, x)[-1].argmax(axis=1) == y).mean())


class Clock:
    """When rounds ended; says WARM when those begin that count.  Called after each round, on the server's side, with the round from 1."""

    def __init__(self, task):
        self.warm_up, self.rounds = task["warm_up"], task["rounds"]
        self.announces, self.work = task.get("announce", False), task["work"]
        self.started = time.perf_counter()
        self.ends = {0: self.started}
        if not self.warm_up:
            print("WARM", flush=True)

    def round_ended(self, number):
        self.ends[number] = time.perf_counter()
        if number == self.warm_up:
            print("WARM", flush=True)

    @property
    def last(self):
        return self.warm_up + self.rounds

    def wants_accuracy(self, number):
        return self.work != "noop" and (number == self.last or (self.announces and number > 0))

    def announce(self, accuracy):
        if self.announces:
            print(f"ACCURACY {accuracy}", flush=True)

    def report(self, **more):
        """What the driver reads: seconds of a round after the warm-up, and of the first one."""
        seconds = (self.ends[self.last] - self.ends[self.warm_up]) / self.rounds
        print("RESULT " + json.dumps({"seconds": seconds, **more}), flush=True)


def task():
    return json.loads(sys.argv[1])


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "export":
        sys.exit(__doc__)
    export(sys.argv[2])

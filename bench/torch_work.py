"""The models that PyTorch trains, the same for every side."""
from __future__ import annotations

import functools
import os

import bench_work
import numpy as np
import torch
from torch import nn

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


class Net(nn.Module):
    """With the two methods that pfl wants of a module."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return self.body(x)

    def loss(self, x, y):
        return nn.functional.cross_entropy(self(x), y)

    def metrics(self, x, y):
        return {}


def module(work):
    """perceptron as bench_work's; niid-cnn of Li et al. 2022; mcmahan-cnn of McMahan et al. 2017."""
    if work in bench_work.WIDTHS:
        widths = bench_work.WIDTHS[work]
        layers = []
        for inputs, outputs in zip(widths, widths[1:]):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        return Net(nn.Sequential(*layers[:-1]))
    if work == "niid-cnn":
        body = [nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
                nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 120), nn.ReLU(), nn.Linear(120, 84),
                nn.ReLU(), nn.Linear(84, 10)]
    elif work == "mcmahan-cnn":
        body = [nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
                nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, 10)]
    else:
        raise ValueError(f"no model {work}")
    return Net(nn.Sequential(nn.Unflatten(1, (1, 28, 28)), *body))


@functools.lru_cache(maxsize=1)
def _made(work):
    return module(work)


def initial(work, data):
    torch.manual_seed(1)
    net = module(work)
    state = net.state_dict()
    if work in bench_work.WIDTHS:
        for name, array in zip(state, bench_work.initial(data, work)):
            state[name] = torch.from_numpy(array)
    return state


def train(work, state, x, y, rate):
    """One epoch of plain SGD, batches in order: the new state and the mean loss."""
    net = _made(work)
    net.load_state_dict(state)
    optimizer = torch.optim.SGD(net.parameters(), lr=rate)
    x, y = torch.from_numpy(np.asarray(x)), torch.from_numpy(np.asarray(y)).long()
    losses = []
    for first in range(0, len(y), bench_work.BATCH):
        batch = slice(first, first + bench_work.BATCH)
        optimizer.zero_grad()
        loss = net.loss(x[batch], y[batch])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return net.state_dict(), sum(losses) / len(losses)


@torch.no_grad()
def accuracy(work, data, state):
    net = module(work)
    net.load_state_dict(state)
    x, y = bench_work.load(data, "test")
    right = 0
    for first in range(0, len(y), 1000):
        scores = net(torch.from_numpy(x[first:first + 1000]))
        right += int((scores.argmax(1).numpy() == y[first:first + 1000]).sum())
    return right / len(y)

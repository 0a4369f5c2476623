"""The network: two convolutions and a linear layer, 9,226 parameters."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class Cnn(nn.Module):
    """Scores [n, 10] of grey images [n, 1, 28, 28]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 5, stride=2, padding=2)
        self.conv2 = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.head = nn.Linear(16 * 7 * 7, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        return self.head(x.flatten(1))


def fit(model: nn.Module, x: torch.Tensor, y: torch.Tensor, epochs: int, batch: int,
        rate: float) -> float:
    """Trains `model` by stochastic gradient descent; the mean loss of all steps."""
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    losses = []
    model.train()
    for _ in range(epochs):
        for examples in torch.randperm(len(y)).split(batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[examples]), y[examples])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return sum(losses) / len(losses)


@torch.no_grad()
def score(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> dict[str, float]:
    """Accuracy and mean loss, 1,000 images at a time."""
    model.eval()
    scores = torch.cat([model(part) for part in x.split(1000)])
    return {"accuracy": (scores.argmax(1) == y).double().mean().item(),
            "loss": F.cross_entropy(scores, y).item()}

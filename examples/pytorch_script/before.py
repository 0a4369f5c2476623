"""Tells which of three states a machine is in from its eight sensors."""

import torch
from torch import nn
from torch.nn import functional as F


def make_data(seed, examples):
    """Readings [n, 8] and states [n]: made up here, from a seed."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(3, (examples,), generator=generator)
    angle = y[:, None] * 2.1 + torch.arange(8) * 0.7
    return angle.sin() + torch.randn(examples, 8, generator=generator) * 0.8, y


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(8, 32)
        self.norm = nn.BatchNorm1d(32)
        self.dropout = nn.Dropout(0.1)
        self.out = nn.Linear(32, 3)

    def forward(self, x):
        return self.out(self.dropout(F.relu(self.norm(self.hidden(x)))))


def train(net, x, y):
    """One epoch of stochastic gradient descent."""
    net.train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for batch in torch.randperm(len(y)).split(20):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x[batch]), y[batch])
        loss.backward()
        optimizer.step()


@torch.no_grad()
def accuracy(net, x, y):
    net.eval()
    return (net(x).argmax(1) == y).double().mean().item()


def main():
    torch.manual_seed(1)
    test = make_data(1, 2000)
    net = Net()
    x, y = make_data(0, 2000)
    for epoch in range(10):
        train(net, x, y)
        print(f"epoch {epoch + 1}: accuracy {accuracy(net, *test):.3f}")


if __name__ == "__main__":
    main()

"""Tells which of three states a machine is in from its eight sensors."""

import torch
from torch import nn
from torch.nn import functional as F
from umbel.app import ArrayRecord, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp
from umbel.serverapp import ServerApp, strategy

client, server = ClientApp(), ServerApp()


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


@client.train()
def train_at_site(message, context):
    net = Net()
    net.load_state_dict(message.content["arrays"].to_torch_state_dict())
    train(net, *make_data(2 + context.partition_id, 200))
    arrays, metrics = ArrayRecord(net.state_dict()), MetricRecord({"num-examples": 200})
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)


@server.main()
def serve(grid, context):
    torch.manual_seed(1)
    test = make_data(1, 2000)
    net = Net()

    def evaluate(server_round, arrays):
        net.load_state_dict(arrays.to_torch_state_dict())
        return MetricRecord({"accuracy": accuracy(net, *test)})

    fed_avg = strategy.FedAvg(fraction_evaluate=0)
    fed_avg.start(grid, ArrayRecord(net.state_dict()), num_rounds=10, evaluate_fn=evaluate)

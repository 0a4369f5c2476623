"""A wind farm: three methods and a client_fn."""

from flwr.client import ClientApp, NumPyClient
from flwr.common import Context

from turbines import model


class Farm(NumPyClient):
    def __init__(self, farm: int, epochs: int, rate: float):
        self.x, self.y = model.readings(farm, count=60 + 20 * (farm % 3))
        self.epochs, self.rate = epochs, rate

    def get_parameters(self, config):
        return [self.x[0] * 0, self.y[0] * 0]

    def fit(self, parameters, config):
        rate = self.rate * config["decay"]
        weights = model.fit(parameters, self.x, self.y, self.epochs, rate)
        return weights, len(self.y), {}

    def evaluate(self, parameters, config):
        loss, accuracy = model.score(parameters, self.x, self.y)
        return loss, len(self.y), {"accuracy": accuracy}


def client_fn(context: Context):
    config = context.run_config
    farm = context.node_config["partition-id"]
    return Farm(farm, config["local-epochs"], config["learning-rate"]).to_client()


app = ClientApp(client_fn=client_fn)

"""The operators' union: a strategy and a server_fn."""

from typing import List, Tuple

from flwr.common import Context, Metrics, NDArrays, Scalar
from flwr.server import ServerApp, ServerAppComponents, ServerConfig
from flwr.server.strategy import FedAvg

from turbines import model


def weighted_average(metrics: List[Tuple[int, Metrics]]) -> Metrics:
    examples = sum(count for count, _ in metrics)
    return {"accuracy": sum(count * m["accuracy"] for count, m in metrics) / examples}


def evaluate(server_round: int, parameters: NDArrays, config: dict[str, Scalar]):
    x, y = model.readings(farm=999, count=2000)  # of a farm that never trains
    loss, accuracy = model.score(parameters, x, y)
    return loss, {"accuracy": accuracy}


def fit_config(server_round: int) -> dict[str, Scalar]:
    return {"decay": 0.9 ** (server_round - 1)}


def server_fn(context: Context) -> ServerAppComponents:
    strategy = FedAvg(
        fraction_fit=0.5,
        min_available_clients=6,
        evaluate_fn=evaluate,
        on_fit_config_fn=fit_config,
        evaluate_metrics_aggregation_fn=weighted_average,
    )
    config = ServerConfig(num_rounds=int(context.run_config["num-rounds"]))
    return ServerAppComponents(strategy=strategy, config=config)


app = ServerApp(server_fn=server_fn)

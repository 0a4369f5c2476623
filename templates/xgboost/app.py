"""Banks grow a common forest of boosted trees with XGBoost; their loans stay with them."""

from __future__ import annotations

from functools import cache

import numpy as np
import xgboost as xgb
from umbel import data
from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import FedXgbBagging

from loans import FEATURES, loans

client = ClientApp()
server = ServerApp()


@cache
def table(seed: int) -> tuple[np.ndarray, np.ndarray]:
    return loans(20_000, seed)


@cache
def partition(clients: int, alpha: float, seed: int) -> data.Partition:
    """Which bank has which loans; made once in a process."""
    _, failed = table(seed)
    return data.partition(failed, kind="dirichlet", clients=clients, alpha=alpha, seed=seed)


def loans_of(context: Context) -> xgb.DMatrix:
    """The loans of this client.  Put your own data here."""
    alpha = context.run_config["dirichlet-alpha"]
    parts = partition(context.num_partitions, alpha, context.run_seed)
    mine = parts.examples(context.partition_id)
    x, y = table(context.run_seed)
    return xgb.DMatrix(x[mine], y[mine], feature_names=FEATURES)


def settings(context: Context) -> dict[str, object]:
    return {"objective": "binary:logistic", "base_score": 0.5, "nthread": 1,
            "max_depth": context.run_config["max-depth"], "eta": context.run_config["eta"],
            "seed": int(context.rng().integers(2**31))}


def forest_of(arrays: ArrayRecord) -> xgb.Booster | None:
    """The trees that all have grown so far; None before the first round."""
    raw = arrays["0"].numpy().tobytes()
    return xgb.Booster(model_file=bytearray(raw)) if raw else None


def score(forest: xgb.Booster, matrix: xgb.DMatrix) -> dict[str, float]:
    y, p = matrix.get_label(), np.clip(forest.predict(matrix).astype(np.float64), 1e-9, 1 - 1e-9)
    return {"accuracy": float(((p > 0.5) == y).mean()),
            "loss": float(-np.where(y == 1, np.log(p), np.log(1 - p)).mean())}


@client.train()
def train(message: Message, context: Context) -> Message:
    mine = loans_of(context)
    trees = context.run_config["trees-per-client"]
    forest = forest_of(message.content["arrays"])
    forest = xgb.train(settings(context), mine, trees, xgb_model=forest)
    first_new = forest.num_boosted_rounds() - trees
    metrics = MetricRecord({"num-examples": mine.num_row(), "loss": score(forest, mine)["loss"]})
    new_trees = np.frombuffer(forest[first_new:].save_raw("json"), np.uint8)
    return Message(RecordDict({"arrays": ArrayRecord([new_trees]), "metrics": metrics}),
                   reply_to=message)


@server.main()
def serve(grid: Grid, context: Context) -> None:
    x, y = loans(5000, context.run_seed + 1)
    test = xgb.DMatrix(x, y, feature_names=FEATURES)

    def evaluate(server_round: int, arrays: ArrayRecord) -> MetricRecord | None:
        forest = forest_of(arrays)
        return MetricRecord(score(forest, test)) if forest else None

    config = context.run_config
    clients = len(list(grid.get_node_ids()))
    strategy = FedXgbBagging(fraction_train=min(1, config["clients-per-round"] / clients),
                             fraction_evaluate=0)
    nothing_yet = ArrayRecord([np.empty(0, np.uint8)])
    result = strategy.start(grid, nothing_yet, num_rounds=config["rounds"], evaluate_fn=evaluate)
    context.save("forest.safetensors", result.arrays)

"""fold.py flwr|umbel K N: the weighted mean of K updates of N float32 through the Python API.

Prints "ready"; then for each line, a method's name, folds once and prints the seconds that it took.  At
the end of the input: the mean's first and last numbers.  Methods: aggregate_train (FedAvg's), on
flwr also aggregate_arrayrecords and legacy (what NumPyClient apps use), and numpy: weights @ stacked.
"""
from __future__ import annotations

import importlib
import sys
import time

import numpy as np

framework, k, n = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
app = importlib.import_module(f"{framework}.app")
strategies = importlib.import_module(f"{framework}.serverapp.strategy")

if framework == "flwr":  # as its simulation does before it makes messages
    from flwr.supercore.task_identity import TaskIdentity
    TaskIdentity.task_id = TaskIdentity.run_id = TaskIdentity.node_id = 1

matrix = np.random.default_rng(1).standard_normal((k, n), dtype=np.float32)
asked = [app.Message(app.RecordDict(), dst_node_id=i + 1, message_type="train") for i in range(k)]
replies = [
    app.Message(app.RecordDict({"arrays": app.ArrayRecord([row.copy()]),
                                "metrics": app.MetricRecord({"num-examples": i + 1})}), reply_to=message)
    for i, (row, message) in enumerate(zip(matrix, asked))]
shares = (np.arange(1, k + 1) / (k * (k + 1) / 2)).astype(np.float32)
fed_avg = strategies.FedAvg()
methods = {"aggregate_train": lambda: fed_avg.aggregate_train(1, replies)[0],
           "numpy": lambda: shares @ matrix}
if framework == "flwr":
    import logging

    from flwr.server.strategy.aggregate import aggregate
    from flwr.serverapp.strategy.strategy_utils import aggregate_arrayrecords
    logging.getLogger("flwr").setLevel(logging.ERROR)
    contents = [reply.content for reply in replies]
    results = [([row], i + 1) for i, row in enumerate(matrix)]
    methods["aggregate_arrayrecords"] = lambda: aggregate_arrayrecords(contents, "num-examples")
    methods["legacy"] = lambda: aggregate(results)


def numbers(mean):
    if isinstance(mean, np.ndarray):
        return mean
    return mean[0] if isinstance(mean, list) else mean.to_numpy_ndarrays()[0]


print("ready", flush=True)
mean = None
for line in sys.stdin:
    fold = methods[line.strip()]
    mean = None
    start = time.perf_counter()
    mean = fold()
    print(time.perf_counter() - start, flush=True)
if mean is not None:
    print(*(float(numbers(mean)[i]) for i in (0, -1)))

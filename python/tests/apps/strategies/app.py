"""An app whose run-config says which strategy to run and how; clients make noise of their seed."""

from __future__ import annotations

import json
import time

import numpy as np

from umbel.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp
from umbel.serverapp import ServerApp, strategy

client, server = ClientApp(), ServerApp()


@client.train()
def train(message, context):
    config = message.content.config_records["config"]
    assert config["round"] == config["server-round"] >= 1
    assert config["rate"] == 0.5 and context.seed
    if context.node_id in context.run_config.get("broken", []):
        raise ValueError("no data here")
    arrays = next(iter(message.content.array_records.values()))
    noise = context.rng()
    trained = {name: (array.numpy(copy=False) + noise.normal(size=array.shape)
                      ).astype(array.numpy(copy=False).dtype) for name, array in arrays.items()}
    if context.node_id in context.run_config.get("bent", []):
        trained["w"] = trained["w"][:1]
    metrics = {"num-examples": 10 + context.node_id, "loss": float(trained["w"].mean()),
               "mu": config.get("proximal-mu", -1.0)}
    return Message(RecordDict({"update": ArrayRecord(trained), "measured": MetricRecord(metrics)}),
                   reply_to=message)


@client.evaluate()
def evaluate(message, context):
    assert message.content["config"]["batch"] == 8
    assert message.content["config"]["server-round"] >= 1
    w = message.content["arrays"]["w"].numpy()
    return Message(RecordDict({"metrics": MetricRecord(
        {"num-examples": 1 + context.node_id, "loss": float((w * context.node_id).mean())})}),
        reply_to=message)


def overridden(kind):
    """The same strategy, which now runs in Python."""
    class Overridden(kind):
        def aggregate_train(self, server_round, replies):
            return super().aggregate_train(server_round, replies)
    return Overridden


@server.main()
def main(grid, context):
    config = context.run_config
    kind = getattr(strategy, config["strategy"])
    if config.get("overridden"):
        kind = overridden(kind)
    arguments = json.loads(config.get("arguments", "{}"))
    start = json.loads(config.get("start", "{}"))
    start["targets"] = [strategy.Target(**target) for target in start.get("targets", [])]
    start["plateaus"] = [strategy.Plateau(**plateau) for plateau in start.get("plateaus", [])]
    initial = ArrayRecord({"w": np.zeros((3, 4), np.float32), "steps": np.array([5, 7], np.int64),
                           "b": np.ones(2, np.float64)})

    def measure(number, arrays):
        if number == config.get("fails-in"):
            raise LookupError("no test data")
        if number == config.get("odd-in"):
            return 0.5
        return MetricRecord({"norm": float(np.linalg.norm(arrays["w"].numpy())),
                             "number": number})
    began = time.monotonic()
    result = kind(**arguments).start(
        grid, initial, num_rounds=config.get("rounds", 3),
        train_config=ConfigRecord({"rate": 0.5}), evaluate_config=ConfigRecord({"batch": 8}),
        evaluate_fn=measure if config.get("measure", True) else None, **start)
    context.save("model.safetensors", result.arrays)
    context.publish("took", {"seconds": time.monotonic() - began})
    context.publish("result", {
        "rounds": len(result.history), "evaluated": list(result.evaluate_metrics_clientapp),
        "trained": list(result.train_metrics_clientapp),
        "measured": list(result.evaluate_metrics_serverapp)})
    if result.train_metrics_clientapp:
        context.publish("train", result.train_metrics_clientapp[max(
            result.train_metrics_clientapp)])

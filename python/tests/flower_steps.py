"""Prints, as JSON, what strategies make of the same replies: flwr's, or umbel's by the alias."""

from __future__ import annotations

import json
import sys

import numpy as np


def main() -> None:
    from flwr.app import Array, ArrayRecord, Message, Metadata, MetricRecord, RecordDict
    from flwr.serverapp import strategy

    def record(rng) -> ArrayRecord:
        return ArrayRecord({"w": Array(rng.normal(size=(3, 4))), "b": Array(rng.normal(size=5))})

    def replies(number: int) -> list[Message]:
        rng, messages = np.random.default_rng([11, number]), []
        for node in range(7):
            content = RecordDict({"arrays": record(rng), "metrics": MetricRecord(
                {"num-examples": 3 + node, "train_loss": 0.2 + node})})
            messages.append(Message(content=content, metadata=Metadata(
                1, str(node + 1), node, 1, "1", "", 0.0, 60.0, "train")))
        return messages

    kinds = {
        "FedAvg": strategy.FedAvg(), "FedMedian": strategy.FedMedian(),
        "FedAvgM": strategy.FedAvgM(server_learning_rate=0.7, server_momentum=0.9),
        "FedTrimmedAvg": strategy.FedTrimmedAvg(beta=0.3),
        "Krum": strategy.Krum(num_malicious_nodes=2),
        "MultiKrum": strategy.MultiKrum(num_malicious_nodes=2, num_nodes_to_select=3),
        "QFedAvg": strategy.QFedAvg(client_learning_rate=0.5, q=0.3),
        "FedYogi": strategy.FedYogi(tau=1e-9), "FedAdagrad": strategy.FedAdagrad(tau=1e-9),
        "FedAdam": strategy.FedAdam(tau=1e-9),
    }
    printed = {}
    for name, kind in kinds.items():
        arrays = record(np.random.default_rng(12))
        first = [array.numpy().ravel() for array in arrays.values()]
        for number in (1,) if name == "FedAdam" else (1, 2, 3):
            as_dict = name in ("FedYogi", "FedAdagrad", "FedAdam") and "umbel" not in sys.modules
            kind.current_arrays = ({key: array.numpy() for key, array in arrays.items()}
                                   if as_dict else arrays)
            arrays, metrics = kind.aggregate_train(number, replies(number))
        printed[name] = [array.numpy().ravel().tolist() for array in arrays.values()]
        if name == "FedAdam":  # the step alone
            printed[name] = [(np.array(after) - before).tolist()
                             for after, before in zip(printed[name], first)]
        printed[name].append([metrics["train_loss"]])
    json.dump(printed, sys.stdout)


if __name__ == "__main__":
    main()

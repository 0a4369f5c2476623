"""flwr.server.strategy.aggregate: means of lists of arrays, by the core's arithmetic."""

from __future__ import annotations

import numpy as np

from umbel.app import ArrayRecord, MetricRecord, RecordDict
from umbel.serverapp.strategy.strategy_utils import aggregate_arrayrecords

from ...common.typing import NDArrays


def aggregate(results: list[tuple[NDArrays, int]]) -> NDArrays:
    """The mean of lists of arrays, weighted by their numbers of examples."""
    contents = [RecordDict({"arrays": ArrayRecord([np.asarray(array) for array in arrays]),
                            "metrics": MetricRecord({"num-examples": examples})})
                for arrays, examples in results]
    mean = aggregate_arrayrecords(contents, "num-examples")
    return [np.array(array.numpy(copy=False)) for array in mean.values()]


def aggregate_median(results: list[tuple[NDArrays, int]]) -> NDArrays:
    """The median of each element, without weights."""
    return [np.median(np.stack(layer), axis=0)
            for layer in zip(*(arrays for arrays, _ in results), strict=True)]


def weighted_loss_avg(results: list[tuple[int, float]]) -> float:
    """The mean of losses, weighted by their numbers of examples."""
    examples = sum(count for count, _ in results)
    return sum(count * loss for count, loss in results) / examples

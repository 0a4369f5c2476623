"""Strategies that a few wrong clients cannot lead astray.  All replies are looked at together."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import numpy as np

from umbel._errors import InvalidArgument
from umbel.app import Array, ArrayRecord, Message, MetricRecord, RecordDict

from .fedavg import AggregationFn, FedAvg
from .strategy_utils import aggregate_arrayrecords, aggregate_metricrecords

logger = logging.getLogger("umbel")


class _OfAll(FedAvg):
    """A model made of all replies at once; those that no mean could take are left out."""

    def aggregate_train(self, server_round: int, replies: Iterable[Message]
                        ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        good, _ = self._check_and_log_replies(replies, is_train=True)
        if not good:
            return None, None
        contents = self._chosen([reply.content for reply in good])
        aggregate = self.train_metrics_aggr_fn or aggregate_metricrecords
        return self._model(contents), aggregate(contents, self.weighted_by_key)

    def _chosen(self, contents: list[RecordDict]) -> list[RecordDict]:
        return contents

    def _model(self, contents: list[RecordDict]) -> ArrayRecord:
        """Array by array, of what the clients have, stacked along a new first axis."""
        records = [_arrays(content) for content in contents]
        return ArrayRecord({name: Array(_as(records[0][name].numpy(copy=False).dtype, self._center(
            np.stack([record[name].numpy(copy=False) for record in records]))))
            for name in records[0]})

    def _center(self, stacked: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class FedMedian(_OfAll):
    """The coordinate-wise median (Yin et al., ICML 2018, arXiv 1803.01498, algorithm 1).

    Each element is the median of the clients'; of an even number, the mean of the middle two.
    Weights do not count, metrics are weighted means.  Parameters: FedAvg's.
    """

    def _center(self, stacked: np.ndarray) -> np.ndarray:
        median: np.ndarray = np.median(stacked, axis=0)
        return median


class FedTrimmedAvg(_OfAll):
    """The coordinate-wise trimmed mean (Yin et al., ICML 2018, arXiv 1803.01498, algorithm 1).

    Of each element's n values the floor(beta * n) least and as many greatest are left out, and the
    others averaged, without weights.

    Args:
        beta: the share that is cut at each end, 0 to below 0.5.

    The others are FedAvg's.
    """

    def __init__(self, fraction_train: float = 1.0, fraction_evaluate: float = 1.0,
                 min_train_nodes: int = 2, min_evaluate_nodes: int = 2,
                 min_available_nodes: int = 2, weighted_by_key: str = "num-examples",
                 arrayrecord_key: str = "arrays", configrecord_key: str = "config",
                 train_metrics_aggr_fn: AggregationFn | None = None,
                 evaluate_metrics_aggr_fn: AggregationFn | None = None, beta: float = 0.2) -> None:
        super().__init__(fraction_train, fraction_evaluate, min_train_nodes, min_evaluate_nodes,
                         min_available_nodes, weighted_by_key, arrayrecord_key, configrecord_key,
                         train_metrics_aggr_fn, evaluate_metrics_aggr_fn)
        if not 0 <= beta < 0.5:
            raise InvalidArgument(f"FedTrimmedAvg: beta is {beta}, expected 0 to below 0.5")
        self.beta = beta

    def _center(self, stacked: np.ndarray) -> np.ndarray:
        cut = int(self.beta * len(stacked))
        ordered = np.sort(stacked, axis=0)[cut:len(stacked) - cut]
        mean: np.ndarray = np.mean(ordered, axis=0, dtype=_computed_in(stacked.dtype))
        return mean


class MultiKrum(_OfAll):
    """Multi-Krum (Blanchard et al., NeurIPS 2017).

    Each model's score is the sum of its squared distances to the n - f - 2 models nearest to it
    (at least one); the models with the least scores are averaged by their weights.  Against f
    malicious nodes the paper's guarantee needs n of at least 2 f + 3 replies; with fewer the log
    says so.

    Args:
        num_malicious_nodes: f, at least 0.
        num_nodes_to_select: how many models are averaged, at least 1; 1 is Krum.

    The others are FedAvg's.
    """

    def __init__(self, fraction_train: float = 1.0, fraction_evaluate: float = 1.0,
                 min_train_nodes: int = 2, min_evaluate_nodes: int = 2,
                 min_available_nodes: int = 2, num_malicious_nodes: int = 0,
                 num_nodes_to_select: int = 1, weighted_by_key: str = "num-examples",
                 arrayrecord_key: str = "arrays", configrecord_key: str = "config",
                 train_metrics_aggr_fn: AggregationFn | None = None,
                 evaluate_metrics_aggr_fn: AggregationFn | None = None) -> None:
        super().__init__(fraction_train, fraction_evaluate, min_train_nodes, min_evaluate_nodes,
                         min_available_nodes, weighted_by_key, arrayrecord_key, configrecord_key,
                         train_metrics_aggr_fn, evaluate_metrics_aggr_fn)
        if num_malicious_nodes < 0 or num_nodes_to_select < 1:
            raise InvalidArgument(
                f"{type(self).__name__}: num_malicious_nodes is {num_malicious_nodes} (expected at "
                f"least 0), num_nodes_to_select {num_nodes_to_select} (expected at least 1)")
        self.num_malicious_nodes = num_malicious_nodes
        self.num_nodes_to_select = num_nodes_to_select

    def _chosen(self, contents: list[RecordDict]) -> list[RecordDict]:
        needed = 2 * self.num_malicious_nodes + 3
        if self.num_malicious_nodes and len(contents) < needed:
            logger.warning("%s: %d replies; against %d malicious nodes at least %d are needed",
                           type(self).__name__, len(contents), self.num_malicious_nodes, needed)
        scores = krum_scores([_arrays(content) for content in contents], self.num_malicious_nodes)
        best = np.argsort(scores, kind="stable")[:self.num_nodes_to_select]
        return [contents[i] for i in sorted(best)]

    def _model(self, contents: list[RecordDict]) -> ArrayRecord:
        return aggregate_arrayrecords(contents, self.weighted_by_key)


class Krum(MultiKrum):
    """Krum (Blanchard et al., NeurIPS 2017): the one model that is nearest to its neighbours.

    Parameters: those of :class:`MultiKrum` but ``num_nodes_to_select``, which is 1.
    """

    def __init__(self, fraction_train: float = 1.0, fraction_evaluate: float = 1.0,
                 min_train_nodes: int = 2, min_evaluate_nodes: int = 2,
                 min_available_nodes: int = 2, num_malicious_nodes: int = 0,
                 weighted_by_key: str = "num-examples", arrayrecord_key: str = "arrays",
                 configrecord_key: str = "config",
                 train_metrics_aggr_fn: AggregationFn | None = None,
                 evaluate_metrics_aggr_fn: AggregationFn | None = None) -> None:
        super().__init__(fraction_train, fraction_evaluate, min_train_nodes, min_evaluate_nodes,
                         min_available_nodes, num_malicious_nodes, 1, weighted_by_key,
                         arrayrecord_key, configrecord_key, train_metrics_aggr_fn,
                         evaluate_metrics_aggr_fn)


def krum_scores(records: list[ArrayRecord], num_malicious_nodes: int) -> np.ndarray:
    """Each model's sum of squared distances to the n - f - 2 others nearest to it, at least one.

    Computed in float64.  Of one model alone the score is 0.
    """
    flat = np.stack([np.concatenate([array.numpy(copy=False).ravel().astype(np.float64)
                                     for array in record.values()]) for record in records])
    nearest = max(1, len(flat) - num_malicious_nodes - 2)
    scores = np.zeros(len(flat))
    for i, model in enumerate(flat):
        distances = np.array([np.dot(d, d) for d in (other - model for other in flat)])
        scores[i] = np.sort(np.delete(distances, i))[:nearest].sum()
    return scores


def _arrays(content: RecordDict) -> ArrayRecord:
    record: ArrayRecord = next(iter(content.array_records.values()))
    return record


def _computed_in(dtype: np.dtype) -> np.dtype | None:
    return np.dtype(np.complex128 if dtype.kind == "c" else np.float64)


def _as(dtype: np.dtype, values: np.ndarray) -> np.ndarray:
    """The values in an array's own dtype; integers to the nearest, truth values to the majority."""
    if dtype.kind in "iu":
        values = np.rint(values)
    elif dtype.kind == "b":
        values = values > 0.5
    return np.asarray(values).astype(dtype)

"""q-FedAvg: fairness among clients."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from umbel._errors import FailedPrecondition, InvalidArgument
from umbel.app import Array, ArrayRecord, Message, MetricRecord

from .fedavg import AggregationFn, FedAvg
from .strategy_utils import aggregate_metricrecords

_LOSS_MIN = 1e-10  # keeps the power of a loss of 0 finite


class QFedAvg(FedAvg):
    """q-FedAvg (Li, Sanjabi, Beirami and Smith, ICLR 2020, arXiv 1905.10497, algorithm 2).

    With L = 1 / client_learning_rate, client k's step d_k = L (w - w_k) and its loss F_k at the
    model it got, w becomes w - sum F_k^q d_k / sum (q F_k^(q-1) |d_k|^2 + L F_k^q): the larger q,
    the more a client with a large loss counts.

    Args:
        client_learning_rate: of the clients' local training, above 0.
        q: at least 0; 0 is an average without weights.
        train_loss_key: the metric of a train reply that is F_k, at least 0.

    The others are FedAvg's.
    """

    def __init__(self, client_learning_rate: float, q: float = 0.1,
                 train_loss_key: str = "train_loss", fraction_train: float = 1.0,
                 fraction_evaluate: float = 1.0, min_train_nodes: int = 2,
                 min_evaluate_nodes: int = 2, min_available_nodes: int = 2,
                 weighted_by_key: str = "num-examples", arrayrecord_key: str = "arrays",
                 configrecord_key: str = "config",
                 train_metrics_aggr_fn: AggregationFn | None = None,
                 evaluate_metrics_aggr_fn: AggregationFn | None = None) -> None:
        super().__init__(fraction_train, fraction_evaluate, min_train_nodes, min_evaluate_nodes,
                         min_available_nodes, weighted_by_key, arrayrecord_key, configrecord_key,
                         train_metrics_aggr_fn, evaluate_metrics_aggr_fn)
        if not client_learning_rate > 0 or not q >= 0:
            raise InvalidArgument(f"QFedAvg: client_learning_rate is {client_learning_rate} "
                                  f"(expected above 0), q is {q} (expected at least 0)")
        self.client_learning_rate = client_learning_rate
        self.q = q
        self.train_loss_key = train_loss_key

    def aggregate_train(self, server_round: int, replies: Iterable[Message]
                        ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        good, _ = self._check_and_log_replies(replies, is_train=True)
        losses = [_loss(reply, self.train_loss_key) for reply in good]
        self._refuse(good, [None if loss is not None else f'no loss under "{self.train_loss_key}"'
                            for loss in losses])
        pairs = [(reply.content, loss) for reply, loss in zip(good, losses) if loss is not None]
        if not pairs:
            return None, None
        if self.current_arrays is None:
            raise FailedPrecondition("QFedAvg: aggregate_train before configure_train")
        before = {name: array.numpy(copy=False).astype(np.float64)
                  for name, array in self.current_arrays.items()}
        steps = {name: np.zeros_like(array) for name, array in before.items()}
        divisor = 0.0
        lipschitz = 1 / self.client_learning_rate
        for content, loss in pairs:
            arrays = next(iter(content.array_records.values()))
            power = loss ** self.q
            square = 0.0
            for name, array in before.items():
                step = lipschitz * (array - arrays[name].numpy(copy=False))
                square += float(np.vdot(step, step))
                steps[name] += power * step
            divisor += self.q * loss ** (self.q - 1) * square + lipschitz * power
        after = ArrayRecord({
            name: Array((array - steps[name] / divisor).astype(
                self.current_arrays[name].numpy(copy=False).dtype))
            for name, array in before.items()})
        aggregate = self.train_metrics_aggr_fn or aggregate_metricrecords
        return after, aggregate([content for content, _ in pairs], self.weighted_by_key)


def _loss(reply: Message, key: str) -> float | None:
    metrics = next(iter(reply.content.metric_records.values()))
    loss = metrics.get(key)
    if not isinstance(loss, (int, float)) or not 0 <= loss < float("inf"):
        return None
    return max(float(loss), _LOSS_MIN)

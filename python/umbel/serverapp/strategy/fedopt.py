"""Federated averaging with an optimizer on the server."""

from __future__ import annotations

from umbel import _core
from umbel.app import ArrayRecord

from .fedavg import AggregationFn, FedAvg


class _WithOptimizer(FedAvg):
    """The mean of the replies is handed to an optimizer of the core, which has moments."""

    _stepper: _core.ServerOptimizer | None = None

    def _begin(self) -> None:
        super()._begin()
        self._stepper = None

    def _step(self, mean: ArrayRecord) -> ArrayRecord:
        if self._stepper is None:
            self._stepper = self._optimizer()
        before = mean if self.current_arrays is None else self.current_arrays
        stepped: ArrayRecord = self._stepper.apply(before, mean)
        return stepped


class FedAvgM(_WithOptimizer):
    """Federated averaging with momentum on the server (Hsu, Qi and Brown, arXiv 1909.06335).

    m becomes momentum * m + delta and x becomes x + rate * m, where delta is the mean of the
    clients' models less the model x that they got, and m begins at 0.

    Args:
        server_learning_rate: above 0; 1 with momentum 0 is FedAvg.
        server_momentum: 0 to below 1.

    The others are FedAvg's.
    """

    def __init__(self, fraction_train: float = 1.0, fraction_evaluate: float = 1.0,
                 min_train_nodes: int = 2, min_evaluate_nodes: int = 2,
                 min_available_nodes: int = 2, weighted_by_key: str = "num-examples",
                 arrayrecord_key: str = "arrays", configrecord_key: str = "config",
                 train_metrics_aggr_fn: AggregationFn | None = None,
                 evaluate_metrics_aggr_fn: AggregationFn | None = None,
                 server_learning_rate: float = 1.0, server_momentum: float = 0.0) -> None:
        super().__init__(fraction_train, fraction_evaluate, min_train_nodes, min_evaluate_nodes,
                         min_available_nodes, weighted_by_key, arrayrecord_key, configrecord_key,
                         train_metrics_aggr_fn, evaluate_metrics_aggr_fn)
        self.server_learning_rate = server_learning_rate
        self.server_momentum = server_momentum
        self._optimizer()  # refuses what it cannot take

    def _optimizer(self) -> _core.ServerOptimizer:
        if self.server_momentum == 0:
            return _core.ServerOptimizer.average(self.server_learning_rate)
        return _core.ServerOptimizer.momentum(self.server_learning_rate, self.server_momentum)


class FedOpt(_WithOptimizer):
    """What FedAdam, FedYogi and FedAdagrad have in common (Reddi et al., ICLR 2021).

    Delta is the mean of the clients' models less the model x that they got.  m becomes
    beta_1 * m + (1 - beta_1) * delta, v becomes what the strategy says, and x becomes
    x + eta * m / (sqrt(v) + tau).  m begins at 0 and v at tau squared; as in the paper there is no
    bias correction.  Integers are averaged.

    Args:
        eta: the server's learning rate, above 0.
        eta_l: the clients' learning rate: kept for apps that read it, the server does not use it.
        beta_1: 0 to below 1.
        beta_2: 0 to below 1.
        tau: above 0; the smaller, the more adaptive.

    The others are FedAvg's.
    """

    def __init__(self, *, fraction_train: float = 1.0, fraction_evaluate: float = 1.0,
                 min_train_nodes: int = 2, min_evaluate_nodes: int = 2,
                 min_available_nodes: int = 2, weighted_by_key: str = "num-examples",
                 arrayrecord_key: str = "arrays", configrecord_key: str = "config",
                 train_metrics_aggr_fn: AggregationFn | None = None,
                 evaluate_metrics_aggr_fn: AggregationFn | None = None, eta: float = 1e-1,
                 eta_l: float = 1e-1, beta_1: float = 0.0, beta_2: float = 0.0,
                 tau: float = 1e-3) -> None:
        super().__init__(fraction_train, fraction_evaluate, min_train_nodes, min_evaluate_nodes,
                         min_available_nodes, weighted_by_key, arrayrecord_key, configrecord_key,
                         train_metrics_aggr_fn, evaluate_metrics_aggr_fn)
        self.eta = eta
        self.eta_l = eta_l
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.tau = tau
        self._optimizer()  # refuses what it cannot take

    def _optimizer(self) -> _core.ServerOptimizer:
        return _core.ServerOptimizer.adam(self.eta, self.beta_1, self.beta_2, self.tau)


class FedAdam(FedOpt):
    """FedAdam (Reddi et al., ICLR 2021, arXiv 2003.00295, algorithm 2); see :class:`FedOpt`.

    v becomes beta_2 * v + (1 - beta_2) * delta^2.
    """

    def __init__(self, *, fraction_train: float = 1.0, fraction_evaluate: float = 1.0,
                 min_train_nodes: int = 2, min_evaluate_nodes: int = 2,
                 min_available_nodes: int = 2, weighted_by_key: str = "num-examples",
                 arrayrecord_key: str = "arrays", configrecord_key: str = "config",
                 train_metrics_aggr_fn: AggregationFn | None = None,
                 evaluate_metrics_aggr_fn: AggregationFn | None = None, eta: float = 1e-1,
                 eta_l: float = 1e-1, beta_1: float = 0.9, beta_2: float = 0.99,
                 tau: float = 1e-3) -> None:
        super().__init__(eta=eta, eta_l=eta_l, beta_1=beta_1, beta_2=beta_2, tau=tau,
                         fraction_train=fraction_train, fraction_evaluate=fraction_evaluate,
                         min_train_nodes=min_train_nodes, min_evaluate_nodes=min_evaluate_nodes,
                         min_available_nodes=min_available_nodes, weighted_by_key=weighted_by_key,
                         arrayrecord_key=arrayrecord_key, configrecord_key=configrecord_key,
                         train_metrics_aggr_fn=train_metrics_aggr_fn,
                         evaluate_metrics_aggr_fn=evaluate_metrics_aggr_fn)


class FedYogi(FedOpt):
    """FedYogi (Reddi et al., ICLR 2021, arXiv 2003.00295, algorithm 2); see :class:`FedOpt`.

    v becomes v - (1 - beta_2) * delta^2 * sign(v - delta^2).
    """

    def __init__(self, *, fraction_train: float = 1.0, fraction_evaluate: float = 1.0,
                 min_train_nodes: int = 2, min_evaluate_nodes: int = 2,
                 min_available_nodes: int = 2, weighted_by_key: str = "num-examples",
                 arrayrecord_key: str = "arrays", configrecord_key: str = "config",
                 train_metrics_aggr_fn: AggregationFn | None = None,
                 evaluate_metrics_aggr_fn: AggregationFn | None = None, eta: float = 1e-2,
                 eta_l: float = 0.0316, beta_1: float = 0.9, beta_2: float = 0.99,
                 tau: float = 1e-3) -> None:
        super().__init__(eta=eta, eta_l=eta_l, beta_1=beta_1, beta_2=beta_2, tau=tau,
                         fraction_train=fraction_train, fraction_evaluate=fraction_evaluate,
                         min_train_nodes=min_train_nodes, min_evaluate_nodes=min_evaluate_nodes,
                         min_available_nodes=min_available_nodes, weighted_by_key=weighted_by_key,
                         arrayrecord_key=arrayrecord_key, configrecord_key=configrecord_key,
                         train_metrics_aggr_fn=train_metrics_aggr_fn,
                         evaluate_metrics_aggr_fn=evaluate_metrics_aggr_fn)

    def _optimizer(self) -> _core.ServerOptimizer:
        return _core.ServerOptimizer.yogi(self.eta, self.beta_1, self.beta_2, self.tau)


class FedAdagrad(FedOpt):
    """FedAdagrad (Reddi et al., ICLR 2021, arXiv 2003.00295, algorithm 2); see :class:`FedOpt`.

    v becomes v + delta^2, and there is no momentum.
    """

    def __init__(self, *, fraction_train: float = 1.0, fraction_evaluate: float = 1.0,
                 min_train_nodes: int = 2, min_evaluate_nodes: int = 2,
                 min_available_nodes: int = 2, weighted_by_key: str = "num-examples",
                 arrayrecord_key: str = "arrays", configrecord_key: str = "config",
                 train_metrics_aggr_fn: AggregationFn | None = None,
                 evaluate_metrics_aggr_fn: AggregationFn | None = None, eta: float = 1e-1,
                 eta_l: float = 1e-1, tau: float = 1e-3) -> None:
        super().__init__(eta=eta, eta_l=eta_l, beta_1=0.0, beta_2=0.0, tau=tau,
                         fraction_train=fraction_train, fraction_evaluate=fraction_evaluate,
                         min_train_nodes=min_train_nodes, min_evaluate_nodes=min_evaluate_nodes,
                         min_available_nodes=min_available_nodes, weighted_by_key=weighted_by_key,
                         arrayrecord_key=arrayrecord_key, configrecord_key=configrecord_key,
                         train_metrics_aggr_fn=train_metrics_aggr_fn,
                         evaluate_metrics_aggr_fn=evaluate_metrics_aggr_fn)

    def _optimizer(self) -> _core.ServerOptimizer:
        return _core.ServerOptimizer.adagrad(self.eta, self.beta_1, self.tau)

"""flwr.server.strategy.fedavg: federated averaging."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from umbel.app import ArrayRecord, MetricRecord, RecordDict
from umbel.serverapp import strategy as ours
from umbel.serverapp.strategy.strategy_utils import fold

from ...common.parameter import parameters_to_ndarrays
from ...common.typing import (
    EvaluateIns,
    EvaluateRes,
    FitIns,
    FitRes,
    MetricsAggregationFn,
    NDArrays,
    Parameters,
    Scalar,
)
from ..client_manager import ClientManager
from ..client_proxy import ClientProxy
from .aggregate import weighted_loss_avg
from .strategy import Failures, Strategy

EvaluateFn = Callable[[int, NDArrays, "dict[str, Scalar]"],
                      "tuple[float, dict[str, Scalar]] | None"]


class FedAvg(Strategy):
    """Federated averaging (McMahan et al., AISTATS 2017); see umbel.serverapp.strategy.FedAvg.

    Args:
        fraction_fit: the share of all clients that train in a round.
        fraction_evaluate: the share that evaluates the new model; 0: nobody does.
        min_fit_clients: train with at least so many.
        min_evaluate_clients: evaluate with at least so many.
        min_available_clients: draw nobody where there are fewer.
        evaluate_fn: the server's own evaluation, evaluate_fn(server_round, ndarrays, {}).
        on_fit_config_fn: the config of a round's training, by the round's number.
        on_evaluate_config_fn: the config of a round's evaluation.
        accept_failures: whether a round counts in which some clients failed.
        initial_parameters: the model to begin with; None: one client is asked.
        fit_metrics_aggregation_fn: makes one dict of (examples, metrics) of all that trained.
        evaluate_metrics_aggregation_fn: the same for evaluation.
        inplace: has no meaning here.
    """

    def __init__(self, *, fraction_fit: float = 1.0, fraction_evaluate: float = 1.0,
                 min_fit_clients: int = 2, min_evaluate_clients: int = 2,
                 min_available_clients: int = 2, evaluate_fn: EvaluateFn | None = None,
                 on_fit_config_fn: Callable[[int], dict[str, Scalar]] | None = None,
                 on_evaluate_config_fn: Callable[[int], dict[str, Scalar]] | None = None,
                 accept_failures: bool = True, initial_parameters: Parameters | None = None,
                 fit_metrics_aggregation_fn: MetricsAggregationFn | None = None,
                 evaluate_metrics_aggregation_fn: MetricsAggregationFn | None = None,
                 inplace: bool = True) -> None:
        self.fraction_fit = fraction_fit
        self.fraction_evaluate = fraction_evaluate
        self.min_fit_clients = min_fit_clients
        self.min_evaluate_clients = min_evaluate_clients
        self.min_available_clients = min_available_clients
        self.evaluate_fn = evaluate_fn
        self.on_fit_config_fn = on_fit_config_fn
        self.on_evaluate_config_fn = on_evaluate_config_fn
        self.accept_failures = accept_failures
        self.initial_parameters = initial_parameters
        self.fit_metrics_aggregation_fn = fit_metrics_aggregation_fn
        self.evaluate_metrics_aggregation_fn = evaluate_metrics_aggregation_fn
        self.inplace = inplace
        self._ours = self._make_ours()
        self._asked: ArrayRecord | None = None  # the model of the round that is under way
        self._refused: list[tuple[int, str, str]] = []  # node, kind, reason

    def _make_ours(self) -> ours.FedAvg:
        """umbel's strategy that computes the next model."""
        return ours.FedAvg()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(accept_failures={self.accept_failures})"

    def num_fit_clients(self, num_available_clients: int) -> tuple[int, int]:
        """How many to draw for training, and how many must be there."""
        wanted = int(num_available_clients * self.fraction_fit)
        return max(wanted, self.min_fit_clients), self.min_available_clients

    def num_evaluation_clients(self, num_available_clients: int) -> tuple[int, int]:
        """How many to draw for evaluation, and how many must be there."""
        wanted = int(num_available_clients * self.fraction_evaluate)
        return max(wanted, self.min_evaluate_clients), self.min_available_clients

    def initialize_parameters(self, client_manager: ClientManager) -> Parameters | None:
        parameters, self.initial_parameters = self.initial_parameters, None
        return parameters

    def evaluate(self, server_round: int, parameters: Parameters
                 ) -> tuple[float, dict[str, Scalar]] | None:
        if self.evaluate_fn is None:
            return None
        return self.evaluate_fn(server_round, parameters_to_ndarrays(parameters), {})

    def configure_fit(self, server_round: int, parameters: Parameters,
                      client_manager: ClientManager) -> list[tuple[ClientProxy, FitIns]]:
        self._asked = parameters.record()
        config = self.on_fit_config_fn(server_round) if self.on_fit_config_fn else {}
        count, least = self.num_fit_clients(client_manager.num_available())
        instruction = FitIns(parameters, config)
        return [(client, instruction) for client in client_manager.sample(count, least)]

    def configure_evaluate(self, server_round: int, parameters: Parameters,
                           client_manager: ClientManager) -> list[tuple[ClientProxy, EvaluateIns]]:
        if self.fraction_evaluate == 0:
            return []
        config = self.on_evaluate_config_fn(server_round) if self.on_evaluate_config_fn else {}
        count, least = self.num_evaluation_clients(client_manager.num_available())
        instruction = EvaluateIns(parameters, config)
        return [(client, instruction) for client in client_manager.sample(count, least)]

    def aggregate_fit(self, server_round: int, results: list[tuple[ClientProxy, FitRes]],
                      failures: Failures) -> tuple[Parameters | None, dict[str, Scalar]]:
        if not results or (failures and not self.accept_failures):
            return None, {}
        contents = [RecordDict({"arrays": result.parameters.record(),
                                "metrics": MetricRecord({"num-examples": result.num_examples})})
                    for _, result in results]
        self._ours.current_arrays = self._asked
        mean, counted = self._combine(contents, [client.node_id for client, _ in results])
        metrics: dict[str, Scalar] = {}
        if self.fit_metrics_aggregation_fn and counted:
            metrics = self.fit_metrics_aggregation_fn(
                [(results[i][1].num_examples, results[i][1].metrics) for i in counted])
        return (None if mean is None else Parameters.of_record(mean)), metrics

    def _combine(self, contents: list[RecordDict], nodes: list[int]
                 ) -> tuple[ArrayRecord | None, list[int]]:
        """The next model of contents, and the places of those that count.

        Why the others do not is put into ``_refused``, for the round's report.
        """
        layout: Any = self._asked or next(iter(contents[0].array_records.values()))
        folded = fold(contents, "num-examples", layout, nodes)
        self._refused = folded["failures"]
        if not folded["counted"]:
            return None, []
        return self._ours._step(folded["arrays"]), folded["counted"]

    def aggregate_evaluate(self, server_round: int, results: list[tuple[ClientProxy, EvaluateRes]],
                           failures: Failures) -> tuple[float | None, dict[str, Scalar]]:
        if not results or (failures and not self.accept_failures):
            return None, {}
        loss = weighted_loss_avg([(result.num_examples, result.loss) for _, result in results])
        metrics: dict[str, Scalar] = {}
        if self.evaluate_metrics_aggregation_fn:
            metrics = self.evaluate_metrics_aggregation_fn(
                [(result.num_examples, result.metrics) for _, result in results])
        return loss, metrics

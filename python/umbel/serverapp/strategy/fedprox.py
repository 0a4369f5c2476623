"""FedProx."""

from __future__ import annotations

from typing import Any

from umbel._errors import InvalidArgument

from .fedavg import AggregationFn, FedAvg


class FedProx(FedAvg):
    """FedProx (Li et al., MLSys 2020, arXiv 1812.06127): clients stay near the model they got.

    The server's side is FedAvg.  Every train message's config has ``proximal-mu``, and the client
    adds (mu / 2) * |w - w_received|^2 to its loss; one that ignores it trains as in FedAvg.

    Args:
        proximal_mu: at least 0; 0 is FedAvg.

    The others are FedAvg's.
    """

    def __init__(self, fraction_train: float = 1.0, fraction_evaluate: float = 1.0,
                 min_train_nodes: int = 2, min_evaluate_nodes: int = 2,
                 min_available_nodes: int = 2, weighted_by_key: str = "num-examples",
                 arrayrecord_key: str = "arrays", configrecord_key: str = "config",
                 train_metrics_aggr_fn: AggregationFn | None = None,
                 evaluate_metrics_aggr_fn: AggregationFn | None = None,
                 proximal_mu: float = 0.0) -> None:
        super().__init__(fraction_train, fraction_evaluate, min_train_nodes, min_evaluate_nodes,
                         min_available_nodes, weighted_by_key, arrayrecord_key, configrecord_key,
                         train_metrics_aggr_fn, evaluate_metrics_aggr_fn)
        if not 0 <= proximal_mu < float("inf"):
            raise InvalidArgument(f"FedProx: proximal_mu is {proximal_mu}, expected at least 0")
        self.proximal_mu = proximal_mu

    def _train_config(self) -> dict[str, Any]:
        return {"proximal-mu": float(self.proximal_mu)}

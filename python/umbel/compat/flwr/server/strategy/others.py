"""The other strategies: FedAvg's rounds around umbel's way from replies to the next model."""

from __future__ import annotations

from typing import Any

from umbel import _core
from umbel.app import ArrayRecord, RecordDict
from umbel.serverapp import strategy as ours

from ...common.typing import FitIns, Parameters
from ..client_manager import ClientManager
from ..client_proxy import ClientProxy
from .fedavg import FedAvg
from .strategy import Failures


class FedAvgM(FedAvg):
    """Momentum on the server (Hsu, Qi and Brown, arXiv 1909.06335).  The others are FedAvg's."""

    def __init__(self, *, server_learning_rate: float = 1.0, server_momentum: float = 0.0,
                 **fedavg: Any) -> None:
        self.server_learning_rate = server_learning_rate
        self.server_momentum = server_momentum
        super().__init__(**fedavg)

    def _make_ours(self) -> ours.FedAvg:
        return ours.FedAvgM(server_learning_rate=self.server_learning_rate,
                            server_momentum=self.server_momentum)


class FedOpt(FedAvg):
    """What FedAdam, FedYogi and FedAdagrad share (Reddi et al., ICLR 2021).

    The formulas are those of umbel.serverapp.strategy; the other arguments are FedAvg's.
    """

    _kind: type[ours.FedOpt] = ours.FedOpt

    def __init__(self, *, eta: float = 1e-1, eta_l: float = 1e-1, beta_1: float = 0.0,
                 beta_2: float = 0.0, tau: float = 1e-9, **fedavg: Any) -> None:
        self.eta, self.eta_l, self.tau = eta, eta_l, tau
        self.beta_1, self.beta_2 = beta_1, beta_2
        super().__init__(**fedavg)

    def _make_ours(self) -> ours.FedAvg:
        return self._kind(eta=self.eta, eta_l=self.eta_l, beta_1=self.beta_1, beta_2=self.beta_2,
                          tau=self.tau)


class FedAdam(FedOpt):
    """FedAdam (Reddi et al., ICLR 2021)."""

    _kind = ours.FedAdam

    def __init__(self, *, eta: float = 1e-1, eta_l: float = 1e-1, beta_1: float = 0.9,
                 beta_2: float = 0.99, tau: float = 1e-9, **fedavg: Any) -> None:
        super().__init__(eta=eta, eta_l=eta_l, beta_1=beta_1, beta_2=beta_2, tau=tau, **fedavg)


class FedYogi(FedOpt):
    """FedYogi (Reddi et al., ICLR 2021)."""

    _kind = ours.FedYogi

    def __init__(self, *, eta: float = 1e-2, eta_l: float = 0.0316, beta_1: float = 0.9,
                 beta_2: float = 0.99, tau: float = 1e-3, **fedavg: Any) -> None:
        super().__init__(eta=eta, eta_l=eta_l, beta_1=beta_1, beta_2=beta_2, tau=tau, **fedavg)


class FedAdagrad(FedOpt):
    """FedAdagrad (Reddi et al., ICLR 2021)."""

    def __init__(self, *, eta: float = 1e-1, eta_l: float = 1e-1, tau: float = 1e-9,
                 **fedavg: Any) -> None:
        super().__init__(eta=eta, eta_l=eta_l, beta_1=0.0, beta_2=0.0, tau=tau, **fedavg)

    def _make_ours(self) -> ours.FedAvg:
        return ours.FedAdagrad(eta=self.eta, eta_l=self.eta_l, tau=self.tau)


class FedProx(FedAvg):
    """FedProx (Li et al., MLSys 2020): clients find mu in their config as "proximal_mu"."""

    def __init__(self, *, proximal_mu: float, **fedavg: Any) -> None:
        self.proximal_mu = proximal_mu
        super().__init__(**fedavg)

    def _make_ours(self) -> ours.FedAvg:
        return ours.FedProx(proximal_mu=self.proximal_mu)

    def configure_fit(self, server_round: int, parameters: Parameters,
                      client_manager: ClientManager) -> list[tuple[ClientProxy, FitIns]]:
        asked = super().configure_fit(server_round, parameters, client_manager)
        if not asked:
            return []
        first = asked[0][1]
        with_mu = FitIns(first.parameters, {**first.config, "proximal_mu": self.proximal_mu})
        return [(client, with_mu) for client, _ in asked]


class _OfAll(FedAvg):
    """The next model from all replies at once."""

    def _combine(self, contents: list[RecordDict], nodes: list[int]
                 ) -> tuple[ArrayRecord | None, list[int]]:
        assert isinstance(self._ours, (ours.FedMedian, ours.FedTrimmedAvg, ours.MultiKrum))
        faults = _core.check_replies(contents, "num-examples", self._asked)
        self._refused = [(node, "bad-reply", fault)
                         for node, fault in zip(nodes, faults) if fault is not None]
        counted = [place for place, fault in enumerate(faults) if fault is None]
        if not counted:
            return None, []
        chosen = self._ours._chosen([contents[place] for place in counted])
        return self._ours._model(chosen), counted


class FedMedian(_OfAll):
    """The coordinate-wise median (Yin et al., ICML 2018)."""

    def _make_ours(self) -> ours.FedAvg:
        return ours.FedMedian()


class FedTrimmedAvg(_OfAll):
    """The coordinate-wise trimmed mean (Yin et al., ICML 2018)."""

    def __init__(self, *, beta: float = 0.2, **fedavg: Any) -> None:
        self.beta = beta
        super().__init__(**fedavg)

    def _make_ours(self) -> ours.FedAvg:
        return ours.FedTrimmedAvg(beta=self.beta)


class Krum(_OfAll):
    """Krum, or Multi-Krum if some clients are to be kept (Blanchard et al., NeurIPS 2017)."""

    def __init__(self, *, num_malicious_clients: int = 0, num_clients_to_keep: int = 0,
                 **fedavg: Any) -> None:
        self.num_malicious_clients = num_malicious_clients
        self.num_clients_to_keep = num_clients_to_keep
        super().__init__(**fedavg)

    def _make_ours(self) -> ours.FedAvg:
        return ours.MultiKrum(num_malicious_nodes=self.num_malicious_clients,
                              num_nodes_to_select=max(1, self.num_clients_to_keep))


class FaultTolerantFedAvg(FedAvg):
    """FedAvg, for rounds in which at least a share of those asked have replied."""

    def __init__(self, *, min_completion_rate_fit: float = 0.5,
                 min_completion_rate_evaluate: float = 0.5, min_fit_clients: int = 1,
                 min_evaluate_clients: int = 1, min_available_clients: int = 1, **fedavg: Any
                 ) -> None:
        self.completion_rate_fit = min_completion_rate_fit
        self.completion_rate_evaluate = min_completion_rate_evaluate
        super().__init__(min_fit_clients=min_fit_clients,
                         min_evaluate_clients=min_evaluate_clients,
                         min_available_clients=min_available_clients, **fedavg)

    def aggregate_fit(self, server_round: int, results: list[Any], failures: Failures) -> Any:
        if not _enough(results, failures, self.completion_rate_fit):
            return None, {}
        return super().aggregate_fit(server_round, results, failures)

    def aggregate_evaluate(self, server_round: int, results: list[Any], failures: Failures) -> Any:
        if not _enough(results, failures, self.completion_rate_evaluate):
            return None, {}
        return super().aggregate_evaluate(server_round, results, failures)


def _enough(results: list[Any], failures: Failures, share: float) -> bool:
    asked = len(results) + len(failures)
    return bool(results) and len(results) >= share * asked

"""flwr.server.strategy: strategies whose parameters are lists of arrays."""

from __future__ import annotations

from ..._absent import names
from .fedavg import FedAvg
from .others import (
    FaultTolerantFedAvg,
    FedAdagrad,
    FedAdam,
    FedAvgM,
    FedMedian,
    FedOpt,
    FedProx,
    FedTrimmedAvg,
    FedYogi,
    Krum,
)
from .strategy import Strategy

__all__ = ["FaultTolerantFedAvg", "FedAdagrad", "FedAdam", "FedAvg", "FedAvgM", "FedMedian",
           "FedOpt", "FedProx", "FedTrimmedAvg", "FedYogi", "Krum", "Strategy"]

_MODERN = "umbel.serverapp.strategy has it, for apps with messages"

__getattr__ = names(__name__, __all__, {
    "FedXgbBagging": _MODERN, "FedXgbCyclic": _MODERN, "QFedAvg": _MODERN})

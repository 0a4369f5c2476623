"""Strategies: whom to ask in a round, what to make of the replies.

    strategy = FedAvg(fraction_train=0.1)
    result = strategy.start(grid, initial_arrays, num_rounds=10)
"""

from __future__ import annotations

from typing import NoReturn

from .fedavg import FedAvg
from .fedopt import FedAdagrad, FedAdam, FedAvgM, FedOpt, FedYogi
from .fedprox import FedProx
from .qfedavg import QFedAvg
from .result import Result
from .robust import FedMedian, FedTrimmedAvg, Krum, MultiKrum
from .stopping import Plateau, Target
from .strategy import Strategy
from .xgboost import FedXgbBagging, FedXgbCyclic

__all__ = [
    "FedAdagrad",
    "FedAdam",
    "FedAvg",
    "FedAvgM",
    "FedMedian",
    "FedOpt",
    "FedProx",
    "FedTrimmedAvg",
    "FedXgbBagging",
    "FedXgbCyclic",
    "FedYogi",
    "Krum",
    "MultiKrum",
    "Plateau",
    "QFedAvg",
    "Result",
    "Strategy",
    "Target",
]

# Strategies of Flower's that are not here.
_ABSENT = frozenset({
    "Bulyan",
    "DifferentialPrivacyClientSideAdaptiveClipping",
    "DifferentialPrivacyClientSideFixedClipping",
    "DifferentialPrivacyServerSideAdaptiveClipping",
    "DifferentialPrivacyServerSideFixedClipping",
})


def __getattr__(name: str) -> NoReturn:
    if name in _ABSENT:
        raise ImportError(f"umbel.serverapp.strategy has no {name} in this version; there are: "
                          f"{', '.join(__all__)}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

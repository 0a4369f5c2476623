"""flwr.serverapp: umbel.serverapp."""

from __future__ import annotations

from umbel.serverapp import Grid, ServerApp, strategy

from .._absent import names

_ACCOUNTING = "privacy accountants are not in this version"

__all__ = ["Grid", "ServerApp", "strategy"]

__getattr__ = names(__name__, __all__, dict.fromkeys(
    ("GaussianPrivacyEvent", "NeighboringRelation", "PrivacyAccountant", "PrivacyConfig",
     "PrivacySpent", "RdpAccountant", "SamplingMethod"), _ACCOUNTING))

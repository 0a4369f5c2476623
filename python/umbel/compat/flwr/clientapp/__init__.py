"""flwr.clientapp: umbel.clientapp."""

from __future__ import annotations

from umbel.clientapp import ClientApp, mod

from .._absent import names

__all__ = ["ClientApp", "mod"]

__getattr__ = names(__name__, __all__)

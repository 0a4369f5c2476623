"""What to do with the data at one site."""

from __future__ import annotations

from umbel.clientapp._client_app import ClientApp, Mod, UnknownAction

__all__ = ["ClientApp", "Mod", "UnknownAction"]

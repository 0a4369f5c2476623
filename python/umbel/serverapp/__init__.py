"""What to do with the federation."""

from __future__ import annotations

from umbel.serverapp._evaluation import SiteEstimate, SiteEvaluation, evaluate_sites
from umbel.serverapp._grid import Grid
from umbel.serverapp._server_app import ServerApp

__all__ = ["Grid", "ServerApp", "SiteEstimate", "SiteEvaluation", "evaluate_sites"]

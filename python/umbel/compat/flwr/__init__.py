"""The public names of Flower's API that apps use, on top of umbel.

``--flower``, or umbel.compat.install(), makes ``import flwr`` mean this package.
"""

from __future__ import annotations

from . import app, client, clientapp, common, server, serverapp
from ._absent import names

__version__ = "1.42.0"  # the release whose names and signatures these are

__all__ = ["app", "client", "clientapp", "common", "server", "serverapp", "simulation"]

__getattr__ = names(__name__, __all__)

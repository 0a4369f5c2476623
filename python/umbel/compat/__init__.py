"""Living with Flower's apps: its names on top of umbel's, and what rewrites an app.

* ``install()`` makes ``import flwr`` mean ``umbel.compat.flwr`` in this process.
* ``umbel.compat.flwr`` has the public names of Flower's that apps use.
* ``python -m umbel.compat.port APP`` rewrites an app's imports.
"""

from __future__ import annotations

from .alias import install

__all__ = ["install"]

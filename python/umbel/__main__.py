"""`python -m umbel`: an app's process, which `umbel run` starts; see docs/app-process.md."""

from __future__ import annotations

import os
import sys

# An app may have a random.py or a typing.py: what umbel and NumPy are made of is imported before
# the app's folder is on the path, where umbel._process.load puts it.
sys.path[:] = [path for path in sys.path if path not in ("", os.getcwd())]

try:
    import numpy.random  # noqa: F401
except ImportError:
    pass  # the app's own import says what to install

from umbel._process.start import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""``python -m umbel``: an app's process, which `umbel run`, a SuperLink or a SuperNode starts."""

from __future__ import annotations

import sys

from umbel._process.start import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

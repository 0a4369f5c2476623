"""Lets tests import what they share with those of other folders: tools/venvs.py, tests/e2e/environments.py."""

from __future__ import annotations

import pathlib
import sys

for _folder in ("tools", "tests/e2e"):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / _folder))

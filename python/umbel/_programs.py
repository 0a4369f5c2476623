"""The command line and the daemons of an installed package: native programs in umbel/bin."""

from __future__ import annotations

import os
import pathlib
import sys
from typing import NoReturn


def _execute(name: str) -> NoReturn:
    program = pathlib.Path(__file__).parent / "bin" / name
    if not program.exists():
        sys.exit(f"{name}: there is no {program}: this copy of umbel was not installed by pip")
    # Apps run by default in the environment that the command was installed in.
    os.environ.setdefault("UMBEL_PYTHON", sys.executable)
    os.execv(program, [name, *sys.argv[1:]])


def umbel() -> NoReturn:
    """`umbel`: new, run, ls, log, ..."""
    _execute("umbel")


def superlink() -> NoReturn:
    """`umbel-superlink`: the hub."""
    _execute("umbel-superlink")


def supernode() -> NoReturn:
    """`umbel-supernode`: an agent at a data site."""
    _execute("umbel-supernode")

"""flwr.common.logger: the logger that Flower's apps write to; its lines go to the run's log."""

from __future__ import annotations

import logging
import sys

from .._absent import names

LOGGER_NAME = "flwr"


class _Stderr(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to what sys.stderr is at the time, which a notebook or a test replaces."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self):  # type: ignore[no-untyped-def]
        return sys.stderr


logger = logging.getLogger(LOGGER_NAME)
if not logger.handlers:
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(_Stderr())
    logger.handlers[0].setFormatter(logging.Formatter("%(levelname)s: %(message)s"))

log = logger.log

__all__ = ["LOGGER_NAME", "log", "logger"]

__getattr__ = names(__name__, __all__)

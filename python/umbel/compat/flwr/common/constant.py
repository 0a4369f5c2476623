"""flwr.common.constant: what clients of the Client API can be asked for besides."""

from __future__ import annotations

from .._absent import names


class MessageTypeLegacy:
    """Types of messages that only clients of the Client API know."""

    GET_PROPERTIES = "query.get_properties"
    GET_PARAMETERS = "query.get_parameters"


__all__ = ["MessageTypeLegacy"]

__getattr__ = names(__name__, __all__)

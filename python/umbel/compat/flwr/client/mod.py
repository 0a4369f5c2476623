"""flwr.client.mod: umbel.clientapp.mod."""

from __future__ import annotations

from umbel.clientapp.mod import (
    LocalDpMod,
    adaptiveclipping_mod,
    arrays_size_mod,
    fixedclipping_mod,
    message_size_mod,
)

from .._absent import names

__all__ = ["LocalDpMod", "adaptiveclipping_mod", "arrays_size_mod", "fixedclipping_mod",
           "message_size_mod"]

_NO_SECAGG = "there is no secure aggregation in this version"

__getattr__ = names(__name__, __all__, {"secagg_mod": _NO_SECAGG, "secaggplus_mod": _NO_SECAGG})

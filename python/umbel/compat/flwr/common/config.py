"""flwr.common.config: settings in nested tables, and with dots in their names."""

from __future__ import annotations

from typing import Any

from .._absent import names

__all__ = ["flatten_dict", "unflatten_dict"]


def flatten_dict(raw_dict: dict[str, Any] | None, parent_key: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} as {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for key, value in (raw_dict or {}).items():
        name = f"{parent_key}.{key}" if parent_key else key
        if isinstance(value, dict):
            flat.update(flatten_dict(value, name))
        else:
            flat[name] = value
    return flat


def unflatten_dict(flat_dict: dict[str, Any]) -> dict[str, Any]:
    """{"a.b": 1} as {"a": {"b": 1}}."""
    nested: dict[str, Any] = {}
    for name, value in flat_dict.items():
        *tables, key = name.split(".")
        place = nested
        for table in tables:
            place = place.setdefault(table, {})
        place[key] = value
    return nested


__getattr__ = names(__name__, __all__)

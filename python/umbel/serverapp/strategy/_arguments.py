"""What strategies are given, held to what it must be, by name."""

from __future__ import annotations

import operator
from typing import Any

from umbel._errors import InvalidArgument, WrongType

_COUNT_MAX = 2**63 - 1


def count(where: str, name: str, value: Any, least: int) -> int:
    """An integer (also NumPy's) from `least` on; WrongType or InvalidArgument otherwise."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise WrongType(f"{where}: {name} is {value!r}, of type {type(value).__name__}, "
                        "expected an integer") from None
    if not least <= number <= _COUNT_MAX:
        raise InvalidArgument(f"{where}: {name} is {number}, expected at least {least}"
                              + (" and below 2^63" if number > _COUNT_MAX else ""))
    return number


def real(where: str, name: str, value: Any) -> float:
    """A real number (also NumPy's); WrongType otherwise."""
    try:
        if isinstance(value, (bool, str, bytes)):
            raise TypeError
        return float(value)
    except (TypeError, ValueError):
        raise WrongType(f"{where}: {name} is {value!r}, of type {type(value).__name__}, "
                        "expected a number") from None


def share(where: str, name: str, value: Any) -> float:
    """A number from 0 to 1; WrongType or InvalidArgument otherwise."""
    number = real(where, name, value)
    if not 0 <= number <= 1:
        raise InvalidArgument(f"{where}: {name} is {value}, expected a share from 0 to 1")
    return number


def text(where: str, name: str, value: Any) -> str:
    """A text that is not empty; WrongType or InvalidArgument otherwise."""
    if not isinstance(value, str):
        raise WrongType(f"{where}: {name} is {value!r}, of type {type(value).__name__}, "
                        "expected a text")
    if not value:
        raise InvalidArgument(f"{where}: {name} is empty")
    return value

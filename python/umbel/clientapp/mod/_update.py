"""A client's update: what its reply's arrays have more than the message's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from umbel._errors import InvalidArgument
from umbel.app import Array, ArrayRecord, Context, Message, RecordDict

CallNext = Callable[[Message, Context], Message]
Arrays = dict[str, "np.ndarray[Any, Any]"]


def is_training(message: Message) -> bool:
    return message.metadata.message_type.split(".")[0] == "train"


def only(records: dict[str, Any], what: str, mod: str) -> tuple[str, Any]:
    """The one record of a kind, and its name."""
    if len(records) != 1:
        raise InvalidArgument(
            f"{mod}: {what} has {len(records)} records of that kind, expected one")
    return next(iter(records.items()))


def snapshot(received: ArrayRecord) -> Arrays:
    """A copy of what the client got: its action may train in place, on the message's own bytes."""
    return {name: np.array(array.numpy(copy=False)) for name, array in received.items()}


def floats_of(received: Arrays, trained: ArrayRecord, mod: str) -> tuple[Arrays, Arrays]:
    """Both sides' floating-point arrays by name.

    Raises:
        InvalidArgument: if the two have unlike names, shapes or dtypes.
    """
    if list(received.keys()) != list(trained.keys()):
        raise InvalidArgument(f"{mod}: the reply has the arrays {list(trained.keys())}, expected "
                              f"those that the client got: {list(received.keys())}")
    before: Arrays = {}
    after: Arrays = {}
    for name, array in trained.items():
        old, new = received[name], array.numpy(copy=False)
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            raise InvalidArgument(f'{mod}: array "{name}" is {new.dtype}{list(new.shape)}, the '
                                  f"client got {old.dtype}{list(old.shape)}")
        if new.dtype.kind == "f":
            before[name], after[name] = old, new
    return before, after


def norm(before: Arrays, after: Arrays) -> float:
    """The Euclidean length of the update, over all floating-point arrays."""
    return float(np.sqrt(sum(float(np.sum(np.square(after[name].astype(np.float64) - old)))
                             for name, old in before.items())))


def clipped(before: Arrays, after: Arrays, limit: float) -> Arrays:
    """The arrays with their update shortened to `limit`, where it is longer; in float64."""
    length = norm(before, after)
    share = 1.0 if length <= limit else limit / length
    return {name: old + share * (after[name].astype(np.float64) - old)
            for name, old in before.items()}


def replace(content: RecordDict, name: str, arrays: Arrays) -> None:
    """Puts arrays in the place of those of the same name, in their dtype."""
    record: ArrayRecord = content[name]  # type: ignore[assignment]
    content[name] = ArrayRecord({
        key: Array(arrays[key].astype(array.numpy(copy=False).dtype)) if key in arrays else array
        for key, array in record.items()})

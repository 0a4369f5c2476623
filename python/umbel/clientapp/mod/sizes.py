"""What travels, in the run's log."""

from __future__ import annotations

import math

from umbel.app import Context, Message

from ._update import CallNext


def message_size_mod(message: Message, context: Context, call_next: CallNext) -> Message:
    """Logs how many bytes the message's content and the reply's have."""
    context.log(f"message: {_bytes(message)} bytes in")
    reply = call_next(message, context)
    context.log(f"message: {_bytes(reply)} bytes out")
    return reply


def arrays_size_mod(message: Message, context: Context, call_next: CallNext) -> Message:
    """Logs how many arrays, elements and bytes the message's and the reply's ArrayRecords have."""
    context.log(f"arrays in: {_arrays(message)}")
    reply = call_next(message, context)
    context.log(f"arrays out: {_arrays(reply)}")
    return reply


def _bytes(message: Message) -> int:
    if message.has_error():
        return 0
    return sum(record.count_bytes() for record in message.content.values())


def _arrays(message: Message) -> str:
    if message.has_error():
        return "none, an error"
    records = message.content.array_records
    return "; ".join(
        f'"{name}": {len(record)} arrays, '
        f"{sum(math.prod(array.shape) for array in record.values())} elements, "
        f"{record.count_bytes()} bytes" for name, record in records.items()) or "none"

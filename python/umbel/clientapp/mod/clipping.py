"""Clipping of a client's update: the client's half of central differential privacy."""

from __future__ import annotations

from umbel._errors import InvalidArgument
from umbel.app import Context, Message

from ._update import CallNext, clipped, floats_of, is_training, norm, only, replace, snapshot

# The names under which the server sends the limit, and gets back whether an update was within.
KEY_CLIPPING_NORM = "clipping_norm"
KEY_NORM_BIT = "norm_bit"


def fixedclipping_mod(message: Message, context: Context, call_next: CallNext) -> Message:
    """Shortens a train reply's update to the length ``clipping_norm`` of the message's config.

    The update is the reply's arrays less the message's, over all floating-point arrays together,
    in the Euclidean norm (McMahan et al., ICLR 2018, arXiv 1710.06963, "flat clipping").  Put it
    last in the list, where nothing changes the arrays after it.

    Raises:
        InvalidArgument: for a message without ``clipping_norm``, or other arrays in the reply.
    """
    return _clip(message, context, call_next, "fixedclipping_mod")[0]


def adaptiveclipping_mod(message: Message, context: Context, call_next: CallNext) -> Message:
    """As fixedclipping_mod, and adds the metric ``norm_bit``: 1 if the update was within the limit.

    The mean of the bits tells the server how to move the limit (Andrew et al., NeurIPS 2021, arXiv
    1905.03871); a bit about one client's data travels with it, which noise has to cover.
    """
    reply, within = _clip(message, context, call_next, "adaptiveclipping_mod")
    if within is not None:
        _, metrics = only(reply.content.metric_records, "the reply", "adaptiveclipping_mod")
        metrics[KEY_NORM_BIT] = int(within)
    return reply


def _clip(message: Message, context: Context, call_next: CallNext, mod: str
          ) -> tuple[Message, bool | None]:
    """The reply, and whether its update was within the limit; None if there is no update."""
    if not is_training(message):
        return call_next(message, context), None
    _, config = only(message.content.config_records, "the message", mod)
    limit = config.get(KEY_CLIPPING_NORM)
    if not isinstance(limit, (int, float)) or not 0 < limit < float("inf"):
        raise InvalidArgument(f'{mod}: "{KEY_CLIPPING_NORM}" in the message\'s config is {limit}, '
                              "expected a number above 0: give it in the strategy's train_config")
    _, received = only(message.content.array_records, "the message", mod)
    received = snapshot(received)
    reply = call_next(message, context)
    if reply.has_error():
        return reply, None
    name, trained = only(reply.content.array_records, "the reply", mod)
    before, after = floats_of(received, trained, mod)
    within = norm(before, after) <= limit
    if not within:
        replace(reply.content, name, clipped(before, after, float(limit)))
    return reply, within

"""Local differential privacy: clipping and noise before anything leaves the client."""

from __future__ import annotations

import math

import numpy as np

from umbel._errors import InvalidArgument
from umbel.app import Context, Message

from ._update import CallNext, clipped, floats_of, is_training, only, replace, snapshot

_PURPOSE = 0x4C4450  # tells the noise's stream from those that an action draws from the same seed


class LocalDpMod:
    """Clips a train reply's update and adds Gaussian noise to every floating-point element.

    The noise has the standard deviation sensitivity * sqrt(2 ln(1.25 / delta)) / epsilon, which
    makes one reply (epsilon, delta)-differentially private for epsilon below 1 (Dwork and Roth,
    "The Algorithmic Foundations of Differential Privacy", 2014, theorem A.1).  ``sensitivity`` is
    how far two updates may lie apart: 2 * clipping_norm for any two updates.  Each reply spends
    its own epsilon; metrics are not touched.

    Args:
        clipping_norm: the update's greatest length, above 0.
        sensitivity: at least 0.
        epsilon: above 0.
        delta: above 0, below 1.
        seeded: draw the noise from the context's seed, so that a simulation can be repeated.  By
            default it comes from the operating system: whoever knows the run's seed, as its server
            does, could otherwise draw the same noise and take it off again.

    Raises:
        InvalidArgument: for a parameter outside its range.
    """

    def __init__(self, clipping_norm: float, sensitivity: float, epsilon: float, delta: float,
                 *, seeded: bool = False) -> None:
        for name, value, fits in (("clipping_norm", clipping_norm, clipping_norm > 0),
                                  ("sensitivity", sensitivity, sensitivity >= 0),
                                  ("epsilon", epsilon, epsilon > 0),
                                  ("delta", delta, 0 < delta < 1)):
            if not fits or not math.isfinite(value):
                raise InvalidArgument(f"LocalDpMod: {name} is {value}, expected "
                                      + ("above 0 and below 1" if name == "delta" else
                                         "at least 0" if name == "sensitivity" else "above 0"))
        self.clipping_norm = clipping_norm
        self.sensitivity = sensitivity
        self.epsilon = epsilon
        self.delta = delta
        self.seeded = seeded

    @property
    def standard_deviation(self) -> float:
        """Of the noise on every element."""
        return self.sensitivity * math.sqrt(2 * math.log(1.25 / self.delta)) / self.epsilon

    def __call__(self, message: Message, context: Context, call_next: CallNext) -> Message:
        if not is_training(message):
            return call_next(message, context)
        _, received = only(message.content.array_records, "the message", "LocalDpMod")
        received = snapshot(received)
        reply = call_next(message, context)
        if reply.has_error():
            return reply
        name, trained = only(reply.content.array_records, "the reply", "LocalDpMod")
        before, after = floats_of(received, trained, "LocalDpMod")
        generator = np.random.default_rng([context.seed, _PURPOSE] if self.seeded else None)
        noisy = {key: array + generator.normal(0.0, self.standard_deviation, array.shape)
                 for key, array in clipped(before, after, self.clipping_norm).items()}
        replace(reply.content, name, noisy)
        return reply

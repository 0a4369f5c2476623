"""The one family of errors that umbel raises, with the words of its core."""

from __future__ import annotations


class Error(RuntimeError):
    """What went wrong: the thing, what was expected of it, and what it is.

    ``code`` names the kind, as in ``"not-found"``; each code has a subclass of its own.
    """

    code: str = "unknown"

    def __str__(self) -> str:  # KeyError, a base of one subclass, would show a repr
        return str(self.args[0]) if self.args else ""


class InvalidArgument(Error, ValueError):
    """A value that the call cannot take."""

    code = "invalid-argument"


class WrongType(Error, TypeError):
    """A value of a type that the call, or a record, cannot take."""

    code = "invalid-argument"


class NotFound(Error, KeyError):
    """Something that is named and not there."""

    code = "not-found"


class FailedPrecondition(Error):
    """A call at a time when it makes no sense, such as on a Grid whose run is over."""

    code = "failed-precondition"


class Cancelled(Error):
    """The run is being stopped."""

    code = "cancelled"


class Aborted(Error):
    """The run cannot go on: rounds failed in a row, say."""

    code = "aborted"


class DeadlineExceeded(Error, TimeoutError):
    """It took too long."""

    code = "deadline-exceeded"


class ResourceExhausted(Error):
    """No memory, no disk, or a limit that is reached."""

    code = "resource-exhausted"


class DataLoss(Error):
    """Bytes that are damaged."""

    code = "data-loss"


class Unavailable(Error, ConnectionError):
    """Somebody at the other end is not there (any more)."""

    code = "unavailable"


class AlreadyExists(Error):
    """Something by that name is there."""

    code = "already-exists"


class OutOfRange(Error, IndexError):
    """A position that is past the end."""

    code = "out-of-range"


class PermissionDenied(Error):
    """It is not allowed."""

    code = "permission-denied"


class Unimplemented(Error, NotImplementedError):
    """What this version, or this build, does not have."""

    code = "unimplemented"

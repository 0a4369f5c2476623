"""Messages between the ServerApp and its clients."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from umbel._errors import FailedPrecondition, InvalidArgument, WrongType
from umbel.app._records import RecordDict

DEFAULT_TTL = 43200  # seconds: 12 hours

# Whoever sends a message without a source is the ServerApp.
SERVER_NODE_ID = 2**64 - 1


class MessageType:
    """What clients can be asked for.  With an action's name: ``"train.lora"``."""

    TRAIN = "train"
    EVALUATE = "evaluate"
    QUERY = "query"


class ErrorCode:
    """Why there is no content."""

    UNKNOWN = 0
    CLIENT_FAILED = 2  # the app's code raised an exception
    DEADLINE = 4  # no reply in time
    LEFT = 5  # the client went away while it was at work
    BAD_REPLY = 100  # the reply does not fit what was asked
    UNKNOWN_ACTION = 101  # the app has nothing registered for the message's type
    STOPPED = 102  # the run was stopped first


class Error:
    """Why a message has no content: an `ErrorCode` and words."""

    __slots__ = ("_code", "_reason")

    def __init__(self, code: int, reason: str | None = None) -> None:
        if not hasattr(code, "__index__"):
            raise WrongType(f"Error: code is of type {type(code).__name__}, expected an int")
        self._code = int(code)
        if not 0 <= self._code < 2**31:
            raise InvalidArgument(f"Error: code = {self._code}, expected 0 to 2**31 - 1")
        self._reason = reason

    @property
    def code(self) -> int:
        """One of `ErrorCode`."""
        return self._code

    @property
    def reason(self) -> str | None:
        """What happened, in words."""
        return self._reason

    def __repr__(self) -> str:
        return f"Error(code={self._code}, reason={self._reason!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Error):
            return NotImplemented
        return (self._code, self._reason) == (other._code, other._reason)

    __hash__ = None  # type: ignore[assignment]


@dataclass(slots=True)
class Metadata:
    """Where a message comes from and goes to.

    Ids of messages are texts; "" is that of a message which was not pushed yet, or replies to none.
    ``group_id`` is the number of the round, as text, or "" outside rounds.  ``ttl`` and
    ``created_at`` are in seconds.
    """

    run_id: int
    message_id: str
    src_node_id: int
    dst_node_id: int
    reply_to_message_id: str
    group_id: str
    created_at: float
    ttl: float
    message_type: str
    src_task_id: int | None = None
    dst_task_id: int | None = None
    delivered_at: str = ""


class Message:
    """What travels: metadata, and a `RecordDict` or an `Error`.

    ``Message(content, reply_to=message)`` is a client's reply; ``Message(content, dst_node_id=7,
    message_type="train")`` a message to client 7, for Grid.push_messages().

    Raises umbel.WrongType for a content that is no RecordDict.
    """

    __slots__ = ("_content", "_error", "metadata")

    metadata: Metadata

    def __init__(
        self,
        *args: Any,
        dst_node_id: int | None = None,
        message_type: str | None = None,
        content: RecordDict | None = None,
        error: Error | None = None,
        ttl: float | None = None,
        group_id: str | None = None,
        dst_task_id: int | None = None,
        reply_to: Message | None = None,
        metadata: Metadata | None = None,
    ) -> None:
        body, dst_node_id, message_type = _unpack(args, content, error, dst_node_id, message_type)
        self._error: Error | None = body if isinstance(body, Error) else None
        self._content: RecordDict | None = None if isinstance(body, Error) else body
        if metadata is not None:
            self.metadata = metadata
        elif reply_to is not None:
            if dst_node_id is not None or message_type is not None:
                raise InvalidArgument(
                    "Message: a reply goes back to where its message came from: leave out "
                    "dst_node_id and message_type"
                )
            self.metadata = _reply_metadata(reply_to, ttl)
        else:
            if dst_node_id is None or message_type is None:
                raise InvalidArgument(
                    "Message: expected reply_to=, or dst_node_id= and message_type="
                )
            self.metadata = Metadata(
                0,
                "",
                SERVER_NODE_ID,
                dst_node_id,
                "",
                "" if group_id is None else str(group_id),
                time.time(),
                DEFAULT_TTL if ttl is None else ttl,
                message_type,
                dst_task_id=dst_task_id,
            )

    @property
    def content(self) -> RecordDict:
        """The records; umbel.FailedPrecondition, with the reason, if there is an error instead."""
        if self._content is None:
            reason = self._error.reason if self._error else "it is empty"
            raise FailedPrecondition(f"the message has no content: {reason}")
        return self._content

    @content.setter
    def content(self, value: RecordDict) -> None:
        if not isinstance(value, RecordDict):
            raise WrongType(
                f"Message: the content is of type {type(value).__name__}, expected a RecordDict"
            )
        self._content = value
        self._error = None

    @property
    def error(self) -> Error:
        """Why there is no content; umbel.FailedPrecondition if there is one."""
        if self._error is None:
            raise FailedPrecondition("the message has content and no error")
        return self._error

    def has_content(self) -> bool:
        """Whether there are records."""
        return self._content is not None

    def has_error(self) -> bool:
        """Whether there is an error instead."""
        return self._error is not None

    def create_reply(self, content: RecordDict, ttl: float | None = None) -> Message:
        """Message(content, reply_to=self)."""
        return Message(content, reply_to=self, ttl=ttl)

    def create_error_reply(self, error: Error, ttl: float | None = None) -> Message:
        """Message(error, reply_to=self)."""
        return Message(error, reply_to=self, ttl=ttl)

    def __repr__(self) -> str:
        body = f"error={self._error!r}" if self._error else f"content={self._content!r}"
        return f"Message({body}, metadata={self.metadata!r})"


def _unpack(
    args: tuple[Any, ...],
    content: RecordDict | None,
    error: Error | None,
    dst_node_id: int | None,
    message_type: str | None,
) -> tuple[Any, int | None, str | None]:
    """Content or error, destination and type of what a Message was called with."""
    given = [body for body in (*args[:1], content, error) if body is not None]
    if len(given) != 1 or len(args) > 3:
        raise WrongType("Message: expected a RecordDict or an Error, one of them")
    if not isinstance(given[0], (RecordDict, Error)):
        raise WrongType(
            f"Message: the content is of type {type(given[0]).__name__}, expected a RecordDict"
        )
    if len(args) > 1:
        dst_node_id = args[1]
    if len(args) > 2:
        message_type = args[2]
    is_number = hasattr(dst_node_id, "__index__") and not isinstance(dst_node_id, bool)
    if dst_node_id is not None and not is_number:
        raise WrongType(
            f"Message: dst_node_id is of type {type(dst_node_id).__name__}, expected an int"
        )
    if message_type is not None and not isinstance(message_type, str):
        raise WrongType(
            f"Message: message_type is of type {type(message_type).__name__}, expected a str"
        )
    return given[0], None if dst_node_id is None else int(dst_node_id), message_type


def _reply_metadata(message: Message, ttl: float | None) -> Metadata:
    if not isinstance(message, Message):
        raise WrongType(
            f"Message: reply_to is of type {type(message).__name__}, expected the Message"
        )
    asked = message.metadata
    return Metadata(
        asked.run_id,
        "",
        asked.dst_node_id,
        asked.src_node_id,
        asked.message_id,
        asked.group_id,
        time.time(),
        asked.ttl if ttl is None else ttl,
        asked.message_type,
    )


def from_core(
    run_id: int,
    message_id: int,
    reply_to: int,
    source: int,
    destination: int,
    message_type: str,
    round_number: int,
    content: RecordDict | None,
    code: int,
    reason: str | None,
) -> Message:
    """A message of the core's; called by the extension."""
    message = Message.__new__(Message)
    message.metadata = Metadata(
        run_id,
        str(message_id),
        source,
        destination,
        str(reply_to) if reply_to else "",
        str(round_number) if round_number else "",
        time.time(),
        DEFAULT_TTL,
        message_type,
    )
    message._content = content
    message._error = None if content is not None else Error(code, reason)
    return message


def _number(text: str, what: str) -> int:
    if not text:
        return 0
    if isinstance(text, str) and text.isdecimal():
        return int(text)
    raise InvalidArgument(f"Message: {what} {text!r} is none that a Grid gave out")


def to_core(message: Message) -> tuple[Any, ...]:
    """What the core has in a message; called by the extension."""
    if not isinstance(message, Message):
        raise WrongType(f"a value of type {type(message).__name__}, expected a Message")
    data = message.metadata
    error = message._error
    # Outside rounds a group may have any name: the core knows those of rounds alone.
    group = data.group_id
    return (
        data.run_id,
        _number(data.message_id, "message_id"),
        _number(data.reply_to_message_id, "reply_to_message_id"),
        data.src_node_id,
        data.dst_node_id,
        data.message_type,
        int(group) if isinstance(group, str) and group.isdecimal() and len(group) < 19 else 0,
        message._content,
        error.code if error else 0,
        (error.reason or "") if error else "",
    )

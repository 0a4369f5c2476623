"""Answers messages with the user's ClientApp; what goes wrong there becomes words."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

from umbel._process import threads
from umbel._process.load import end_a_copy_of
from umbel._process.seeding import seed_all, states_kept
from umbel._process.where import leaves_debugger, line_of, place_of, told
from umbel.app import ArrayRecord, Context, Error, ErrorCode, Message, RecordDict
from umbel.clientapp import ClientApp, UnknownAction

Answer = Callable[[Message, Context], "RecordDict | Error"]

# Of tracebacks that come from the same line, so many are logged by one process.
_TRACEBACKS_MAX = 3


class Answers:
    """A function of message and context that the core calls for each message."""

    def __init__(
        self, app: ClientApp, *, one_at_a_time: bool = False, one_thread: bool = False
    ) -> None:
        """
        Args:
            app: the user's.
            one_at_a_time: for threads of one process, which share the libraries' random numbers.
            one_thread: with it: numerical libraries compute on one thread, as they do in workers.
        """
        self._app = app
        self._lock = threading.Lock() if one_at_a_time else None
        self._threads = threads.one_thread if one_thread else contextlib.nullcontext
        self._logged: dict[str, int] = {}
        # What ends the run when somebody leaves the debugger, and what pdb raised then.
        self.stop: Callable[[], None] | None = None
        self.left: BaseException | None = None

    def __call__(self, message: Message, context: Context) -> RecordDict | Error:
        if self._lock is None:
            return self._answer(message, context)
        with self._lock, states_kept(), self._threads():
            return self._answer(message, context)

    def _answer(self, message: Message, context: Context) -> RecordDict | Error:
        if self.left is not None:
            return Error(ErrorCode.CLIENT_FAILED, f"client {context.node_id}: the run is stopped")
        asked = message.metadata.message_id
        process = os.getpid()
        seed_all(context.seed)
        try:
            reply: Any = self._app(message, context)
            end_a_copy_of(process)
            return self._checked(reply, message, asked, context.node_id)
        except UnknownAction as error:
            return Error(ErrorCode.UNKNOWN_ACTION, str(error))
        except BaseException as error:  # SystemExit too: it is the client's, not the process's
            end_a_copy_of(process)
            if self.stop is not None and leaves_debugger(error):
                self.left = error
                self.stop()
            else:
                self._log(error, context)
            return Error(ErrorCode.CLIENT_FAILED, f"client {context.node_id}: {line_of(error)}")

    @staticmethod
    def _checked(reply: Any, message: Message, asked: str, client: int) -> RecordDict | Error:
        if not isinstance(reply, Message):
            return Error(
                ErrorCode.BAD_REPLY,
                f'client {client}: the action for "{message.metadata.message_type}" returned '
                f"{_described(reply)}, expected a Message: "
                "return Message(content, reply_to=message)",
            )
        if getattr(reply.metadata, "reply_to_message_id", None) != asked:
            return Error(
                ErrorCode.BAD_REPLY,
                f"client {client}: the Message returned is no reply to the message: make it with "
                "Message(content, reply_to=message)",
            )
        if reply.has_error():
            return Error(reply.error.code, f"client {client}: {reply.error.reason or 'no reason'}")
        return _in_the_order_asked(reply.content, message)

    def _log(self, error: BaseException, context: Context) -> None:
        place = place_of(error)
        count = self._logged[place] = self._logged.get(place, 0) + 1
        if count <= _TRACEBACKS_MAX:
            told(error, context)


def _in_the_order_asked(content: RecordDict, message: Message) -> RecordDict:
    """Arrays under the names that the message has them under, in its order.

    Layouts have an order, and code loses it: JAX's transformations sort the names of dicts.
    """
    for key, asked in message.content.array_records.items():
        arrays = content.get(key)
        if (
            isinstance(arrays, ArrayRecord)
            and len(arrays) == len(asked)
            and list(arrays) != list(asked)
            and all(name in arrays for name in asked)
        ):
            content[key] = ArrayRecord({name: arrays[name] for name in asked})
    return content


def _described(value: object) -> str:
    if isinstance(value, CoroutineType):
        value.close()  # nobody will await it
    if isinstance(value, (CoroutineType, GeneratorType, AsyncGeneratorType)):
        return f"a {type(value).__name__} (write it without async and yield)"
    return "None" if value is None else f"a value of type {type(value).__name__}"

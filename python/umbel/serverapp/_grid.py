from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from umbel.app import Context, Message, RecordDict

if TYPE_CHECKING:
    from umbel import _core


class Grid:
    """The ServerApp's view of the federation.

    Which runtime carries the messages makes no difference to what they say.  Calls come from the
    thread that main() is called on.  They raise umbel.Cancelled once the run is being stopped, and
    umbel.FailedPrecondition once it is over.
    """

    __slots__ = ("_context", "_native")

    def __init__(self, native: _core.Grid, context: Context) -> None:
        self._native = native
        self._context = context

    def get_node_ids(self) -> range:
        """The clients' numbers: 0 to their count less 1.  Costs nothing for any number of them."""
        return range(self._native.node_count())

    def attribute(self, node_id: int, name: str) -> str:
        """A client's category, such as "women".

        Raises:
            umbel.Error: for an attribute that is not known here, or a client that is not there.
        """
        return self._native.attribute(node_id, name)

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str = "",
        ttl: float | None = None,
    ) -> Message:
        """Message(content, dst_node_id, message_type, ...)."""
        return Message(
            content,
            dst_node_id=dst_node_id,
            message_type=message_type,
            group_id=group_id,
            ttl=ttl,
        )

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Hands messages over for delivery, and returns their ids at once.

        Contents are copied, once each: what they hold may be written to afterwards.

        Raises:
            umbel.InvalidArgument: names the first client that is not there; then none is sent.
            umbel.ResourceExhausted: when over 100,000 messages are under way.
        """
        return self._native.push(messages)

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """The replies that are there of those asked for, each given out once; does not wait."""
        return self._native.pull(message_ids, 0.0)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        """Pushes messages and waits for all replies, which come in the order of the messages.

        Args:
            messages: for clients that are each there.
            timeout: in seconds; a client without a reply by then gives an error reply.  None: as
                long as it takes.
        """
        return self._native.send_and_receive(messages, timeout)

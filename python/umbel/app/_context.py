"""Where an app's code finds itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Union

from umbel._errors import FailedPrecondition
from umbel.app._records import ArrayRecord, ConfigRecord, MetricRecord, RecordDict

if TYPE_CHECKING:
    import numpy

    from umbel import _core

UserConfigValue = Union[bool, float, int, str]
UserConfig = dict[str, UserConfigValue]


class Context:
    """The run, the node, their settings, and what to keep; given to each call of the app.

    Of use for the length of that call: afterwards its methods raise umbel.FailedPrecondition.
    """

    __slots__ = (
        "_native",
        "_node_config",
        "_node_id",
        "_rng",
        "_run_config",
        "_run_id",
        "_seed",
        "_state",
        "series_id",
    )

    def __init__(
        self,
        run_id: int,
        node_id: int,
        node_config: UserConfig,
        state: RecordDict,
        run_config: UserConfig,
        series_id: int = 0,
    ) -> None:
        self._native: _core.Context | None = None
        self._run_id = run_id
        self._node_id = node_id
        self._node_config: Any = node_config
        self._state: RecordDict | None = state
        self._run_config: Any = run_config
        self._rng: numpy.random.Generator | None = None
        self._seed: int | None = None
        self.series_id = series_id

    def _core(self) -> _core.Context:
        if self._native is None:
            raise FailedPrecondition("this Context was made by hand: no run is behind it")
        return self._native

    @property
    def run_id(self) -> int:
        """The run's number."""
        return self._run_id

    @property
    def node_id(self) -> int:
        """The client's number, 0 to the number of clients less 1; 2**64 - 1 for the ServerApp."""
        return self._node_id

    @property
    def run_config(self) -> UserConfig:
        """The run's settings: [config] of the app, overridden by --run-config."""
        if self._run_config is None:
            self._run_config = self._core().run_config()
        return self._run_config  # type: ignore[no-any-return]

    @property
    def node_config(self) -> UserConfig:
        """The node's settings; "partition-id" and "num-partitions" at least."""
        if self._node_config is None:
            self._node_config = self._core().node_config()
        return self._node_config  # type: ignore[no-any-return]

    @property
    def state(self) -> RecordDict:
        """What this client keeps from one message of a run to the next; empty at first."""
        if self._state is None:
            self._state = self._core().state()
        return self._state

    @state.setter
    def state(self, value: RecordDict) -> None:
        self._state = value if isinstance(value, RecordDict) else RecordDict(value)

    @property
    def partition_id(self) -> int:
        """Which part of the data is this client's: 0 to num_partitions - 1."""
        if self._native is None:
            return int(self.node_config["partition-id"])
        return self._native.partition_id()

    @property
    def num_partitions(self) -> int:
        """Into how many parts the data is cut: one for each client."""
        if self._native is None:
            return int(self.node_config["num-partitions"])
        return self._native.num_partitions()

    @property
    def run_seed(self) -> int:
        """The run's seed, the same everywhere: for data splits and initial weights."""
        return self._core().run_seed()

    @property
    def seed(self) -> int:
        """Made from the run's seed, the client and the message: for shuffles, dropout, noise.

        The same for any number of workers, and in a simulation as in a deployment.
        """
        if self._seed is None:
            self._seed = self._core().seed()
        return self._seed

    def rng(self) -> numpy.random.Generator:
        """A generator of random numbers from `seed`; the same one at each call."""
        if self._rng is None:
            from numpy.random import PCG64, Generator

            self._rng = Generator(PCG64(self.seed))
        return self._rng

    @property
    def is_server(self) -> bool:
        """Whether this is the ServerApp's context."""
        return self._node_id == 2**64 - 1

    @property
    def is_twin(self) -> bool:
        """Whether the run is the centralised twin of another: one client that has all the data."""
        return self._core().is_twin()

    @property
    def stop_requested(self) -> bool:
        """True once the run is being stopped: long work of one's own should end soon."""
        return self._core().stop_requested()

    def wrap_up(self) -> bool:
        """In a client's action: whether the server asks for what is there by now.

        An action that looks at it between batches can reply with a partial update.
        """
        return self._native is not None and self._native.wrap_up()

    def time_left(self) -> float | None:
        """Seconds in which the reply is still of use; None before the server asks to wrap up."""
        return self._core().time_left()

    def log(self, message: str, level: str = "info") -> None:
        """Writes a line into the run's log; level is "info", "warn" or "error"."""
        self._core().log(str(message), level)

    def publish(self, name: str, metrics: MetricRecord | dict[str, Any]) -> None:
        """Makes metrics part of the run's history and report; for the ServerApp."""
        self._core().publish(name, metrics)

    def save(self, name: str, arrays: ArrayRecord | dict[str, Any]) -> None:
        """Keeps arrays as a .safetensors file of the run; for the ServerApp.

        Raises umbel.InvalidArgument for a name that is no plain file name ending in .safetensors.
        """
        self._core().save(name, arrays)

    def __repr__(self) -> str:
        return f"Context(run_id={self._run_id}, node_id={self._node_id})"


def from_native(native: _core.Context, run_id: int, node_id: int) -> Context:
    """The context of a call; called by the extension."""
    context = Context.__new__(Context)
    context._native = native
    context._run_id = run_id
    context._node_id = node_id
    context._node_config = None
    context._state = None
    context._run_config = None
    context._rng = None
    context._seed = None
    context.series_id = run_id
    return context


__all__ = ["ConfigRecord", "Context", "UserConfig", "UserConfigValue"]

"""What every strategy is: whom to ask in a round, what to make of the replies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from umbel._errors import InvalidArgument
from umbel.app import ArrayRecord, ConfigRecord, Message, MetricRecord

from . import _arguments
from .result import Result
from .stopping import Plateau, Target

if TYPE_CHECKING:
    from umbel.serverapp import Grid

EvaluateFn = Callable[[int, ArrayRecord], "MetricRecord | None"]
_Hook = TypeVar("_Hook", bound=Callable[..., Any])

HOOKS = ("configure_train", "aggregate_train", "configure_evaluate", "aggregate_evaluate")


def same_in_core(hook: _Hook) -> _Hook:
    """Marks a hook that says in Python what the core does natively for this strategy."""
    hook._umbel_native = True  # type: ignore[attr-defined]
    return hook


@dataclass
class Plan:
    """How start() was called."""

    num_rounds: int
    timeout: float | None
    train_config: ConfigRecord
    evaluate_config: ConfigRecord
    evaluate_fn: EvaluateFn | None
    targets: Sequence[Target]
    plateaus: Sequence[Plateau]
    evaluate_every: int
    quorum: float
    wrap_up: float | None

    def check(self) -> None:
        self.num_rounds = _arguments.count("start", "num_rounds", self.num_rounds, 1)
        self.evaluate_every = _arguments.count("start", "evaluate_every", self.evaluate_every, 1)
        self.quorum = _arguments.share("start", "quorum", self.quorum)
        for name in ("timeout", "wrap_up"):
            if getattr(self, name) is not None:
                setattr(self, name, _arguments.real("start", name, getattr(self, name)))
        if self.timeout is not None and not self.timeout > 0:
            raise InvalidArgument(f"start: timeout is {self.timeout} s, expected above 0, or None")


class Strategy(ABC):
    """Whom to ask in a round, what to make of the replies.

    Subclass :class:`FedAvg` or one of the others and override what should be different; or this
    class, and say everything.  A strategy of which nothing is overridden runs in the core: replies
    are folded where they arrive.  Otherwise the hooks below are called round by round, and each
    reply reaches ``aggregate_train``.  Both give the same model, to the bit, for the same seed.
    """

    # Of the phase that is under way, for the round's report: replies that were not counted (node,
    # kind, reason), and the sum of the others' weights under its metric's name.
    _refused: list[tuple[int, str, str]] = []
    _weights: dict[str, float] = {}
    # So many replies must count, or the round leaves the model as it was.
    _least: int = 1

    @abstractmethod
    def configure_train(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord,
                        grid: Grid) -> Iterable[Message]:
        """The messages of one round's training.

        Args:
            server_round: the round's number, from 1.
            arrays: the global model.
            config: what start() got as ``train_config``, the same object in each round: what a
                round changes in it, such as a learning rate, stays.
            grid: the federation.
        """

    @abstractmethod
    def aggregate_train(self, server_round: int, replies: Iterable[Message]
                        ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """The next global model and what was measured, from replies in the order of the messages.

        None for the model leaves it as it was.
        """

    @abstractmethod
    def configure_evaluate(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord,
                           grid: Grid) -> Iterable[Message]:
        """The messages of one round's evaluation; see :meth:`configure_train`."""

    @abstractmethod
    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]
                           ) -> MetricRecord | None:
        """What clients measured, in one record."""

    @abstractmethod
    def summary(self) -> None:
        """Logs how this strategy is set up."""

    def start(self, grid: Grid, initial_arrays: ArrayRecord, num_rounds: int = 3,
              timeout: float | None = 3600, train_config: ConfigRecord | None = None,
              evaluate_config: ConfigRecord | None = None, evaluate_fn: EvaluateFn | None = None,
              *, targets: Sequence[Target] = (), plateaus: Sequence[Plateau] = (),
              evaluate_every: int = 1, quorum: float = 0.0, wrap_up: float | None = None
              ) -> Result:
        """Runs the rounds and returns the final model and every round's metrics.

        Args:
            grid: the federation, as ``@app.main()`` gets it.
            initial_arrays: the model to begin with; it is copied once.
            num_rounds: how many rounds, fewer if a target or plateau ends them.
            timeout: seconds that a phase of a round waits for replies; None: until all are in.
            train_config: goes with every train message, beside ``server-round``.
            evaluate_config: goes with every evaluate message, likewise.
            evaluate_fn: the server's own evaluation, ``evaluate_fn(server_round, arrays)``, which
                returns metrics or None.  Called before the first round, as round 0, and after each
                round in which the model is evaluated.
            targets: end the rounds early, see :class:`Target`.
            plateaus: end the rounds early, see :class:`Plateau`.
            evaluate_every: evaluate after every so many rounds, and after the last one.
            quorum: the least share of those asked to train whose replies must count, 0 to 1; with
                fewer the round leaves the model as it was.
            wrap_up: seconds before the timeout at which clients are asked for what they have.

        Raises:
            InvalidArgument: for settings that do not fit each other or the federation.
            Aborted: when three rounds in a row were skipped, since those asked failed.
            Cancelled: when the run is being stopped.
        """
        plan = Plan(num_rounds, timeout, _config(train_config), _config(evaluate_config),
                    evaluate_fn, tuple(targets), tuple(plateaus), evaluate_every, quorum, wrap_up)
        plan.check()
        if not isinstance(initial_arrays, ArrayRecord):
            initial_arrays = ArrayRecord(initial_arrays)
        self.summary()
        self._begin()
        native = self._native(grid, plan)
        if native is not None:
            from ._native import run_in_core
            return run_in_core(self, grid, initial_arrays, plan, native)
        from ._loop import run_in_python
        return run_in_python(self, grid, initial_arrays, plan)

    def _begin(self) -> None:
        """Forgets what an earlier start() left."""

    def _native(self, grid: Grid, plan: Plan) -> dict[str, Any] | None:
        """What the core is to do, or None if something has to be done in Python."""
        return None

    def _hooks_are_native(self) -> bool:
        return all(getattr(getattr(type(self), hook), "_umbel_native", False)
                   and hook not in vars(self) for hook in HOOKS)


def _config(given: ConfigRecord | None) -> ConfigRecord:
    if given is None:
        return ConfigRecord()
    return given if isinstance(given, ConfigRecord) else ConfigRecord(dict(given))

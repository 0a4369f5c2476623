"""When a run has had enough rounds."""

from __future__ import annotations

from dataclasses import dataclass

from umbel._errors import InvalidArgument


@dataclass(frozen=True)
class Target:
    """Ends the rounds once a metric is good enough: ``Target("accuracy", at_least=0.84)``.

    The metric is the server's, or under ``federated-NAME`` the clients' in evaluation, or under
    ``train-NAME`` in training; where the server has none, NAME means federated evaluation's too.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        if (self.at_least is None) == (self.at_most is None):
            raise InvalidArgument(f'Target("{self.metric}"): give at_least or at_most, one of them')

    def native(self) -> tuple[str, bool, float]:
        if self.at_least is not None:
            return self.metric, True, float(self.at_least)
        assert self.at_most is not None
        return self.metric, False, float(self.at_most)


@dataclass(frozen=True)
class Plateau:
    """Ends the rounds once a metric has stopped getting better.

    Attributes:
        metric: as in :class:`Target`.
        patience: so many measurements in a row without an improvement.
        min_delta: an improvement is better than the best so far by more than this.
        better: ``"higher"`` or ``"lower"``.
    """

    metric: str
    patience: int = 10
    min_delta: float = 0.0
    better: str = "higher"

    def __post_init__(self) -> None:
        if self.better not in ("higher", "lower"):
            raise InvalidArgument(f'Plateau("{self.metric}"): better is "{self.better}", '
                                  'expected "higher" or "lower"')
        if self.patience < 1:
            raise InvalidArgument(f'Plateau("{self.metric}"): patience is {self.patience}, '
                                  "expected at least 1")

    def native(self) -> tuple[str, int, float, bool]:
        return self.metric, self.patience, float(self.min_delta), self.better == "higher"

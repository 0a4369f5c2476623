from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from umbel import _core
from umbel._errors import InvalidArgument, WrongType
from umbel.app import ArrayRecord, ConfigRecord, Error, MetricRecord
from umbel.serverapp._grid import Grid


@dataclass(frozen=True)
class SiteEstimate:
    """A mean over sites, and how far it is to be trusted.

    Attributes:
        sites: how many replied with the metric, and have a weight above 0.
        mean: every site counts by its weight.
        interval: where the mean over all sites like these would be, with the confidence asked for:
            the mean plus and minus t standard errors, t of Student's distribution with sites - 1
            degrees of freedom, the error that of a ratio estimator (Cochran, Sampling Techniques,
            chapter 6); with equal weights that is the usual interval of a mean.  It does not know
            that an accuracy ends at 1.  None for fewer than two sites.
        least, greatest: of the sites' own values.
    """

    sites: int
    mean: float
    interval: tuple[float, float] | None
    least: float
    greatest: float

    def __str__(self) -> str:
        where = f" ({self.interval[0]:.4g} to {self.interval[1]:.4g})" if self.interval else ""
        return f"{self.mean:.4g}{where}, {self.sites} site{'s' if self.sites != 1 else ''}"


@dataclass(frozen=True)
class SiteEvaluation:
    """What the sites replied.

    Attributes:
        weight: the metric that sites counted by.
        estimates: of each number that sites replied, by its name.
        sites: each site's own metrics, by its number.
        failures: why the others do not count, by their numbers.
        metrics: for `context.publish()`: "accuracy", "accuracy-low", "accuracy-high" and so on,
            "sites", "failures", and the sum of the weights under their name.  A metric of the
            sites that has one of these names takes precedence: an interval is then left out.
    """

    weight: str
    estimates: dict[str, SiteEstimate]
    sites: dict[int, MetricRecord]
    failures: dict[int, Error]
    metrics: MetricRecord


def evaluate_sites(
    grid: Grid,
    arrays: ArrayRecord,
    *,
    node_ids: Iterable[int] | None = None,
    config: ConfigRecord | dict[str, Any] | None = None,
    action: str = "",
    weight: str = "num-examples",
    confidence: float = 0.95,
    timeout: float | None = None,
    sites_min: int = 1,
) -> SiteEvaluation:
    """Evaluates a model that does not change at every site; nothing is trained.

    Sites answer with their `@app.evaluate()` function, as in rounds.  A reply without the weight,
    or with a number that is not finite, counts as a failure.  main() sees each site's metrics; they
    are kept in memory, some hundred bytes a site.

    Args:
        grid: as main() was given it.
        arrays: the model.
        node_ids: who is asked, each once; None: everybody.
        config: goes with the model.
        action: asks `@app.evaluate("NAME")` instead.
        weight: the metric that sites count by.
        confidence: of the intervals, above 0 and below 1.
        timeout: in seconds of real time, for all together; a site without a reply by then counts
            as a failure.
        sites_min: fewer replies are an error.

    Raises:
        umbel.InvalidArgument: for a site that is not there or named twice, and for options that
            are out of range.
        umbel.FailedPrecondition: for fewer replies than `sites_min`; it says why the first failed.
    """
    for name, text in (("action", action), ("weight", weight)):
        if not isinstance(text, str):
            raise WrongType(f"evaluate_sites: {name} is of type {_type(text)}, expected a str")
    for name, number in (("confidence", confidence), ("timeout", timeout)):
        if not hasattr(number, "__float__") and (number is not None or name == "confidence"):
            raise WrongType(f"evaluate_sites: {name} is of type {_type(number)}, expected a number")
    if timeout is not None and not float(timeout) > 0:
        raise InvalidArgument(f"evaluate_sites: timeout = {timeout}, expected None or above 0")
    found = _core.evaluate_sites(
        grid, arrays, config if config is not None else {}, _numbers(node_ids), action, weight,
        float(confidence), None if timeout is None else float(timeout),
        _number(sites_min, "sites_min"),
    )  # fmt: skip
    return SiteEvaluation(
        weight=found["weight"],
        estimates={name: SiteEstimate(*values) for name, *values in found["estimates"]},
        sites=dict(found["sites"]),
        failures={node: Error(code, reason) for node, code, reason in found["failures"]},
        metrics=found["metrics"],
    )


def _type(value: object) -> str:
    return type(value).__name__


def _number(value: Any, what: str) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise WrongType(f"evaluate_sites: {what} is of type {_type(value)}, expected an int")
    number = operator.index(value)
    if not 0 <= number < 2**64:
        raise InvalidArgument(f"evaluate_sites: {what} is {number}, expected 0 to 2**64 - 1")
    return number


def _numbers(node_ids: Iterable[int] | None) -> list[int]:
    if node_ids is None:
        return []
    if isinstance(node_ids, (str, bytes)) or not isinstance(node_ids, Iterable):
        raise WrongType(f"evaluate_sites: node_ids is of type {_type(node_ids)}, expected numbers")
    nodes = [_number(node, "one of node_ids") for node in node_ids]
    if not nodes:
        raise InvalidArgument("evaluate_sites: node_ids is empty, expected None or at least one site")
    return nodes

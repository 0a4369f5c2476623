from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from umbel import _core
from umbel._errors import InvalidArgument
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
            "sites", "failures", and the sum of the weights under their name.
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
        timeout: in seconds of real time; a site without a reply by then counts as a failure.
        sites_min: fewer replies are an error.

    Raises:
        umbel.InvalidArgument: for a site that is not there or named twice, and for options that
            are out of range.
        umbel.FailedPrecondition: for fewer replies than `sites_min`; it says why the first failed.
    """
    nodes = [] if node_ids is None else [int(node) for node in node_ids]
    if node_ids is not None and not nodes:
        raise InvalidArgument("evaluate_sites: node_ids is empty, expected None or at least one site")
    found = _core.evaluate_sites(
        grid, arrays, config if config is not None else {}, nodes, action, weight, confidence,
        timeout, sites_min,
    )  # fmt: skip
    return SiteEvaluation(
        weight=found["weight"],
        estimates={name: SiteEstimate(*values) for name, *values in found["estimates"]},
        sites=dict(found["sites"]),
        failures={node: Error(code, reason) for node, code, reason in found["failures"]},
        metrics=found["metrics"],
    )

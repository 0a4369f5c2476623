"""What custom strategies put together: sampling, checks, and the core's aggregation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from umbel import _core
from umbel._errors import InvalidArgument
from umbel.app import ArrayRecord, ConfigRecord, MetricRecord, RecordDict

if TYPE_CHECKING:
    from umbel.serverapp import Grid

NOBODY_EVALUATES = (
    "no client has an evaluate action: set fraction_evaluate=0 or add @client.evaluate()")


def fold(records: Sequence[RecordDict], weighting_metric_name: str,
         layout: ArrayRecord | None = None, nodes: Sequence[int] | None = None) -> dict[str, Any]:
    """Folds contents of replies in the core: each counts wholly or not at all.

    Args:
        records: contents, each with an ArrayRecord (unless layout is None) and a MetricRecord.
        weighting_metric_name: the metric that says how much a reply counts.
        layout: the arrays that a reply must have; None: metrics alone are folded.
        nodes: who sent them, for what is said of failures.

    Returns:
        ``arrays`` (the weighted mean, or None), ``metrics`` (weighted means; the weights' sum under
        their own name), ``counted`` (the places of those that count), and ``failures``: (node,
        kind, reason) of those that do not, 20 at most.
    """
    senders = range(len(records)) if nodes is None else nodes
    folded: dict[str, Any] = _core.fold(records, senders, weighting_metric_name, layout)
    return folded


def aggregate_arrayrecords(records: list[RecordDict], weighting_metric_name: str) -> ArrayRecord:
    """The weighted mean of the contents' arrays, exact to a rounding whatever their order.

    Raises:
        InvalidArgument: for a content that cannot be part of the mean.
    """
    if not records:
        raise InvalidArgument("aggregate_arrayrecords: no records")
    layout = _only(records[0], "array_records")
    folded = fold(records, weighting_metric_name, layout)
    _require_all(folded)
    arrays: ArrayRecord = folded["arrays"]
    return arrays


def aggregate_metricrecords(records: list[RecordDict], weighting_metric_name: str) -> MetricRecord:
    """The weighted means of the contents' metrics, without the weight itself."""
    folded = fold(records, weighting_metric_name)
    _require_all(folded)
    return without(folded["metrics"], weighting_metric_name)


def without(metrics: MetricRecord, name: str) -> MetricRecord:
    """A record without one metric."""
    return MetricRecord({key: value for key, value in metrics.items() if key != name})


def sample_nodes(grid: Grid, min_available_nodes: int, sample_size: int
                 ) -> tuple[list[int], list[int]]:
    """Draws clients, each once: those drawn, and all there are.

    The draw is of the server's own generator, context.rng().

    Raises:
        InvalidArgument: if the federation does not have so many.
    """
    everyone = list(grid.get_node_ids())
    require_nodes("sample_nodes", len(everyone), max(min_available_nodes, sample_size))
    drawn = grid._context.rng().choice(len(everyone), size=sample_size, replace=False)
    return [everyone[i] for i in sorted(drawn)], everyone


def require_nodes(what: str, there: int, wanted: int) -> None:
    if wanted > there:
        raise InvalidArgument(
            f"{what}: {wanted} nodes are needed, the federation has {there}; lower min_*_nodes or "
            "the fraction, or run on more nodes")


def config_to_str(config: ConfigRecord) -> str:
    """A config's settings in a line, without the contents of bytes."""
    return "{" + ", ".join(f"'{key}': {'<bytes>' if isinstance(value, bytes) else value}"
                           for key, value in config.items()) + "}"


def validate_message_reply_consistency(replies: list[RecordDict], weighted_by_key: str,
                                       check_arrayrecord: bool) -> None:
    """That contents have one record of each kind, with the same names, and a weight.

    Raises:
        InvalidArgument: naming the first content that does not.
    """
    first: dict[str, list[str]] = {}
    for number, content in enumerate(replies):
        for kind in ("array_records", "metric_records")[0 if check_arrayrecord else 1:]:
            names = sorted(_only(content, kind, number).keys())
            if names != first.setdefault(kind, names):
                raise InvalidArgument(f"reply {number}: its {kind} have {names}, those of the "
                                      f"first reply {first[kind]}")
        metrics = _only(content, "metric_records", number)
        if isinstance(metrics.get(weighted_by_key), list) or weighted_by_key not in metrics:
            raise InvalidArgument(f'reply {number}: no number under "{weighted_by_key}" in its '
                                  f"metrics, which have {sorted(metrics.keys())}")


def _only(content: RecordDict, kind: str, number: int = 0) -> Any:
    records = getattr(content, kind)
    if len(records) != 1:
        raise InvalidArgument(f"reply {number}: {len(records)} {kind}, expected one; there are: "
                              f"{', '.join(content.keys()) or 'none'}")
    return next(iter(records.values()))


def _require_all(folded: dict[str, Any]) -> None:
    if folded["failures"]:
        node, _, reason = folded["failures"][0]
        raise InvalidArgument(f"record {node}: {reason}")

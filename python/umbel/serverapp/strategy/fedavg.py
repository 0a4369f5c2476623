"""Federated averaging."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from umbel import _core
from umbel.app import ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict

from . import _arguments
from .strategy import Plan, Strategy, same_in_core
from .strategy_utils import fold, require_nodes, without

if TYPE_CHECKING:
    from umbel.serverapp import Grid

AggregationFn = Callable[[list[RecordDict], str], MetricRecord]

logger = logging.getLogger("umbel")


class FedAvg(Strategy):
    """Federated averaging (McMahan et al., AISTATS 2017, arXiv 1602.05629).

    The next model is the mean of the clients' models, weighted by their numbers of examples.

    Args:
        fraction_train: the share of all nodes that train in a round; 0: nobody does.
        fraction_evaluate: the share that evaluates the new model; 0: nobody does.
        min_train_nodes: train at least so many.
        min_evaluate_nodes: evaluate at least with so many.
        min_available_nodes: refuse a federation of fewer nodes.
        weighted_by_key: the metric of a reply that is its weight.
        arrayrecord_key: the name of the messages' ArrayRecord.
        configrecord_key: the name of the messages' ConfigRecord.
        train_metrics_aggr_fn: makes one record of the contents of the train replies, given also
            ``weighted_by_key``; by default weighted means, in the core.
        evaluate_metrics_aggr_fn: the same for evaluation.
    """

    def __init__(self, fraction_train: float = 1.0, fraction_evaluate: float = 1.0,
                 min_train_nodes: int = 2, min_evaluate_nodes: int = 2,
                 min_available_nodes: int = 2, weighted_by_key: str = "num-examples",
                 arrayrecord_key: str = "arrays", configrecord_key: str = "config",
                 train_metrics_aggr_fn: AggregationFn | None = None,
                 evaluate_metrics_aggr_fn: AggregationFn | None = None) -> None:
        me = type(self).__name__
        self.fraction_train = _arguments.share(me, "fraction_train", fraction_train)
        self.fraction_evaluate = _arguments.share(me, "fraction_evaluate", fraction_evaluate)
        counts = {"min_train_nodes": min_train_nodes, "min_evaluate_nodes": min_evaluate_nodes,
                  "min_available_nodes": min_available_nodes}
        for name, value in counts.items():
            counts[name] = _arguments.count(me, name, value, 0)
        self.min_train_nodes = counts["min_train_nodes"] if fraction_train != 0 else 0
        self.min_evaluate_nodes = counts["min_evaluate_nodes"] if fraction_evaluate != 0 else 0
        self.min_available_nodes = counts["min_available_nodes"]
        self.weighted_by_key = _arguments.text(me, "weighted_by_key", weighted_by_key)
        self.arrayrecord_key = arrayrecord_key
        self.configrecord_key = configrecord_key
        self.train_metrics_aggr_fn = train_metrics_aggr_fn
        self.evaluate_metrics_aggr_fn = evaluate_metrics_aggr_fn
        self.current_arrays: ArrayRecord | None = None
        self._refused = []
        self._counted = 0

    def summary(self) -> None:
        """Logs the settings, at level INFO of the logger "umbel"."""
        settings = {name: value for name, value in vars(self).items()
                    if isinstance(value, (bool, int, float, str))}
        logger.info("%s: %s", type(self).__name__,
                    ", ".join(f"{name} {value}" for name, value in settings.items()))

    # --- what is native ------------------------------------------------------------------------

    def _begin(self) -> None:
        self.current_arrays = None

    def _optimizer(self) -> _core.ServerOptimizer:
        """What makes the next model of this one and the mean; a new one for each start()."""
        return _core.ServerOptimizer.average(1.0)

    def _train_config(self) -> dict[str, Any]:
        """What train messages say besides what start() was given."""
        return {}

    def _native(self, grid: Grid, plan: Plan) -> dict[str, Any] | None:
        if (not self._hooks_are_native() or self.train_metrics_aggr_fn is not None
                or self.evaluate_metrics_aggr_fn is not None or self.fraction_train == 0
                or (self.arrayrecord_key, self.configrecord_key) != ("arrays", "config")):
            return None
        return {
            "name": type(self).__name__,
            "train": self._sample_size(grid, train=True),
            "evaluate": self._sample_size(grid, train=False),
            "weight_key": self.weighted_by_key,
            "optimizer": self._optimizer(),
            "train_config": ConfigRecord({**_settings(plan.train_config), **self._train_config()}),
            "evaluate_config": ConfigRecord(_settings(plan.evaluate_config)),
            "quorum": plan.quorum,
            "deadline": plan.timeout,
            "wrap_up": plan.wrap_up,
            "evaluate_every": plan.evaluate_every,
        }

    # --- the same in Python --------------------------------------------------------------------

    def _sample_size(self, grid: Grid, train: bool) -> int:
        fraction = self.fraction_train if train else self.fraction_evaluate
        if fraction == 0:
            return 0
        there = len(grid.get_node_ids())
        if grid._context.is_twin:  # one client that has everybody's data
            return there
        least = self.min_train_nodes if train else self.min_evaluate_nodes
        size = max(int(there * fraction), least)
        require_nodes(type(self).__name__, there, max(size, self.min_available_nodes))
        return size

    def _construct_messages(self, record: RecordDict, node_ids: Iterable[int], message_type: str,
                            server_round: int = 0) -> list[Message]:
        group = str(server_round) if server_round else ""
        return [Message(content=record, message_type=message_type, dst_node_id=node,
                        group_id=group) for node in node_ids]

    def _configure(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid,
                   train: bool) -> list[Message]:
        size = self._sample_size(grid, train)
        if size == 0:
            return []
        nodes = _core.draw_clients(grid, grid._context, server_round, train, size)
        if train:
            config.update(self._train_config())
        config["round"] = server_round
        config["server-round"] = server_round
        record = RecordDict({self.arrayrecord_key: arrays, self.configrecord_key: config})
        return self._construct_messages(
            record, nodes, MessageType.TRAIN if train else MessageType.EVALUATE, server_round)

    def _check_and_log_replies(self, replies: Iterable[Message], is_train: bool,
                               validate: bool = True) -> tuple[list[Message], list[Message]]:
        """The replies that can be aggregated, and the others.

        With ``validate`` the others are also those whose content cannot be part of a mean: arrays
        of another layout than the round's, NaN, no weight.  Why is told in the round's report.
        """
        good = [reply for reply in replies if not reply.has_error()]
        bad = [reply for reply in replies if reply.has_error()]
        if not validate or not good:
            return good, bad
        contents = [reply.content for reply in good]
        faults = _core.check_replies(contents, self.weighted_by_key,
                                     self._layout(contents) if is_train else None)
        self._refuse(good, faults)
        bad += [reply for reply, fault in zip(good, faults) if fault is not None]
        return [reply for reply, fault in zip(good, faults) if fault is None], bad

    def _refuse(self, replies: list[Message], faults: list[str | None]) -> None:
        self._refused += [(reply.metadata.src_node_id, "bad-reply", fault)
                          for reply, fault in zip(replies, faults) if fault is not None]

    def _layout(self, contents: list[RecordDict]) -> ArrayRecord | None:
        """The arrays that a reply must have."""
        if self.current_arrays is not None:
            return self.current_arrays
        return next(iter(contents[0].array_records.values()), None)

    def _fold(self, replies: Iterable[Message], train: bool
              ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        good, _ = self._check_and_log_replies(replies, is_train=train, validate=False)
        if not good:
            return None, None
        contents = [reply.content for reply in good]
        folded = fold(contents, self.weighted_by_key, self._layout(contents) if train else None,
                      [reply.metadata.src_node_id for reply in good])
        self._refused += folded["failures"]
        self._weights = {self.weighted_by_key: folded["metrics"].get(self.weighted_by_key, 0)}
        self._counted = len(folded["counted"])
        if not self._counted:
            return None, None
        function = self.train_metrics_aggr_fn if train else self.evaluate_metrics_aggr_fn
        if function is not None:
            counted = [contents[i] for i in folded["counted"]]
            return folded["arrays"], function(counted, self.weighted_by_key)
        return folded["arrays"], without(folded["metrics"], self.weighted_by_key)

    @same_in_core
    def configure_train(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord,
                        grid: Grid) -> Iterable[Message]:
        """Draws clients by the run's seed and the round, and sends them the model."""
        self.current_arrays = arrays
        return self._configure(server_round, arrays, config, grid, train=True)

    @same_in_core
    def aggregate_train(self, server_round: int, replies: Iterable[Message]
                        ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """The weighted means of arrays and metrics, folded in the core."""
        mean, metrics = self._fold(replies, train=True)
        if mean is None or self._counted < self._least:
            return None, metrics
        return self._step(mean), metrics

    def _step(self, mean: ArrayRecord) -> ArrayRecord:
        return mean

    @same_in_core
    def configure_evaluate(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord,
                           grid: Grid) -> Iterable[Message]:
        """As configure_train, for evaluation."""
        return self._configure(server_round, arrays, config, grid, train=False)

    @same_in_core
    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]
                           ) -> MetricRecord | None:
        """The weighted means of what clients measured, without the weight itself."""
        return self._fold(replies, train=False)[1]


def _settings(config: ConfigRecord) -> dict[str, Any]:
    """Without the round's number, which every message has anyway."""
    return {key: value for key, value in config.items() if key not in ("round", "server-round")}

"""Federated gradient-boosted trees: XGBoost's models as JSON, in one array of bytes.

Clients reply with ``ArrayRecord([numpy.frombuffer(booster.save_raw("json"), numpy.uint8)])``.
XGBoost itself is not needed here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from umbel import _core
from umbel._errors import InvalidArgument
from umbel.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict

from .fedavg import AggregationFn, FedAvg
from .strategy_utils import aggregate_metricrecords, require_nodes

if TYPE_CHECKING:
    from umbel.serverapp import Grid


class _Boosted(FedAvg):
    def _metrics(self, replies: list[Message]) -> MetricRecord:
        aggregate = self.train_metrics_aggr_fn or aggregate_metricrecords
        return aggregate([reply.content for reply in replies], self.weighted_by_key)

    def _boosters(self, replies: Iterable[Message]) -> list[tuple[Message, bytes]]:
        """Replies with the model that each carries; the others are told of in the report."""
        good = [reply for reply in replies if not reply.has_error()]
        faults: list[str | None] = list(_core.check_replies(
            [reply.content for reply in good], self.weighted_by_key, None))
        boosters: list[bytes] = []
        for i, reply in enumerate(good):
            booster = b""
            if faults[i] is None:
                try:
                    booster = _bytes_of(next(iter(reply.content.array_records.values()), None))
                    _model(json.loads(booster))
                except (InvalidArgument, KeyError, TypeError, ValueError) as error:
                    faults[i] = f"no XGBoost model in JSON: {error}"
            boosters.append(booster)
        self._refuse(good, faults)
        return [(reply, booster) for reply, booster, fault in zip(good, boosters, faults)
                if fault is None]


class FedXgbBagging(_Boosted):
    """Bagging: each round, every client grows trees on the global model, and all of them join it.

    A client gets the global model (no bytes at all in the first round) and replies with the trees
    that it added, those alone.  The new model is the old one followed by these trees, client by
    client.  Parameters: FedAvg's.
    """

    current_bst: bytes | None = None

    def _begin(self) -> None:
        super()._begin()
        self.current_bst = None

    def configure_train(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord,
                        grid: Grid) -> Iterable[Message]:
        self.current_bst = _bytes_of(arrays)
        return super().configure_train(server_round, arrays, config, grid)

    def aggregate_train(self, server_round: int, replies: Iterable[Message]
                        ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        boosters = self._boosters(replies)
        if not boosters:
            return None, None
        model = self.current_bst or b""
        for _, booster in boosters:
            model = aggregate_bagging(model, booster)
        self.current_bst = model
        return (ArrayRecord([np.frombuffer(model, np.uint8)]),
                self._metrics([reply for reply, _ in boosters]))


class FedXgbCyclic(_Boosted):
    """One client after another: each round one client boosts the model and hands it on.

    In round r it is node (r - 1) mod n; its model replaces the global one, and it evaluates, too.

    Args:
        fraction_train: 1, or 0 for no training.
        fraction_evaluate: 1, or 0 for no evaluation.

    The others are FedAvg's.
    """

    def __init__(self, fraction_train: float = 1.0, fraction_evaluate: float = 1.0,
                 min_available_nodes: int = 2, weighted_by_key: str = "num-examples",
                 arrayrecord_key: str = "arrays", configrecord_key: str = "config",
                 train_metrics_aggr_fn: AggregationFn | None = None,
                 evaluate_metrics_aggr_fn: AggregationFn | None = None) -> None:
        super().__init__(fraction_train, fraction_evaluate, 2, 2, min_available_nodes,
                         weighted_by_key, arrayrecord_key, configrecord_key, train_metrics_aggr_fn,
                         evaluate_metrics_aggr_fn)
        for name, share in (("train", fraction_train), ("evaluate", fraction_evaluate)):
            if share not in (0, 1):
                raise InvalidArgument(f"FedXgbCyclic: fraction_{name} is {share}, expected 1 or 0")

    def _next_node(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid,
                   message_type: str) -> list[Message]:
        nodes = list(grid.get_node_ids())
        if not grid._context.is_twin:
            require_nodes("FedXgbCyclic", len(nodes), self.min_available_nodes)
        config["round"] = config["server-round"] = server_round
        record = RecordDict({self.arrayrecord_key: arrays, self.configrecord_key: config})
        return self._construct_messages(record, [nodes[(server_round - 1) % len(nodes)]],
                                        message_type, server_round)

    def configure_train(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord,
                        grid: Grid) -> Iterable[Message]:
        if self.fraction_train == 0:
            return []
        return self._next_node(server_round, arrays, config, grid, "train")

    def aggregate_train(self, server_round: int, replies: Iterable[Message]
                        ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        boosters = self._boosters(replies)
        if not boosters:
            return None, None
        reply, booster = boosters[0]
        return ArrayRecord([np.frombuffer(booster, np.uint8)]), self._metrics([reply])

    def configure_evaluate(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord,
                           grid: Grid) -> Iterable[Message]:
        if self.fraction_evaluate == 0:
            return []
        return self._next_node(server_round, arrays, config, grid, "evaluate")


def aggregate_bagging(bst_prev_org: bytes, bst_curr_org: bytes) -> bytes:
    """The model ``bst_prev_org`` followed by all trees of ``bst_curr_org``, as JSON.

    Either is XGBoost's JSON; no bytes for a model without trees.
    """
    if not bst_prev_org:
        return bst_curr_org
    whole, more = json.loads(bst_prev_org), json.loads(bst_curr_org)
    model, added = _model(whole), _model(more)
    trees = len(model["trees"])
    for place, tree in enumerate(added["trees"]):
        model["trees"].append({**tree, "id": trees + place})
    model["tree_info"].extend(added["tree_info"])
    model["gbtree_model_param"]["num_trees"] = str(len(model["trees"]))
    if "iteration_indptr" in model:
        model["iteration_indptr"].append(len(model["trees"]))
    return json.dumps(whole, separators=(",", ":")).encode()


def _model(booster: Any) -> Any:
    model = booster["learner"]["gradient_booster"]["model"]
    if len(model["trees"]) != len(model["tree_info"]):
        raise InvalidArgument("tree_info and trees are not of one length")
    return model


def _bytes_of(arrays: ArrayRecord | None) -> bytes:
    if arrays is None or len(arrays) != 1:
        raise InvalidArgument(f"{0 if arrays is None else len(arrays)} arrays, expected one: the "
                              "model's bytes")
    return next(iter(arrays.values())).numpy(copy=False).tobytes()

"""Strategies of the older form: their hooks around umbel's rounds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from umbel._errors import Aborted, InvalidArgument
from umbel.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from umbel.serverapp import Grid
from umbel.serverapp.strategy import Strategy

from ._clients import LEGACY_CONFIG, LEGACY_METRICS, plain
from .flwr.common.typing import Code, EvaluateRes, FitRes, Parameters, Status
from .flwr.server.client_manager import SimpleClientManager
from .flwr.server.client_proxy import ClientProxy
from .flwr.server.server_config import ServerAppComponents, ServerConfig
from .flwr.server.strategy import FedAvg


_OK = Status(Code.OK, "")


def run(grid: Grid, components: ServerAppComponents) -> None:
    """The rounds of a strategy of flwr.server.strategy's kind."""
    if components.server is not None:
        raise InvalidArgument("ServerAppComponents: a server of one's own cannot be used here: "
                              "override a strategy, or write the rounds in @app.main()")
    strategy = components.strategy if components.strategy is not None else FedAvg()
    config = components.config or ServerConfig()
    adapter = _Adapter(strategy, components.client_manager or SimpleClientManager(), grid)
    adapter.start(grid, adapter.initial(), num_rounds=config.num_rounds,
                  timeout=config.round_timeout,
                  evaluate_fn=adapter.evaluate if _evaluates(strategy) else None)


def _evaluates(strategy: Any) -> bool:
    """Whether the strategy may measure the model on the server."""
    plain = getattr(type(strategy), "evaluate", None) is FedAvg.evaluate
    return not plain or strategy.evaluate_fn is not None


class _Adapter(Strategy):
    """Such a strategy as one of umbel's: records to parameters and back."""

    def __init__(self, strategy: Any, manager: Any, grid: Grid) -> None:
        self.strategy, self.manager, self.grid = strategy, manager, grid

    def summary(self) -> None:
        """Nothing: such strategies have none."""

    def initial(self) -> ArrayRecord:
        """The strategy's first model, or that of one client."""
        self._begin_phase(0, training=True)
        parameters = self.strategy.initialize_parameters(self.manager)
        if parameters is not None:
            record: ArrayRecord = parameters.record()
            return record
        clients = self.manager.sample(1)
        if not clients:
            raise InvalidArgument("there is no client that could be asked for its parameters")
        content = RecordDict({LEGACY_CONFIG: ConfigRecord()})
        [reply] = self.grid.send_and_receive(
            [Message(content, dst_node_id=clients[0].node_id,
                     message_type="query.get_parameters")])
        if reply.has_error():
            raise Aborted(f"no initial_parameters, and client {clients[0].cid} has none to begin "
                          f"with: {reply.error.reason}")
        record = next(iter(reply.content.array_records.values()))
        if not len(record):
            raise Aborted(f"no initial_parameters, and get_parameters() of client "
                          f"{clients[0].cid} returned no arrays")
        return record

    def evaluate(self, server_round: int, arrays: ArrayRecord) -> MetricRecord | None:
        """The strategy's own evaluation; its loss is the metric "loss"."""
        measured = self.strategy.evaluate(server_round, Parameters.of_record(arrays))
        if measured is None:
            return None
        loss, metrics = measured
        return _numbers({**metrics, "loss": float(loss)})

    def configure_train(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord,
                        grid: Grid) -> Iterable[Message]:
        return self._configure(server_round, arrays, "train", self.strategy.configure_fit)

    def configure_evaluate(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord,
                           grid: Grid) -> Iterable[Message]:
        return self._configure(server_round, arrays, "evaluate", self.strategy.configure_evaluate)

    def aggregate_train(self, server_round: int, replies: Iterable[Message]
                        ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        def result(content: RecordDict, examples: int, metrics: dict[str, Any]) -> FitRes:
            record = next(iter(content.array_records.values()))
            return FitRes(_OK, Parameters.of_record(record), examples, metrics)
        results, failures = self._results(replies, result)
        self._weights = {"num-examples": sum(result.num_examples for _, result in results)}
        parameters, metrics = self.strategy.aggregate_fit(server_round, results, failures)
        self._refused += getattr(self.strategy, "_refused", [])
        return (None if parameters is None else parameters.record()), _numbers(metrics)

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]
                           ) -> MetricRecord | None:

        def result(content: RecordDict, examples: int, metrics: dict[str, Any]) -> EvaluateRes:
            numbers: Any = next(iter(content.metric_records.values()))
            return EvaluateRes(_OK, float(numbers["loss"]), examples, metrics)
        results, failures = self._results(replies, result)
        loss, metrics = self.strategy.aggregate_evaluate(server_round, results, failures)
        return _numbers(metrics if loss is None else {**metrics, "loss": float(loss)})

    # --- the two worlds --------------------------------------------------------------------------

    def _begin_phase(self, server_round: int, training: bool) -> None:
        if hasattr(self.manager, "_begin"):
            self.manager._begin(self.grid, server_round, training)

    def _configure(self, server_round: int, arrays: ArrayRecord, message_type: str, configure: Any
                   ) -> list[Message]:
        self._begin_phase(server_round, message_type == "train")
        if hasattr(self.strategy, "_refused"):
            self.strategy._refused = []
        asked = configure(server_round, Parameters.of_record(arrays), self.manager)
        contents: dict[int, RecordDict] = {}  # one for each instruction, which clients may share
        messages = []
        for client, instruction in asked:
            content = contents.get(id(instruction))
            if content is None:
                content = contents[id(instruction)] = RecordDict({
                    "arrays": instruction.parameters.record(),
                    LEGACY_CONFIG: ConfigRecord(dict(instruction.config))})
            messages.append(Message(content, dst_node_id=client.node_id, message_type=message_type,
                                    group_id=str(server_round)))
        return messages

    def _results(self, replies: Iterable[Message], make: Any) -> tuple[list[Any], list[Any]]:
        results: list[Any] = []
        failures: list[Any] = []
        for reply in replies:
            client = ClientProxy(str(reply.metadata.src_node_id))
            if reply.has_error():
                failures.append(RuntimeError(f"client {client.cid}: {reply.error.reason}"))
                continue
            content = reply.content
            try:
                numbers: Any = next(iter(content.metric_records.values()))
                metrics: Any = content.config_records.get(LEGACY_METRICS)
                if metrics is None:  # of a client without a client_fn
                    metrics = {key: value for key, value in numbers.items()
                               if key not in ("num-examples", "loss")}
                results.append((client, make(content, int(numbers["num-examples"]),
                                             dict(metrics))))
            except (KeyError, StopIteration) as error:
                reason = f"the reply lacks {error or 'a record'}"
                failures.append(RuntimeError(f"client {client.cid}: {reason}"))
                self._refused.append((int(client.cid), "bad-reply", reason))
        return results, failures


def _numbers(metrics: dict[str, Any] | None) -> MetricRecord:
    """Those of the metrics that a report can have: finite numbers, and truth values as 0 and 1."""
    values = plain(metrics or {})
    return MetricRecord({key: int(value) if isinstance(value, bool) else value
                         for key, value in values.items()
                         if isinstance(value, (bool, int, float)) and math.isfinite(value)})

"""A run in this process: the same bytes for any number of workers; words for what goes wrong."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest

import umbel
from umbel.app import (
    Array,
    ArrayRecord,
    ConfigRecord,
    Context,
    Error,
    ErrorCode,
    Message,
    MetricRecord,
    RecordDict,
)
from umbel.clientapp import ClientApp
from umbel.serverapp import Grid, ServerApp
from umbel.simulation import run_simulation

Main = Any


def served(client: ClientApp, main: Main, nodes: int = 4, **options: Any) -> Any:
    server = ServerApp()
    server.main()(main)
    options.setdefault("workers", 2)
    return run_simulation(server, client, nodes, **options)


def asked(
    grid: Grid, kind: str, content: RecordDict | None = None, **options: Any
) -> list[Message]:
    content = content or RecordDict()
    ids = grid.get_node_ids()
    return grid.send_and_receive([Message(content, i, kind) for i in ids], **options)


def only_reply(client: ClientApp, kind: str = "query", **options: Any) -> Message:
    got: list[Message] = []
    served(client, lambda grid, context: got.extend(asked(grid, kind)), nodes=1, **options)
    return got[0]


def walker() -> ClientApp:
    """A client whose steps depend on every source of randomness, and on what it kept."""
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        import random

        steps = context.state.setdefault("steps", MetricRecord({"n": 0}))
        steps["n"] = steps["n"] + 1  # type: ignore[operator]
        at = message.content["arrays"].to_numpy_ndarrays()[0]
        at += context.rng().standard_normal(at.shape) + np.random.rand() + random.random()
        at += steps["n"] * context.run_config["size"] + context.partition_id
        metrics = MetricRecord({"num-examples": context.node_id + 1, "steps": steps["n"]})
        content = RecordDict({"arrays": ArrayRecord([at]), "metrics": metrics})
        return Message(content, reply_to=message)

    return app


def walk(grid: Grid, context: Context) -> None:
    at = np.zeros(5)
    for number in (1, 2, 3):
        content = RecordDict({"arrays": ArrayRecord([at]), "config": ConfigRecord({"n": number})})
        messages = [
            grid.create_message(content, "train", node, group_id=str(number))
            for node in grid.get_node_ids()
        ]
        replies = grid.send_and_receive(messages)
        assert [r.metadata.src_node_id for r in replies] == list(grid.get_node_ids())
        assert all(r.content["metrics"]["steps"] == number for r in replies)
        at = np.mean([r.content["arrays"]["0"].numpy() for r in replies], axis=0)
    context.save("at.safetensors", {"at": at})


@pytest.mark.parametrize("workers", [0, 2, 5])
def test_any_number_of_workers_gives_the_same_bytes(workers: int) -> None:
    config = {"size": 0.25}
    one = served(walker(), walk, nodes=6, workers=1, run_config=config, seed=3)
    many = served(walker(), walk, nodes=6, workers=workers, run_config=config, seed=3)
    other = served(walker(), walk, nodes=6, workers=workers, run_config=config, seed=4)
    load = "at.safetensors"
    assert one.load(load) == many.load(load)
    assert one.load(load) != other.load(load)


def test_what_main_does_is_in_the_result(tmp_path: pathlib.Path) -> None:
    events: list[str] = []

    def main(grid: Grid, context: Context) -> None:
        assert context.is_server and not context.is_twin and not context.stop_requested
        assert context.run_config == {"a": 1, "b": 1.0, "c": "x", "d": True}
        assert grid.get_node_ids() == range(3)
        context.publish("mine", {"loss": 0.5, "list": [1, 2]})
        context.save("model.safetensors", ArrayRecord([np.arange(3)]))
        context.log("a line")

    result = served(
        ClientApp(), main, nodes=3, output=tmp_path / "out", seed=9,
        run_config={"a": np.int64(1), "b": 1.0, "c": "x", "d": True},
        progress=lambda event: events.append(event["event"]),
    )  # fmt: skip
    assert result.status == "completed"
    assert result.records == {"mine": {"loss": 0.5, "list": [1, 2]}}
    assert np.array_equal(result.arrays["0"].numpy(), [0, 1, 2])
    assert result.output == tmp_path / "out" and (result.output / "model.safetensors").exists()
    assert events[0] == "started" and events[-1] == "finished"


def test_a_temporary_folder_goes_with_the_result() -> None:
    result = served(ClientApp(), lambda grid, context: None)
    folder = result.output
    assert folder.is_dir()
    del result
    assert not folder.exists()


def test_a_temporary_folder_that_nobody_lets_go_of_goes_at_exit(tmp_path: pathlib.Path) -> None:
    code = (
        "from umbel.clientapp import ClientApp\nfrom umbel.serverapp import ServerApp\n"
        "from umbel.simulation import run_simulation\n"
        "server = ServerApp()\n@server.main()\ndef main(grid, context): pass\n"
        "kept = run_simulation(server, ClientApp(), 2)\nprint(kept.output.is_dir())\n"
        "import sys; sys.modules['kept'] = kept\n"
        "@server.main()\ndef main(grid, context): raise ValueError\n"
        "run_simulation(server, ClientApp(), 2)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment
    )
    assert ran.stdout == "True\n" and ran.stderr.splitlines()[-1] == "ValueError"
    assert not list(tmp_path.iterdir())


def test_a_result_is_shown_in_a_line() -> None:
    def main(grid: Grid, context: Context) -> None:
        context.save("model.safetensors", {"w": np.zeros(2)})

    result = served(ClientApp(), main)
    result.rounds, result.failures = 4, 1200
    result.metrics = {"loss": 0.5, "train-num-examples": 9, "list": [1, 2], **{f"m{i}": i for i in range(9)}}
    shown = repr(result)
    assert shown == (
        "SimulationResult: completed, 4 rounds, 1,200 failures; loss 0.5, m0 0, m1 1, m2 2, m3 3, "
        f"m4 4, m5 5, m6 6, ...; model {result.model_sha256[:12]}"
    )
    assert len(result.model_sha256) == 64


def test_a_cell_that_is_run_again_replaces_its_functions() -> None:
    app, server = ClientApp(), ServerApp()

    def define(number: int) -> None:
        @app.train()
        def train(message: Message, context: Context) -> Message:
            return Message(RecordDict({"n": MetricRecord({"n": number})}), reply_to=message)

        @server.main()
        def main(grid: Grid, context: Context) -> None:
            context.publish("got", asked(grid, "train")[0].content["n"])

    define(1)
    define(2)
    assert run_simulation(server, app, 1).records == {"got": {"n": 2}}

    def other(message: Message, context: Context) -> Message:
        raise AssertionError

    expected = r"already, .*train\(\): give .*other\(\) a name of its own, @app.train\(NAME\)"
    with pytest.raises(umbel.InvalidArgument, match=expected):
        app.train()(other)
    with pytest.raises(umbel.InvalidArgument, match="another main"):
        server.main()(other)  # type: ignore[arg-type]
    app.query()(lambda message, context: message)
    with pytest.raises(umbel.InvalidArgument, match="already"):
        app.query()(lambda message, context: message)


def test_what_main_raises_comes_out_unchanged() -> None:
    error = ValueError("mine")

    def main(grid: Grid, context: Context) -> None:
        raise error

    with pytest.raises(ValueError) as raised:
        served(ClientApp(), main)
    assert raised.value is error


def test_grid_and_context_are_of_no_use_after_the_run() -> None:
    kept: list[Any] = []
    served(ClientApp(), lambda grid, context: kept.extend([grid, context]))
    grid, context = kept
    for late in (
        lambda: grid.get_node_ids(),
        lambda: grid.push_messages([Message(RecordDict(), 1, "train")]),
        lambda: grid.pull_messages(["1"]),
        lambda: context.log("late"),
        lambda: context.save("late.safetensors", {}),
        lambda: context.stop_requested,
    ):
        with pytest.raises(umbel.FailedPrecondition, match="is over"):
            late()


def test_a_client_s_context_is_of_no_use_after_its_call() -> None:
    app = ClientApp()
    kept: list[Context] = []

    @app.query()
    def query(message: Message, context: Context) -> Message:
        late = kept.pop() if kept else None
        kept.append(context)
        if late is None:
            return Message(RecordDict(), reply_to=message)
        with pytest.raises(umbel.FailedPrecondition):
            late.run_config  # noqa: B018
        late.log("too late")
        raise AssertionError

    got: list[Message] = []
    served(app, lambda g, c: got.extend(asked(g, "query") + asked(g, "query")), nodes=1, workers=0)
    assert got[0].has_content()
    assert "FailedPrecondition" in str(got[1].error.reason)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (lambda m: None, "returned None, expected a Message"),
        (lambda m: [np.zeros(2)], "returned a value of type list"),
        (lambda m: Message(RecordDict(), 0, "train"), "no reply to the message"),
        (lambda m: Message(RecordDict({"x": [1]}), reply_to=m), '"x" is of type list'),
        (lambda m: Message(RecordDict({"m": MetricRecord({"x": "y"})}), reply_to=m), "type str"),
        (lambda m: 1 / 0, r"ZeroDivisionError.*\(.*test_simulation.py:\d+ in <lambda>\)"),
        (lambda m: sys.exit(3), "SystemExit: 3"),
    ],
)
def test_a_reply_that_is_none_is_an_error_in_words(workers: int, reply: Any, words: str) -> None:
    app = ClientApp()
    app.query()(lambda message, context: reply(message))
    error = only_reply(app, workers=workers).error
    assert error.reason is not None and error.reason.startswith("client 0: ")
    import re

    assert re.search(words, error.reason), error.reason


def test_records_spoilt_behind_their_backs_are_found() -> None:
    app = ClientApp()

    @app.query()
    def query(message: Message, context: Context) -> Message:
        metrics = MetricRecord()
        dict.__setitem__(metrics, "loss", object())
        return Message(RecordDict({"m": metrics}), reply_to=message)

    error = only_reply(app).error
    assert error.code == ErrorCode.BAD_REPLY
    assert error.reason is not None and 'metric "loss": a value of type object' in error.reason


def test_an_error_of_the_app_s_own_arrives() -> None:
    app = ClientApp()
    app.query()(lambda m, c: Message(Error(0, "not today"), reply_to=m))
    assert only_reply(app).error == Error(0, "client 0: not today")


def test_unknown_actions_name_those_there_are() -> None:
    app = ClientApp()
    app.train("lora")(lambda m, c: Message(RecordDict(), reply_to=m))
    error = only_reply(app, "query").error
    assert error.code == ErrorCode.UNKNOWN_ACTION
    assert error.reason is not None and "it has: train.lora" in error.reason
    assert only_reply(app, "train.lora").has_content()


def test_mods_go_around_actions_in_their_order() -> None:
    seen: list[str] = []

    def mod(name: str) -> Any:
        def around(message: Message, context: Context, call: Any) -> Message:
            seen.append(name + ">")
            reply = call(message, context)
            seen.append("<" + name)
            return reply

        return around

    app = ClientApp(mods=[mod("a"), mod("b")])

    @app.lifespan()
    def life(context: Context) -> Any:
        seen.append("begin")
        yield
        seen.append("end")

    @app.query(mods=[mod("c")])
    def query(message: Message, context: Context) -> Message:
        seen.append("action")
        return Message(RecordDict(), reply_to=message)

    assert only_reply(app, workers=0).has_content()
    assert seen == ["begin", "a>", "b>", "c>", "action", "<c", "<b", "<a", "end"]


def test_what_was_sent_is_as_it_was_when_it_was_sent() -> None:
    app = ClientApp()

    @app.query()
    def query(message: Message, context: Context) -> Message:
        with pytest.raises(ValueError):
            np.asarray(message.content["w"]["0"])[0] = 7  # others have the same memory
        return Message(message.content, reply_to=message)

    def main(grid: Grid, context: Context) -> None:
        weights = np.ones(1000)
        content = RecordDict({"w": ArrayRecord([weights])})
        ids = grid.push_messages([Message(content, 0, "query")])
        weights[:] = 5
        replies: list[Message] = []
        while not replies:
            replies = grid.pull_messages(ids)
        assert np.array_equal(replies[0].content["w"]["0"].numpy(), np.ones(1000))

    served(app, main, nodes=1)
    served(app, main, nodes=1, workers=0)


def test_other_threads_run_while_the_grid_waits() -> None:
    app = ClientApp()

    @app.query()
    def query(message: Message, context: Context) -> Message:
        time.sleep(0.2)
        return Message(RecordDict(), reply_to=message)

    counted = [0]

    def main(grid: Grid, context: Context) -> None:
        stop = threading.Event()

        def count() -> None:
            while not stop.is_set():
                counted[0] += 1

        thread = threading.Thread(target=count)
        thread.start()
        before = counted[0]
        asked(grid, "query")
        counted[0] -= before
        stop.set()
        thread.join()

    served(app, main, nodes=1)
    assert counted[0] > 1000


def test_a_deadline_gives_error_replies_and_the_run_goes_on() -> None:
    app = ClientApp()

    @app.query()
    def query(message: Message, context: Context) -> Message:
        if context.node_id == 1:
            time.sleep(60)
        return Message(RecordDict(), reply_to=message)

    got: list[Message] = []
    served(app, lambda g, c: got.extend(asked(g, "query", timeout=5.0)), nodes=3)
    assert [reply.has_content() for reply in got] == [True, False, True]
    assert got[1].error.code == ErrorCode.DEADLINE


def test_a_worker_that_dies_costs_its_client_s_reply() -> None:
    app = ClientApp()

    @app.query()
    def query(message: Message, context: Context) -> Message:
        if context.node_id == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if context.node_id == 2:
            os._exit(3)
        return Message(RecordDict(), reply_to=message)

    got: list[Message] = []
    served(app, lambda g, c: got.extend(asked(g, "query")), nodes=5)
    assert [reply.has_content() for reply in got] == [True, False, False, True, True]
    assert "client 1" in str(got[1].error.reason) and "KILL" in str(got[1].error.reason)
    assert "client 2" in str(got[2].error.reason) and "3" in str(got[2].error.reason)


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"nodes": 0}, umbel.InvalidArgument, "num_supernodes = 0"),
        ({"nodes": "4"}, umbel.WrongType, "num_supernodes is of type str"),
        ({"seed": -1}, umbel.InvalidArgument, "seed = -1"),
        ({"workers": -1}, umbel.InvalidArgument, "workers = -1"),
        ({"run_config": {"a": None}}, umbel.WrongType, 'setting "a"'),
        ({"population": {"availability": 7}}, umbel.InvalidArgument, "availability"),
    ],
)
def test_wrong_arguments_are_named(options: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        served(ClientApp(), lambda grid, context: None, **options)
    with pytest.raises(umbel.WrongType, match="client_app is of type ServerApp"):
        run_simulation(ServerApp(), ServerApp(), 2)  # type: ignore[arg-type]


def test_registering_twice_or_wrongly_is_refused() -> None:
    app = ClientApp()
    app.train()(lambda m, c: m)
    for wrong in (
        lambda: app.train()(lambda m, c: m),
        lambda: app.train(lambda m, c: m),  # type: ignore[arg-type]
        lambda: app.query("a.b"),
        lambda: app.query("x")(3),  # type: ignore[arg-type]
        lambda: ClientApp(mods=[3]),  # type: ignore[list-item]
    ):
        with pytest.raises(umbel.Error):
            wrong()
    with pytest.raises(umbel.FailedPrecondition, match="no main function"):
        run_simulation(ServerApp(), app, 2)


INTERRUPTED = """
import os, signal, sys, threading, time
from umbel.app import Message, RecordDict
from umbel.clientapp import ClientApp
from umbel.serverapp import ServerApp
from umbel.simulation import run_simulation
client, server = ClientApp(), ServerApp()
@client.query()
def query(message, context):
    print("pid", os.getpid(), flush=True)
    time.sleep(600)
@server.main()
def main(grid, context):
    grid.send_and_receive([Message(RecordDict(), node, "query") for node in range(2)])
try:
    run_simulation(server, client, 2, workers=int(sys.argv[1]))
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_ctrl_c_stops_the_run_and_leaves_no_process() -> None:
    command = [sys.executable, "-c", INTERRUPTED, "2"]
    script = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert script.stdout is not None
    pids = [int(script.stdout.readline().split()[1]) for _ in range(2)]
    started = time.monotonic()
    script.send_signal(signal.SIGINT)
    assert script.stdout.readline() == "interrupted\n"
    assert script.wait(20) == 0 and time.monotonic() - started < 5
    for pid in pids:
        assert not pathlib.Path(f"/proc/{pid}").exists()


def test_arrays_of_two_megabytes_go_through_shared_memory_whole() -> None:
    app = ClientApp()
    app.query()(lambda m, c: Message(m.content, reply_to=m))
    given = ArrayRecord([np.random.default_rng(1).standard_normal((512, 512))])
    got: list[Message] = []
    served(app, lambda g, c: got.extend(asked(g, "query", RecordDict({"w": given}))), nodes=2)
    assert all(reply.content["w"] == given for reply in got)
    assert isinstance(got[0].content["w"]["0"], Array)

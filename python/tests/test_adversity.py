"""What a hostile or clumsy app does: words and a run that goes on, never a crash, never a lie."""

from __future__ import annotations

import ctypes
import os
import pathlib
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
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
    Message,
    MetricRecord,
    RecordDict,
    load_arrays,
)
from umbel.clientapp import ClientApp
from umbel.serverapp import Grid, ServerApp
from umbel.simulation import run_simulation

Action = Callable[[Message, Context], Any]


def echo(message: Message, context: Context) -> Message:
    return Message(message.content, reply_to=message)


def served(main: Any, action: Action = echo, nodes: int = 4, **options: Any) -> Any:
    client, server = ClientApp(), ServerApp()
    client.query()(action)
    server.main()(main)
    options.setdefault("workers", 2)
    return run_simulation(server, client, nodes, **options)


def ask(grid: Grid, **options: Any) -> list[Message]:
    messages = [Message(RecordDict(), node, "query") for node in grid.get_node_ids()]
    return grid.send_and_receive(messages, **options)


def replies(action: Action, nodes: int = 2, **options: Any) -> list[Message]:
    got: list[Message] = []
    served(lambda grid, context: got.extend(ask(grid)), action, nodes, **options)
    return got


def reasons(action: Action, **options: Any) -> list[str]:
    return [reply.error.reason or "" for reply in replies(action, **options)]


def run_apart(code: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """A script in a process of its own, for what may take a process down."""
    start = (
        "import os, sys, threading, time\nimport numpy as np\n"
        "from umbel.app import *\nfrom umbel.clientapp import ClientApp\n"
        "from umbel.serverapp import ServerApp\nfrom umbel.simulation import run_simulation\n"
        "client, server = ClientApp(), ServerApp()\n"
    )
    return subprocess.run(
        [sys.executable, "-c", start + code], capture_output=True, text=True, timeout=seconds
    )


# Arrays


@pytest.mark.parametrize(
    "value, expected",
    [
        ((ctypes.c_float * 3)(1, 2, 3), np.array([1, 2, 3], np.float32)),
        (((ctypes.c_int * 2) * 2)((1, 2), (3, 4)), np.array([[1, 2], [3, 4]], np.int32)),
        ((ctypes.c_int32.__ctype_be__ * 2)(1, 2), np.array([1, 2], np.int32)),
        (memoryview(np.arange(3, dtype=">i4")), np.arange(3, dtype=np.int32)),
        (ctypes.c_double(3.5), np.array(3.5)),
    ],
    ids=["ctypes", "ctypes in two dimensions", "big-endian ctypes", "big-endian view", "scalar"],
)
def test_buffers_without_strides_or_of_another_machine_are_arrays(
    value: object, expected: Any
) -> None:
    array = Array(value).numpy()
    assert array.dtype == expected.dtype and np.array_equal(array, expected)


class SaysItIsNative(np.ndarray):
    def astype(self, *args: Any, **options: Any) -> Any:
        return self


class SaysItIsBfloat16:
    __array_interface__: dict[str, Any] = {}

    class dtype:
        name = "bfloat16"

    def view(self, kind: str) -> Any:
        return self


def test_classes_that_lie_about_their_elements_end_in_words_or_the_elements() -> None:
    lying = np.arange(3, dtype=">i4").view(SaysItIsNative)
    assert Array(lying).numpy().tolist() == [0, 1, 2]
    with pytest.raises(umbel.WrongType):
        Array(SaysItIsBfloat16())


@pytest.mark.parametrize("value", [np.datetime64("2020-01-01"), np.timedelta64(1, "s")])
def test_dates_are_not_taken_for_bytes(value: object) -> None:
    with pytest.raises(umbel.WrongType, match=r"elements of type (date|time)"):
        Array(value)


@pytest.mark.parametrize("shape", [5, ("a",), (1 << 70,), (-1,), (1.5,)])
def test_shapes_that_are_none_are_refused(shape: Any) -> None:
    with pytest.raises((umbel.Error, TypeError)):
        Array("float32", shape, "elements", b"1234")


def test_a_capsule_can_be_used_once() -> None:
    capsule = Array(np.arange(3.0)).__dlpack__(max_version=(1, 0))

    class Tensor:
        def __dlpack__(self, **options: object) -> object:
            return capsule

    assert Array(Tensor()).numpy().tolist() == [0, 1, 2]
    with pytest.raises(umbel.WrongType, match="gives no tensor"):
        Array(Tensor())


def test_a_tensor_for_a_device_that_is_not_here_is_refused() -> None:
    with pytest.raises(BufferError):
        Array(np.arange(3.0)).__dlpack__(dl_device=(2, 0))


def test_threads_that_copy_arrays_may_outlive_the_interpreter() -> None:
    ended = run_apart(
        "def copy():\n"
        "    while True: Array(np.zeros(1 << 19)).numpy()\n"
        "for _ in range(3): threading.Thread(target=copy, daemon=True).start()\n"
        "time.sleep(0.2)\n"
    )
    assert (ended.returncode, ended.stderr) == (0, "")


# Records


def test_lists_that_change_while_they_are_read_are_as_they_were() -> None:
    class Clears(np.int64):
        def __index__(self) -> int:
            values.clear()
            return 7

    class SaysItIsANumber:
        @property
        def __class__(self) -> Any:
            values.clear()
            return np.integer

    values: list[Any] = [Clears(1), *range(100)]
    assert MetricRecord({"m": values})["m"] == [7, *range(100)]
    values = [1, SaysItIsANumber(), *range(100)]
    with pytest.raises(umbel.WrongType, match="item 1 is of type SaysItIsANumber"):
        MetricRecord({"m": values})


@pytest.mark.parametrize("record", [MetricRecord, ConfigRecord])
def test_what_no_record_can_hold_is_an_error_of_umbel_s(record: Any) -> None:
    for name, value in [("\ud800", 1), ("m", [10**400, 2.5]), ("m", 2**63), ("m", 1j)]:
        with pytest.raises(umbel.Error):
            record({name: value})
    for values in (5, [("a", 1)], "ab"):
        with pytest.raises(umbel.WrongType, match="expected a dict"):
            record(values)


@pytest.mark.parametrize("code", ["x", None, -5, 10**30])
def test_codes_of_errors_are_small_numbers(code: Any) -> None:
    with pytest.raises(umbel.Error, match="Error: code"):
        Error(code)


# The grid and contexts


def test_contents_that_nobody_else_holds_reach_their_own_clients() -> None:
    def main(grid: Grid, context: Context) -> None:
        messages = (
            Message(RecordDict({"c": ConfigRecord({"n": node})}), node, "query")
            for node in grid.get_node_ids()
        )
        got.extend(reply.content["c"]["n"] for reply in grid.send_and_receive(messages))

    got: list[Any] = []
    served(main, nodes=50)
    assert got == list(range(50))


def test_the_grid_belongs_to_the_thread_of_main() -> None:
    def main(grid: Grid, context: Context) -> None:
        def elsewhere() -> None:
            try:
                ask(grid)
            except umbel.FailedPrecondition as error:
                said.append(str(error))

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert len(ask(grid)) == 4

    said: list[str] = []
    served(main)
    assert "another thread" in said[0]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_thread_that_outlives_its_call_loses_the_context_and_nothing_else(workers: int) -> None:
    def action(message: Message, context: Context) -> Message:
        def go_on() -> None:
            try:
                while True:
                    context.log("still here")
            except umbel.FailedPrecondition:
                pass

        threading.Thread(target=go_on, daemon=True).start()
        time.sleep(0.005)
        return echo(message, context)

    assert all(reply.has_content() for reply in replies(action, nodes=20, workers=workers))


# What clients' code does


class Silent(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    "error, words",
    [
        (Silent(), "Silent: its str() raises ValueError"),
        (ValueError("a\ud800b"), r"ValueError: a\ud800b"),
        (ValueError("one\ntwo"), "ValueError: one ("),
        (KeyboardInterrupt(), "KeyboardInterrupt ("),
        (SystemExit(0), "SystemExit: 0 ("),
        (GeneratorExit(), "GeneratorExit ("),
    ],
    ids=lambda value: type(value).__name__,
)
def test_anything_raised_is_one_line(workers: int, error: BaseException, words: str) -> None:
    def action(message: Message, context: Context) -> Message:
        raise error

    reason = reasons(action, nodes=1, workers=workers)[0]
    assert reason.startswith(f"client 0: {words}") and "\n" not in reason


def test_a_long_error_is_cut() -> None:
    def action(message: Message, context: Context) -> Message:
        raise ValueError("x" * 10**6)

    assert len(reasons(action, nodes=1)[0]) < 3000


def test_what_has_not_begun_to_run_is_named() -> None:
    async def coroutine(message: Message, context: Context) -> Message:
        return echo(message, context)

    def generator(message: Message, context: Context) -> Any:
        yield echo(message, context)

    assert "returned a coroutine (write it without async" in reasons(coroutine)[0]
    assert "returned a generator" in reasons(generator)[0]

    async def main(grid: Grid, context: Context) -> None:
        pass

    def steps(grid: Grid, context: Context) -> Any:
        yield 1

    for wrong, kind in ((main, "coroutine"), (steps, "generator")):
        with pytest.raises(umbel.WrongType, match=f"main gave a {kind}"):
            served(wrong)


def test_replies_whose_metadata_is_gone_are_errors() -> None:
    def action(message: Message, context: Context) -> Message:
        reply = echo(message, context)
        reply.metadata = None  # type: ignore[assignment]
        return reply

    assert "no reply to the message" in reasons(action)[0]


def test_a_copy_that_code_forks_and_forgets_neither_replies_nor_goes_on() -> None:
    def action(message: Message, context: Context) -> Message:
        os.fork()
        return Message(RecordDict({"p": ConfigRecord({"pid": os.getpid()})}), reply_to=message)

    def main(grid: Grid, context: Context) -> None:
        for _ in range(3):
            pids.update(reply.content["p"]["pid"] for reply in ask(grid))

    pids: set[Any] = set()
    served(main, action)
    assert len(pids) <= 2  # the workers alone


def test_a_copy_of_main_ends_where_main_does() -> None:
    ended = run_apart(
        "@server.main()\n"
        "def main(grid, context): os.fork()\n"
        "run_simulation(server, client, 2, workers=1)\n"
        "print('the end')\n"
    )
    assert (ended.returncode, ended.stdout) == (0, "the end\n"), ended.stderr


# Runs in a program of the user's own


def test_runs_in_several_threads_do_not_wait_for_each_other() -> None:
    ended = run_apart(
        "@client.query()\n"
        "def query(message, context): return Message(message.content, reply_to=message)\n"
        "@server.main()\n"
        "def main(grid, context):\n"
        "    asked = [Message(RecordDict(), i, 'query') for i in grid.get_node_ids()]\n"
        "    assert len(grid.send_and_receive(asked)) == 5\n"
        "    time.sleep(0.3)\n"
        "def run():\n"
        "    for _ in range(3): print(run_simulation(server, client, 5, workers=2).status)\n"
        "threads = [threading.Thread(target=run) for _ in range(4)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
    )
    assert ended.stdout.count("completed") == 12, ended.stderr


def test_a_process_that_main_leaves_behind_does_not_hold_the_run() -> None:
    ended = run_apart(
        "@server.main()\n"
        "def main(grid, context):\n"
        "    if os.fork() == 0:\n"
        "        time.sleep(30)\n"
        "        os._exit(0)\n"
        "start = time.monotonic()\n"
        "run_simulation(server, client, 2, workers=1)\n"
        "print(time.monotonic() - start)\n"
        "os.close(1); os.close(2)\n",
        seconds=90,
    )
    assert float(ended.stdout) < 20, ended.stderr


def test_output_that_cannot_be_written_does_not_hurt_the_run() -> None:
    class Broken:
        def write(self, text: str) -> int:
            raise OSError("broken")

        def flush(self) -> None:
            pass

    def action(message: Message, context: Context) -> Message:
        for _ in range(1000):
            context.log("y" * 200)
        print("printed")
        return echo(message, context)

    before, sys.stdout = sys.stdout, Broken()  # type: ignore[assignment]
    try:
        assert served(lambda grid, context: ask(grid) and None, action).status == "completed"
    finally:
        sys.stdout = before


def test_random_numbers_of_the_server_do_not_depend_on_where_clients_are() -> None:
    def drawn(workers: int) -> list[Any]:
        def main(grid: Grid, context: Context) -> None:
            for _ in range(3):
                numbers.append((random.random(), np.random.rand()))
                ask(grid)

        numbers: list[Any] = []
        served(main, workers=workers)
        return numbers

    assert drawn(1) == drawn(3) == drawn(0)


def test_a_run_leaves_the_program_s_random_numbers_alone() -> None:
    random.seed(5)
    np.random.seed(5)
    expected = random.random(), np.random.rand()
    random.seed(5)
    np.random.seed(5)
    served(lambda grid, context: ask(grid) and None)
    assert (random.random(), np.random.rand()) == expected


def test_a_client_that_hangs_in_the_program_itself_does_not_take_it_down() -> None:
    ended = run_apart(
        "@client.query()\n"
        "def query(message, context):\n"
        "    while context.node_id == 1: time.sleep(0.01)\n"
        "    return Message(message.content, reply_to=message)\n"
        "@server.main()\n"
        "def main(grid, context):\n"
        "    asked = [Message(RecordDict(), i, 'query') for i in grid.get_node_ids()]\n"
        "    for reply in grid.send_and_receive(asked, timeout=3): print(reply.has_content())\n"
        "run_simulation(server, client, 2, workers=0)\n"
        "run_simulation(server, client, 1, workers=0)\n"
        "print('the end')\n"
    )
    # Clients take turns here: the one that hangs may have been first.
    assert ended.stdout.splitlines()[1:] == ["False", "True", "the end"], ended.stderr
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    "options",
    [
        {"workers": "2"},
        {"workers": 1.5},
        {"workers": True},
        {"run_config": 5},
        {"run_config": {"a": b"x"}},
        {"run_config": {"a": [1]}},
        {"run_config": {"a": float("nan")}},
        {"run_config": {5: 1}},
        {"population": 5},
        {"seed": 2**70},
    ],
    ids=str,
)
def test_wrong_options_are_errors_of_umbel_s(options: Any) -> None:
    with pytest.raises(umbel.Error):
        served(lambda grid, context: None, **options)


def test_a_temporary_folder_goes_without_a_warning() -> None:
    ended = run_apart(
        "import warnings; warnings.simplefilter('error')\n"
        "server.main()(lambda grid, context: None)\n"
        "print(run_simulation(server, client, 2, workers=1).output)\n"
    )
    assert ended.stderr == "" and not pathlib.Path(ended.stdout.strip()).exists()


def test_paths_are_what_the_file_system_has(tmp_path: pathlib.Path) -> None:
    folder = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(folder)
    place = pathlib.Path(os.fsdecode(folder)) / "a.npz"
    np.savez(str(place), x=np.arange(3))
    for path in (place, str(place), bytes(place)):
        assert load_arrays(path)["x"].numpy().tolist() == [0, 1, 2]
    for wrong in (5, None, "a\0b.npz"):
        with pytest.raises((TypeError, ValueError)):
            load_arrays(wrong)


@pytest.mark.parametrize("workers", [0, 2])
def test_what_a_client_writes_into_a_message_no_other_client_reads(workers: int) -> None:
    def action(message: Message, context: Context) -> Message:
        there = message.content["a"]["x"].numpy(copy=False)  # type: ignore[index]
        before = float(there[0])
        # As torch.from_dlpack(array).add_(1) does, which takes no notice of read-only.
        ctypes.c_double.from_address(there.ctypes.data).value += 1
        return Message(RecordDict({"m": MetricRecord({"before": before})}), reply_to=message)

    def main(grid: Grid, context: Context) -> None:
        content = RecordDict({"a": ArrayRecord({"x": np.zeros(8)})})
        asked = [Message(content, node, "query") for node in grid.get_node_ids()]
        got.extend(reply.content["m"]["before"] for reply in grid.send_and_receive(asked))

    got: list[Any] = []
    served(main, action, nodes=6, workers=workers)
    assert got == [0.0] * 6

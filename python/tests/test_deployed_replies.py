"""Replies that a ServerApp pulls on a hub are whole, whatever their size."""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("UMBEL_BIN", ROOT / "build" / "bin"))

MANIFEST = """
[app]
name = "replies"
version = "0.1.0"
publisher = "tests"
[entry]
python = "app"
[simulation]
nodes = 2
"""

APP = """
import numpy as np
from umbel.app import ArrayRecord, Message, RecordDict
from umbel.clientapp import ClientApp
from umbel.serverapp import ServerApp

client, server = ClientApp(), ServerApp()
SIZES = (3, 1 << 15, (1 << 15) + 1, 1 << 18, 3_000_000)  # 256 KiB travel in a message


@client.query()
def query(message, context):
    there = message.content["arrays"]["x"].numpy()
    return Message(RecordDict({"arrays": ArrayRecord({"x": there + context.partition_id})}),
                   reply_to=message)


@server.main()
def main(grid, context):
    for size in SIZES:
        content = RecordDict({"arrays": ArrayRecord({"x": np.arange(float(size))})})
        asked = [Message(content, node, "query") for node in grid.get_node_ids()]
        for node, reply in enumerate(grid.send_and_receive(asked)):
            assert (reply.content["arrays"]["x"].numpy() == np.arange(float(size)) + node).all()
"""


@pytest.fixture(scope="module")
def federation() -> Iterator[Any]:
    for program in ("umbel", "umbel-superlink", "umbel-supernode"):
        if not (BIN / program).exists():
            pytest.skip(f"{BIN / program} is not built")
    sys.path.insert(0, str(ROOT / "tests" / "e2e"))
    from federation import Federation

    with Federation(BIN) as one:
        one.environment["UMBEL_PYTHON"] = sys.executable
        one.environment.pop("PYTHONPATH", None)
        one.start_hub()
        one.add_nodes(2)
        yield one


def test_replies_of_any_size_reach_the_server_app(federation: Any) -> None:
    app = federation.folder / "replies"
    app.mkdir()
    (app / "umbel.toml").write_text(MANIFEST)
    (app / "app.py").write_text(APP)
    run = federation.run(app, "", "--nodes", "2")
    assert run["status"] == "completed", run["error"]

#!/usr/bin/env python3
"""A run of a C++ app on two of Umbel's nodes and the one-file node: federation_test.py PROGRAMS BUNDLE"""

import contextlib
import pathlib
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from checks import equal, require, until  # noqa: E402
from hub_checks import SETTINGS  # noqa: E402
from peers import User, key_of_pem, text_of_key, umbel  # noqa: E402
from starting import start_hub  # noqa: E402

ROUNDS, NODES = 4, 3
NODE_PY = pathlib.Path(umbel.__file__)


def expected_weight():
    """What becomes of each weight: C++ clients add a quarter, the one-file node goes a quarter of the way to 1."""
    weight = 0.0
    for _ in range(ROUNDS):
        weight = (2 * (weight + 0.25) + weight + 0.25 * (1 - weight)) / 3
    return weight


def start_nodes(programs, folder, hub, admin, stack):
    """Two of umbel-supernode and one of node.py, registered and connected."""
    address = f"{hub.host}:{hub.port}"
    for number in range(NODES):
        state = folder / f"node-{number}"
        state.mkdir()
        where = ["--superlink", address, "--trust", hub.trust]
        command = [programs / "umbel-supernode", *where, "--state", state, "--allow-any-app"] if number < 2 else \
            [sys.executable, NODE_PY, *where, "--key", state / "node.key"]
        key = register(admin, f"node-{number}", state)
        log = stack.enter_context(open(state / "log", "w"))
        process = stack.enter_context(subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL))
        stack.callback(process.terminate)
        require(key, "no key")
    until(lambda: [node["status"] for node in admin.done("GET", "/v1/nodes")["nodes"]] == ["online"] * NODES,
          "the nodes do not join", 30)


def register(admin, name, state):
    """Makes the node's key in the form that its program reads, and registers it."""
    path = state / "node.key"
    if name == f"node-{NODES - 1}":
        seed = umbel.read_or_make_key(path)
    else:
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", path], check=True)
        path.chmod(0o600)
        seed = key_of_pem(path)
    admin.done("POST", "/v1/nodes", {"name": name, "key": text_of_key(seed)})
    return seed


def run_app(admin, bundle, elements):
    """A run's final model's weights."""
    settings = SETTINGS | {"rounds": ROUNDS, "elements": elements}
    run = admin.done("POST", "/v1/runs", {
        "bundle": bundle, "nodes": NODES, "seed": 1,
        "run-config": [{"key": key.replace("_", "-"), "value": value, "origin": "test"}
                       for key, value in settings.items()]})["run-id"]
    until(lambda: admin.done("GET", f"/v1/runs/{run}")["status"] in ("completed", "failed"), "it goes on and on", 60)
    state = admin.done("GET", f"/v1/runs/{run}")
    equal("the run's status", (state["status"], state["error"]), ("completed", ""))
    for number in range(1, ROUNDS + 1):
        line = f"round {number}: {NODES} replies, 0 failures"
        require(line in admin.logs(run), f"the log lacks \"{line}\": {admin.logs(run)}")
    _, model = admin.hub.request("GET", f"/v1/runs/{run}/artifacts/model.safetensors", admin.token)
    return struct.unpack(f"<{elements}f", model[-4 * elements:])


def main():
    programs, bundle = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        address, trust, key = start_hub(programs, folder, stack)
        hub = umbel.Hub(address, trust)
        admin = User(hub, key_of_pem(key))
        admin.login()
        sha256 = admin.put_bundle(bundle.read_bytes())
        start_nodes(programs, folder, hub, admin, stack)
        for elements in (4, 700_000):  # in the frames, and in three chunks
            weights = run_app(admin, sha256, elements)
            wrong = max(abs(weight - expected_weight()) for weight in weights)
            require(wrong < 1e-6, f"a weight of {elements} is off by {wrong}")
            print(f"PASS  run of {elements} weights on C++ and one-file nodes: all are {weights[0]:.6f}", flush=True)


if __name__ == "__main__":
    main()

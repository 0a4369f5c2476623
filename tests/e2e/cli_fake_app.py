#!/usr/bin/python3
"""An app process that speaks docs/app-process.md without training anything.

What it does is chosen by the run config's "behaviour".
"""

import hashlib
import json
import os
import signal
import sys
import time

spec_path = sys.argv[sys.argv.index("--umbel-run") + 1]
spec = json.load(open(spec_path))
config = {setting["key"]: setting["value"] for setting in spec["run-config"]}
behaviour, rounds = config["behaviour"], config["rounds"]
events = os.fdopen(int(os.environ["UMBEL_EVENTS_FD"]), "wb", buffering=0)


def emit(**fields):
    events.write(json.dumps(fields).encode() + b"\n")


def finish(status, **fields):
    emit(event="finished", status=status, rounds=rounds, seconds=0.5, clients=10 * rounds,
         failures=rounds, **fields)
    sys.exit(0)


def play_round(number):
    emit(event="progress", round=number, phase="train", done=5, total=10)
    emit(event="round", round=number, seconds=0.01, elapsed=0.01 * number, clients=10, failures=1,
         **{"failure-reasons": {"client-failed": 1},
            "failure-samples": [{"node": 3, "kind": "client-failed", "reason": "<i>boom"}],
            "bytes-down": 1000, "bytes-up": 500,
            "train": {"loss": 2 / number}, "evaluate": {"accuracy": 1 - 1 / (number + 1)},
            "server": {"loss": 1 / number}, "note": "<b>&\x1b[2J"})


emit(event="started", nodes=spec["nodes"], threads=2)
emit(event="rounds", rounds=rounds)
if behaviour == "silent":
    sys.exit(1)
emit(event="log", side="server", level="info", node=None, message="server says hello")
emit(event="log", side="client", level="warn", node=3, message="client says hello")
print("printed by the app", flush=True)
print("complained by the app", file=sys.stderr, flush=True)

if behaviour == "config-error":
    emit(event="finished", status="failed", error="learning-rate: has to be positive",
         **{"exit-code": 4})
    sys.exit(4)
if behaviour == "user-error":
    finish("failed", error="the server app threw: boom", **{"exit-code": 1})
if behaviour == "malformed":
    events.write(b"this is no event\n")
    time.sleep(60)
if behaviour == "bad-artifact":
    emit(event="artifact", name="../../escaped", bytes=1, sha256="0" * 64)
    time.sleep(60)
if behaviour == "exit-3":
    sys.exit(3)
if behaviour == "kill-9":
    play_round(1)
    os.kill(os.getpid(), signal.SIGKILL)
if behaviour in ("wait", "wait-stubborn", "wait-polite"):
    if behaviour == "wait-stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if behaviour == "wait-polite":
        signal.signal(signal.SIGTERM, lambda *_: finish("stopped"))
    play_round(1)
    waiting = os.path.join(spec["output"], "waiting")
    with open(waiting + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.rename(waiting + ".new", waiting)
    while True:
        time.sleep(60)
if behaviour == "chatty":
    for i in range(2000):
        print("x" * 1000 + str(i))
    sys.stdout.flush()
if behaviour == "flood":
    for i in range(80):
        sys.stdout.write(("x" * 16383 + "\n") * 64)
    sys.stdout.flush()
if behaviour == "spec":
    print(open(spec_path).read(), flush=True)

if behaviour == "target":
    emit(event="rounds", rounds=30)
for number in range(1, rounds + 1):
    play_round(number)
model = b"a model" * 1000
path = os.path.join(spec["output"], "model.safetensors")
open(path, "wb").write(model)
digest = hashlib.sha256(model).hexdigest()
emit(event="record", name="data-skew", metrics={"clients": spec["nodes"], "label-share": [0.5, 0.5]})
emit(event="artifact", name="model.safetensors", bytes=len(model), sha256=digest)
emit(event="from-the-future", anything=[1, {"a": 2}])
reason = "accuracy reached 0.806, target 0.8" if behaviour == "target" else ""
metrics = {"accuracy": 0.75, "loss": 0.5}
if behaviour == "target":
    metrics |= {"federated-loss": 0.5, "train-num-examples": 60.0}
finish("completed", metrics=metrics, reason=reason,
       **{"exit-code": 0, "model-sha256": digest})

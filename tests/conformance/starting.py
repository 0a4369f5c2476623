"""Starts Umbel's own programs for the kit."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading

HERE = pathlib.Path(__file__).resolve().parent


def build_bundle(programs, folder):
    """The path of the conformance app's bundle, built with the program umbel in a folder of its own."""
    app = folder / "app"
    shutil.rmtree(app, ignore_errors=True)
    shutil.copytree(HERE / "app", app)
    subprocess.run([programs / "umbel", "build", app], check=True, stdout=sys.stderr, stdin=subprocess.DEVNULL,
                   env=dict(os.environ, UMBEL_HOME=str(folder / "home")))
    return app / "build" / "conformance-1.0.0.umbel"


def start_hub(programs, folder, stack):
    """umbel-superlink with little memory for replies: its address, trust and administrator's key."""
    state = folder / "superlink"
    log = stack.enter_context(open(folder / "superlink.log", "w"))
    program = stack.enter_context(subprocess.Popen(
        [programs / "umbel-superlink", "--address", "127.0.0.1", "--port", "0", "--name", "127.0.0.1", "--state", state,
         "--memory-max", str(4 << 20), "--runs-max", "20"],
        stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, text=True))
    stack.callback(program.terminate)
    said = ""
    while not (found := re.search(r"--superlink (\S+) --trust (\S+)", said)):
        line = program.stdout.readline()
        if not line:
            sys.exit(f"umbel-superlink did not start: {(folder / 'superlink.log').read_text()}")
        said += line
    threading.Thread(target=program.stdout.read, daemon=True).start()
    return found[1], found[2], state / "admin.key"

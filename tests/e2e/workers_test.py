#!/usr/bin/env python3
"""ClientApps in worker processes that do all that code may do wrong to them, and runs that end in
every way: the round goes on with a reason that names the client, and no process is left.

    workers_test.py PYTHON PYTHONPATH [CASE...]
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PYTHON, PACKAGE = sys.argv[1], sys.argv[2]

APP = '''
import os, resource, signal, sys, time
import numpy as np
from umbel.app import ArrayRecord, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp
from umbel.serverapp import ServerApp

client = ClientApp()

def misbehave(how):
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "segv":
        import ctypes
        ctypes.string_at(1)
    if how in ("exit-0", "exit-3"):
        os._exit(int(how[-1]))
    if how == "sys-exit":
        sys.exit(5)
    if how == "fork":
        if os.fork() == 0:
            os.setsid()
            signal.alarm(20)
            time.sleep(1000)
        os._exit(3)
    if how == "hang":
        time.sleep(1000)
    if how == "memory":
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
        np.ones(1 << 31)
    if how == "list":
        return [1, 2]
    if how == "throw":
        raise ValueError("no data here")
    if how in ("close", "garbage"):
        for name in os.listdir("/proc/self/fd"):
            number = int(name)
            try:
                link = os.readlink(f"/proc/self/fd/{number}")
            except OSError:
                continue
            if number > 2 and link.startswith("socket:"):
                if how == "garbage":
                    os.write(number, b"this is not a frame of any kind")
                else:
                    os.close(number)
        time.sleep(0.2)
    return None

@client.train()
def train(message, context):
    wrong = misbehave(message.content["config"].get("how", "")) if context.node_id == 2 else None
    if wrong is not None:
        return wrong
    weights = message.content["arrays"].to_numpy_ndarrays()[0] + context.partition_id
    content = RecordDict({
        "arrays": ArrayRecord([weights]),
        "metrics": MetricRecord({"num-examples": 1, "pid": os.getpid()}),
    })
    return Message(content=content, reply_to=message)

server = ServerApp()

@server.main()
def main(grid, context):
    from umbel.app import ConfigRecord
    hows = context.run_config["hows"].split()
    for how in hows:
        content = RecordDict({
            "arrays": ArrayRecord([np.zeros(100_000, np.float32)]),
            "config": ConfigRecord({"how": how}),
        })
        messages = [Message(content, node, "train") for node in grid.get_node_ids()]
        replies = grid.send_and_receive(messages, timeout=context.run_config["timeout"])
        for reply in replies:
            if reply.has_error():
                print(f"{how}: node {reply.metadata.src_node_id}: {reply.error.reason}")
        good = [reply for reply in replies if not reply.has_error()]
        print(f"{how}: good {len(good)}", flush=True)
'''

FOREVER = APP.replace('hows = context.run_config["hows"].split()',
                      'hows = context.run_config["hows"].split() * 1_000_000')


def processes(folder):
    """Those whose working directory is this folder."""
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.readlink(f"/proc/{name}/cwd") == folder:
                found.append(int(name))
        except OSError:
            pass
    return found


class Base(unittest.TestCase):
    def setUp(self):
        held = tempfile.TemporaryDirectory()
        self.addCleanup(held.cleanup)
        self.folder = os.path.realpath(held.name)

    def start(self, app, hows, timeout=3600.0, client="app:client", **spec):
        with open(os.path.join(self.folder, "app.py"), "w") as file:
            file.write(app)
        settings = {"hows": hows, "timeout": timeout}
        path = os.path.join(self.folder, "spec.json")
        with open(path, "w") as file:
            json.dump({"version": 1, "run-id": 17, "seed": 1, "nodes": 5, "threads": 2,
                       "output": self.folder,
                       "run-config": [{"key": k, "value": v, "origin": ""}
                                      for k, v in settings.items()], **spec}, file)
        environment = {"PATH": os.environ["PATH"], "HOME": self.folder, "PYTHONPATH": PACKAGE,
                       "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [PYTHON, "-B", "-m", "umbel", "--umbel-run", path, "--server", "app:server",
             "--client", client], cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)

    def output(self, *arguments, code=0, **options):
        process = self.start(*arguments, **options)
        try:
            text, _ = process.communicate(timeout=120)
        finally:
            process.kill()
        self.assertEqual(process.returncode, code, text)
        self.assert_none_left()
        return text

    def assert_none_left(self, seconds=10.0):
        until = time.monotonic() + seconds
        while processes(self.folder) and time.monotonic() < until:
            time.sleep(0.01)
        self.assertEqual(processes(self.folder), [])


class Misdeeds(Base):
    def assert_round_went_on(self, text, how, reason):
        self.assertIn(f"{how}: good 4", text)
        lines = [line for line in text.splitlines() if line.startswith(f"{how}: node ")]
        self.assertEqual(len(lines), 1, text)
        self.assertRegex(lines[0], reason)

    def test_a_workers_end_is_one_clients_failure_that_says_how(self):
        reasons = {
            "kill": "client 2: its process was killed by SIGKILL",
            "segv": "client 2: its process was killed by SIGSEGV",
            "exit-0": "client 2: its process exited with 0",
            "exit-3": "client 2: its process exited with 3",
            "fork": "client 2: its process exited with 3",
            "close": "client 2: its process ",
            "garbage": "client 2: its process broke the protocol",
        }
        text = self.output(APP, " ".join(reasons))
        for how, reason in reasons.items():
            self.assert_round_went_on(text, how, reason)

    def test_what_the_apps_code_does_wrong_is_told_by_client(self):
        reasons = {"throw": "client 2: ValueError: no data here", "list": "client 2",
                   "memory": "client 2: .*Memory", "sys-exit": "client 2"}
        text = self.output(APP, " ".join(reasons))
        for how, reason in reasons.items():
            self.assert_round_went_on(text, how, reason)

    def test_a_client_that_hangs_is_past_its_deadline_and_its_process_is_killed(self):
        text = self.output(APP, "hang fine", timeout=2.0)
        self.assertIn("hang: good 4", text)
        self.assertIn("fine: good 5", text)


class Ends(Base):
    def await_output(self, process, text):
        for line in process.stdout:
            if text in line:
                return
        self.fail(f"the app ended without {text!r}")

    def end_by(self, number, hows="fine"):
        process = self.start(FOREVER, hows)
        self.await_output(process, "good")
        self.assertGreaterEqual(len(processes(self.folder)), 4)  # it, a zygote, two workers
        process.send_signal(number)
        process.stdout.close()
        process.wait(30)
        self.assert_none_left()
        return process.returncode

    def test_nothing_is_left_whatever_ends_the_app(self):
        self.assertEqual(self.end_by(signal.SIGTERM), 143)
        self.assertEqual(self.end_by(signal.SIGINT), 143)
        self.assertEqual(self.end_by(signal.SIGKILL), -signal.SIGKILL)

    def test_a_stop_does_not_wait_for_clients_that_hang(self):
        process = self.start(APP, "fine hang")
        self.await_output(process, "fine: good 5")
        time.sleep(0.3)
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(30), 143)
        process.stdout.close()
        self.assertLess(time.monotonic() - start, 5)
        self.assert_none_left()

    def test_a_group_that_is_terminated_ends_as_one_stopped_run(self):
        process = self.start(FOREVER, "fine")
        self.await_output(process, "good")
        os.killpg(process.pid, signal.SIGTERM)
        rest = process.stdout.read()
        self.assertEqual(process.wait(30), 143)
        process.stdout.close()
        self.assertNotIn("killed by", rest)
        self.assert_none_left()


class Zygotes(Base):
    def command(self, client):
        return [PYTHON, "-B", "-m", "umbel", "--umbel-zygote", "--client", client]

    def test_a_zygote_of_its_own_program_gives_the_same_workers(self):
        text = self.output(APP, "kill fine", **{"zygote-command": self.command("app:client")})
        self.assertIn("kill: good 4", text)
        self.assertIn("fine: good 5", text)

    def test_an_app_that_cannot_be_imported_there_fails_the_run_at_once(self):
        with open(os.path.join(self.folder, "broken.py"), "w") as file:
            file.write("import no_such_module\n")
        text = self.output(APP, "fine", code=4,
                           **{"zygote-command": self.command("broken:client")})
        self.assertIn("no_such_module", text)
        self.assertNotIn("good", text)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])

#!/usr/bin/python3
"""Holds the program `umbel` to docs/cli.md: cli_test.py PATH_OF_UMBEL [unittest arguments]."""

import csv
import hashlib
import io
import json
import os
import pty
import resource
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

UMBEL = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else "umbel"
FAKE_APP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cli_fake_app.py")
MANIFEST = """[app]
name = "fake"
version = "0.1.0"
publisher = "example"
[entry]
cmake = "."
[config]
rounds = 3
behaviour = "good"
rate = 0.5
[simulation]
nodes = 100
"""


def read_bytes(path):
    with open(path, "rb") as file:
        return file.read()


def read(path):
    return read_bytes(path).decode(errors="replace")


class Base(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="umbel-cli-")
        self.addCleanup(shutil.rmtree, self.root, ignore_errors=True)
        self.home = os.path.join(self.root, "home")
        self.environment = dict(os.environ, UMBEL_HOME=self.home, LC_ALL="C.UTF-8")
        self.app = os.path.join(self.root, "app")
        os.makedirs(os.path.join(self.app, "build"))
        self.write_manifest(MANIFEST)
        shutil.copy(FAKE_APP, os.path.join(self.app, "build", "fake"))

    def write_manifest(self, text):
        with open(os.path.join(self.app, "umbel.toml"), "w") as file:
            file.write(text)

    def umbel(self, *arguments, code=0, **options):
        done = subprocess.run([UMBEL, *map(str, arguments)], env=self.environment, cwd=self.root,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", timeout=60, **options)
        self.assertEqual(done.returncode, code, f"{arguments}\n{done.stdout}\n{done.stderr}")
        return done

    def json(self, *arguments, code=0, **options):
        done = self.umbel(*arguments, "--format", "json", code=code, **options)
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 1, done.stdout)
        return json.loads(lines[0])

    def run_fake(self, behaviour="good", *arguments, code=0, **options):
        return self.json("run", self.app, "--no-build", "--run-config", f"behaviour={behaviour}",
                         *arguments, code=code, **options)

    def start_fake(self, behaviour, *arguments):
        """Starts a run in the background and waits until the app is in its first wait."""
        before = {run["run-id"] for run in self.json("ls", "--limit", 0)["runs"]}
        process = subprocess.Popen(
            [UMBEL, "run", self.app, "--no-build", "--format", "json", "--run-config",
             f"behaviour={behaviour}", *arguments], env=self.environment, cwd=self.root,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and process.poll() is None:
            new = [r for r in self.json("ls", "--limit", 0)["runs"] if r["run-id"] not in before]
            if new and os.path.exists(os.path.join(new[0]["folder"], "waiting")):
                return process, new[0]
            time.sleep(0.02)
        self.fail(f"the app did not start: {process.communicate()}")

    def assert_history_intact(self):
        with sqlite3.connect(os.path.join(self.home, "history.db")) as database:
            self.assertEqual(database.execute("PRAGMA integrity_check").fetchone(), ("ok",))
            self.assertEqual(database.execute("PRAGMA foreign_key_check").fetchall(), [])
        database.close()


class Arguments(Base):
    def test_version_and_help(self):
        self.assertRegex(self.umbel("--version").stdout, r"^umbel \d+\.\d+\.\d+\n$")
        for command in ("", "new", "build", "run", "ls", "rounds", "log", "stop", "pull", "report",
                        "key", "link", "supernode", "account", "up", "plan"):
            arguments = [command] if command else []
            self.assertIn("umbel", self.umbel(*arguments, "--help").stdout)

    def test_no_arguments_at_all_is_a_call_for_help(self):
        self.assertEqual(self.umbel().stdout, self.umbel("--help").stdout)

    def test_bad_arguments_exit_4_with_a_hint(self):
        self.assertIn('did you mean "run"?', self.umbel("runn", code=4).stderr)
        for arguments in (("--nope",), ("ls", "--nope"), ("log",), ("log", "x"), ("log", "0"),
                          ("run", "--nodes", "0"), ("run", "--seed", "-1"),
                          ("ls", "--status", "odd"), ("ls", "--format", "xml"),
                          ("ls", "--format", "csv"), ("rounds",)):
            done = self.umbel(*arguments, code=4)
            self.assertTrue(done.stderr.startswith("umbel: "), done.stderr)
            self.assertEqual(done.stdout, "")

    def test_errors_are_json_too(self):
        error = self.json("ls", "--nope", code=4)
        self.assertEqual(error["exit-code"], 4)
        self.assertIn("--nope", error["error"])
        self.assertEqual(self.json("log", 7, code=4)["error"], "run 7: there are no runs yet")

    def test_links_are_refused_by_name(self):
        os.makedirs(self.home)
        error = self.json("run", self.app, "hospitals", code=4)["error"]
        self.assertIn('link "hospitals"', error)
        self.assertIn("no such link profile", error)
        self.umbel("link", "add", "hospitals", "127.0.0.1:1", "--trust", "sha256:" + "a" * 64)
        self.assertEqual([link["name"] for link in self.json("link", "ls")["links"]], ["hospitals"])
        error = self.json("ls", "hospitals", code=2)["error"]
        self.assertIn('link "hospitals" (127.0.0.1:1)', error)
        self.assertIn('did you mean "hospitals"?', self.json("ls", "hospitls", code=4)["error"])
        self.umbel("link", "remove", "hospitals")
        self.assertEqual(self.json("link", "ls")["links"], [])

    def test_the_users_key_is_made_once_and_is_its_owners_alone(self):
        key = self.umbel("key").stdout
        self.assertRegex(key, r"^ed25519:[0-9a-f]{64}\n$")
        self.assertEqual(self.umbel("key").stdout, key)
        self.assertEqual(os.stat(os.path.join(self.home, "user.key")).st_mode & 0o777, 0o600)

    def test_plan_says_bytes_and_minutes(self):
        plan = self.json("plan", "--model-bytes", 75_000_000, "--nodes", 10, "--link", 100)
        self.assertEqual(plan["bytes-down"], 750_000_000)
        self.assertAlmostEqual(plan["minutes"], 0.2)  # 6 s each way, at the node and at the hub
        self.assertIn("--model-bytes", self.json("plan", "--nodes", 1, "--link", 1, code=4)["error"])

    def test_output_that_cannot_be_written_is_said(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([UMBEL, "ls"], env=self.environment, stdout=full,
                                  stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot be written", done.stderr)


class Manifests(Base):
    def test_bad_manifests_name_file_key_and_line_and_leave_no_run(self):
        cases = ((MANIFEST.replace("nodes", "nodez"), 'umbel.toml:12: [simulation] nodez: unknown '
                  'key; did you mean "nodes"?'),
                 (MANIFEST.replace('"fake"', '"Fake App"'), "umbel.toml:2: [app] name"),
                 (MANIFEST.replace("rounds = 3", "rounds ="), "umbel.toml:8: "),
                 (MANIFEST.replace('cmake = "."', 'python = "a.b:c"'), "umbel.toml:6: [entry] python"),
                 ("a" + ".a" * 300000 + "=1", "nested too deeply"),
                 ("#" * (1 << 21), "limit"))
        for text, message in cases:
            self.write_manifest(text)
            self.assertIn(message, self.json("run", self.app, code=4)["error"])
        os.remove(os.path.join(self.app, "umbel.toml"))
        self.assertIn("no such file", self.json("run", self.app, code=4)["error"])
        self.assertEqual(self.json("ls")["runs"], [])

    def test_bad_overrides_are_found_before_the_run(self):
        for argument, message in (("rouds=1", 'did you mean "rounds"?'),
                                  ("rounds=x", "expected an integer, as 3 in umbel.toml:8"),
                                  ("rounds", "expected KEY=VALUE")):
            error = self.json("run", self.app, "--no-build", "--run-config", argument, code=4)
            self.assertIn(message, error["error"])
        self.assertEqual(self.json("ls")["runs"], [])


class Runs(Base):
    def test_a_run_gives_its_result_and_is_remembered(self):
        run = self.run_fake("good", "--seed", 9, "--nodes", 50, "--threads", 2)
        self.assertEqual(run["run-id"], 1)
        self.assertEqual(run["status"], "completed")
        self.assertEqual((run["rounds"], run["clients"], run["failures"]), (3, 30, 3))
        self.assertEqual((run["seed"], run["nodes"], run["threads"]), (9, 50, 2))
        self.assertEqual((run["bytes-down"], run["bytes-up"]), (3000, 1500))
        self.assertEqual(run["metrics"], {"accuracy": 0.75, "loss": 0.5})
        self.assertEqual(run["model-sha256"], hashlib.sha256(b"a model" * 1000).hexdigest())
        self.assertEqual(run["failure-reasons"], {"client-failed": 3})
        self.assertIsNone(run["error"])
        self.assertEqual(run["seconds"], 0.5)
        page = read(run["report"])
        self.assertIn("How the data differ", page)
        self.assertNotIn("<b>&\x1b", page)
        lenses = run.pop("lenses")
        self.assertEqual(list(lenses), ["bandwidth", "latency", "efficiency", "reliability", "privacy"])
        self.assertEqual((lenses["reliability"]["counted"], lenses["reliability"]["failed"]), (30, 3))
        self.assertEqual(lenses["efficiency"]["clients-per-second"], 60)
        self.assertGreater(lenses["efficiency"]["cpu-seconds"], 0)
        for lens in lenses.values():
            self.assertIn(lens["text"], page)
        listed = self.json("ls")["runs"]
        self.assertEqual(listed, [run])
        self.assert_history_intact()

    def test_plain_output_has_a_line_a_round_and_a_summary(self):
        done = self.umbel("run", self.app, "--no-build", "--curve", "--stream")
        self.assertIn("run 1: fake 0.1.0, 100 nodes, seed 1\n", done.stdout)
        self.assertIn("round 2/3 loss 0.500 accuracy 0.667 clients 10 (1 failed) 1,000 clients/s "
                      "0.01s", done.stdout)
        self.assertIn("[client 3] warn: client says hello", done.stdout)
        self.assertIn("run 1: completed", done.stdout)
        self.assertIn("3 failed (3 client-failed)\n  failures    3 x client-failed, first: client 3: "
                      "<i>boom\n  why         umbel log 1\n", done.stdout)
        self.assertIn("⠁", done.stdout.replace("⡇", "⠁").replace("⠉", "⠁"))
        self.assertNotIn("\x1b", done.stdout)
        self.assertEqual(done.stderr, "")
        ascii_only = dict(self.environment, LC_ALL="C")
        plain = subprocess.run([UMBEL, "run", self.app, "--no-build", "--curve"], env=ascii_only,
                               capture_output=True)
        self.assertTrue(plain.stdout.isascii())

    def test_a_run_that_ends_early_says_why(self):
        run = self.run_fake("target")
        self.assertEqual(run["reason"], "accuracy reached 0.806, target 0.8")
        self.assertEqual((run["rounds"], run["rounds-planned"]), (3, 30))
        self.assertEqual(run["metrics"]["federated-loss"], 0.5)
        page = read(run["report"])
        self.assertIn("accuracy reached 0.806, target 0.8", page)
        self.assertIn("&lt;i&gt;boom", page)
        done = self.umbel("run", self.app, "--no-build", "--run-config", "behaviour=target")
        self.assertIn("rounds      3 of 30 in 0.50s: accuracy reached 0.806, target 0.8", done.stdout)
        self.assertIn("metrics     accuracy 0.750, loss 0.500, train-num-examples 60\n", done.stdout)
        self.assertIsNone(self.run_fake("good")["reason"])

    def test_the_app_is_told_what_the_protocol_says(self):
        self.run_fake("spec", "--run-config", "rate=2 rounds=1", "--seed", 5)
        lines = [line["message"] for line in self.json("log", 1, "--side", "app")["lines"]]
        spec = json.loads(next(line for line in lines if line.startswith("{")))
        self.assertEqual(spec["version"], 1)
        self.assertEqual((spec["run-id"], spec["seed"], spec["nodes"]), (1, 5, 100))
        self.assertEqual(spec["output"], os.path.join(self.home, "runs", "1"))
        self.assertEqual(spec["app"], {"name": "fake", "version": "0.1.0", "publisher": "example",
                                       "path": self.app})
        self.assertEqual(spec["run-config"], [
            {"key": "rounds", "value": 1, "origin": "--run-config"},
            {"key": "behaviour", "value": "spec", "origin": "--run-config"},
            {"key": "rate", "value": 2.0, "origin": "--run-config"}])
        self.assertTrue(any('"value":2.0' in line for line in lines))

    def test_failures_have_their_reason_and_exit_code(self):
        for behaviour, code, message in (
                ("config-error", 4, "has to be positive"),
                ("user-error", 1, "the server app threw: boom"),
                ("exit-3", 1, "ended with exit code 3"),
                ("kill-9", 1, "was ended by signal 9"),
                ("malformed", 1, 'the app\'s event 5: expected a JSON object with "event"'),
                ("bad-artifact", 1, "expected a plain file name")):
            run = self.run_fake(behaviour, code=code)
            self.assertEqual(run["status"], "failed", behaviour)
            self.assertEqual(run["exit-code"], code)
            self.assertIn(message, run["error"])
        self.assertEqual(len(self.json("ls", "--status", "failed")["runs"]), 6)
        self.assertEqual(self.json("ls", "--status", "completed")["runs"], [])
        self.assert_history_intact()

    def test_a_run_that_never_began_shows_why_and_nothing_else(self):
        done = self.umbel("run", self.app, "--no-build", "--run-config", "behaviour=config-error", code=4)
        self.assertTrue(done.stdout.endswith("run 1: failed: learning-rate: has to be positive\n"
                                             "  log         umbel log 1\n"), done.stdout)

    def test_a_missing_program_is_named(self):
        os.remove(os.path.join(self.app, "build", "fake"))
        error = self.json("run", self.app, "--no-build", code=4)["error"]
        self.assertIn(os.path.join(self.app, "build", "fake"), error)

    def test_a_program_that_cannot_start_is_a_failed_run(self):
        program = os.path.join(self.app, "build", "fake")
        with open(program, "w") as file:
            file.write("#!/no/such/interpreter\n")
        os.chmod(program, 0o755)
        run = self.json("run", self.app, "--no-build", code=1)
        self.assertEqual(run["status"], "failed")
        self.assertIn("cannot start it", run["error"])

    def test_no_report_is_written_where_none_is_wanted(self):
        run = self.run_fake("good", "--no-report")
        self.assertIsNone(run["report"])
        self.assertFalse(os.path.exists(os.path.join(run["folder"], "report.html")))

    def test_concurrent_runs_do_not_disturb_each_other(self):
        arguments = [UMBEL, "run", self.app, "--no-build", "--format", "json", "--run-config",
                     "rounds=40"]
        processes = [subprocess.Popen(arguments, env=self.environment, stdout=subprocess.PIPE,
                                      stderr=subprocess.DEVNULL, text=True) for _ in range(6)]
        runs = [json.loads(process.communicate()[0]) for process in processes]
        self.assertEqual(sorted(run["run-id"] for run in runs), [1, 2, 3, 4, 5, 6])
        self.assertTrue(all(run["status"] == "completed" for run in runs))
        self.assertEqual(len(self.json("ls")["runs"]), 6)
        self.assert_history_intact()


class Signals(Base):
    def stop_with(self, behaviour, number, code, **checks):
        process, run = self.start_fake(behaviour)
        app = int(read(os.path.join(run["folder"], "waiting")))
        process.send_signal(number)
        out, _ = process.communicate(timeout=30)
        self.assertEqual(process.returncode, code)
        result = json.loads(out)
        self.assertEqual(result["status"], "stopped")
        self.assertEqual(result["rounds"], checks.get("rounds", 1))
        self.assertFalse(os.path.exists(f"/proc/{app}"))
        self.assertEqual(self.json("ls", "--limit", 1)["runs"][0]["status"], "stopped")
        self.assert_history_intact()

    def test_interrupt_and_terminate_stop_the_run(self):
        self.stop_with("wait", signal.SIGINT, 130)
        self.stop_with("wait", signal.SIGTERM, 143)
        self.stop_with("wait-polite", signal.SIGINT, 130, rounds=3)

    def test_a_second_interrupt_ends_a_stubborn_app_at_once(self):
        process, run = self.start_fake("wait-stubborn")
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
        self.assertLess(time.monotonic() - started, 4)
        self.assertEqual(process.returncode, 130)
        self.assertIn("was killed", json.loads(out)["error"])

    def test_stop_ends_a_run_even_if_its_app_is_stubborn(self):
        process, run = self.start_fake("wait-stubborn")
        stopped = self.json("stop", run["run-id"])
        self.assertEqual(stopped["status"], "stopped")
        process.communicate(timeout=5)
        self.assertEqual(process.returncode, 143)
        self.assertIn("not running", self.json("stop", run["run-id"], code=4)["error"])

    def test_a_killed_umbel_leaves_an_interrupted_run_and_no_app(self):
        process, run = self.start_fake("wait")
        app = int(read(os.path.join(run["folder"], "waiting")))
        process.kill()
        process.wait()
        listed = self.json("ls")["runs"][0]
        self.assertEqual(listed["status"], "failed")
        self.assertIn("interrupted", listed["error"])
        deadline = time.monotonic() + 5
        while os.path.exists(f"/proc/{app}") and time.monotonic() < deadline:
            if read(f"/proc/{app}/stat").split()[2] == "Z":
                break
            time.sleep(0.01)
        else:
            self.assertFalse(os.path.exists(f"/proc/{app}"))
        self.assertIn("interrupted", read(self.json("report", 1)["report"]))
        self.assert_history_intact()


class Rounds(Base):
    def test_json_has_every_metric_by_the_names_that_apps_use(self):
        self.run_fake()
        history = self.json("rounds", 1)
        self.assertEqual((history["run-id"], len(history["rounds"])), (1, 3))
        second = history["rounds"][1]
        self.assertEqual({name: second[name] for name in ("round", "seconds", "clients", "failures",
                                                          "bytes-down", "bytes-up")},
                         {"round": 2, "seconds": 0.01, "clients": 10, "failures": 1,
                          "bytes-down": 1000, "bytes-up": 500})
        self.assertEqual(second["metrics"], {"accuracy": 1 - 1 / 3, "federated-accuracy": 1 - 1 / 3,
                                             "loss": 0.5, "train-loss": 1})
        self.assertEqual(second["failure-samples"],
                         [{"node": 3, "kind": "client-failed", "reason": "<i>boom"}])

    def test_csv_has_a_column_for_each_and_numbers_in_full(self):
        self.run_fake()
        rows = list(csv.DictReader(io.StringIO(self.umbel("rounds", 1, "--format", "csv").stdout)))
        self.assertEqual(list(rows[0]), ["round", "seconds", "clients", "failures", "bytes-down",
                                         "bytes-up", "accuracy", "loss", "federated-accuracy",
                                         "train-loss"])
        self.assertEqual([float(row["accuracy"]) for row in rows], [1 - 1 / 2, 1 - 1 / 3, 1 - 1 / 4])
        self.assertEqual([row["round"] for row in rows], ["1", "2", "3"])

    def test_text_says_nothing_twice(self):
        self.run_fake()
        lines = self.umbel("rounds", 1).stdout.splitlines()
        self.assertEqual(lines[0].split(), ["ROUND", "TIME", "CLIENTS", "FAILED", "DOWN", "UP",
                                            "accuracy", "loss", "train-loss"])
        self.assertEqual(lines[2].split(), ["2", "0.01s", "10", "1", "1000", "bytes", "500",
                                            "bytes", "0.667", "0.500", "1.000"])
        self.run_fake("user-error", code=1)
        self.assertEqual(self.umbel("rounds", 2).stdout, "run 2: no round was finished\n")
        self.assertEqual(self.json("rounds", 2)["rounds"], [])
        self.assertIn("no such run", self.umbel("rounds", 9, code=4).stderr)


class Logs(Base):
    def test_a_run_that_logged_nothing_says_so(self):
        self.run_fake("silent", code=1)
        done = self.umbel("log", 1)
        self.assertEqual((done.stdout, done.stderr), ("", "umbel: run 1 logged nothing\n"))
        self.assertEqual(self.umbel("log", 1, "--side", "client").stderr,
                         "umbel: run 1 logged nothing as client\n")

    def test_log_has_every_side(self):
        self.run_fake()
        log = self.json("log", 1)
        self.assertEqual((log["run-id"], log["dropped"]), (1, 0))
        said = {(line["side"], line["message"]) for line in log["lines"]}
        self.assertIn(("server", "server says hello"), said)
        self.assertIn(("client", "client says hello"), said)
        self.assertIn(("app", "printed by the app"), said)
        self.assertIn(("app", "complained by the app"), said)
        client = self.json("log", 1, "--side", "client")["lines"]
        self.assertEqual([(line["node"], line["level"]) for line in client], [(3, "warn")])
        self.assertEqual(len(self.json("log", 1, "--limit", 2)["lines"]), 2)
        self.assertEqual(self.umbel("log", 1, "--side", "server").stdout,
                         "[server] server says hello\n")

    def test_a_flood_of_lines_is_kept_in_order(self):
        self.run_fake("chatty")
        lines = [line["message"] for line in self.json("log", 1, "--side", "app")["lines"]]
        flood = [line for line in lines if line.startswith("xxx")]
        self.assertEqual(flood, ["x" * 1000 + str(i) for i in range(2000)])

    def test_without_a_number_the_latest_run_is_meant(self):
        for command in ("log", "rounds", "report", "pull", "stop"):
            self.assertIn("there is no run", self.umbel(command, code=4).stderr)
        self.run_fake("good")
        self.run_fake("good", "--run-config", "rounds=1")
        for command in ("log", "rounds", "report"):
            done = self.umbel(command, "--format", "json")
            self.assertEqual(json.loads(done.stdout)["run-id"], 2)
            self.assertTrue(done.stderr.startswith("umbel: run 2, the latest (fake, completed)\n"))
        self.assertEqual(self.json("pull", "--to", os.path.join(self.root, "to"))["run-id"], 2)
        self.assertEqual(len(self.json("rounds", 1)["rounds"]), 3)
        self.assertIn("no run that is running", self.umbel("stop", code=4).stderr)
        process, run = self.start_fake("wait")
        self.run_fake("good")
        self.assertEqual(self.json("stop")["run-id"], run["run-id"])
        self.assertEqual(process.wait(20), 143)

    def test_follow_sees_lines_of_a_running_run_and_ends_with_it(self):
        process, run = self.start_fake("wait")
        follow = subprocess.Popen([UMBEL, "log", str(run["run-id"]), "--follow"],
                                  env=self.environment, stdout=subprocess.PIPE, text=True)
        said = [follow.stdout.readline() for _ in range(4)]  # events and output: in any order
        self.assertIn("[server] server says hello\n", said)
        self.assertIsNone(follow.poll())
        process.send_signal(signal.SIGTERM)
        follow.communicate(timeout=30)
        self.assertEqual(follow.returncode, 0)

    def test_follow_ends_on_interrupt_and_leaves_the_run_alone(self):
        process, run = self.start_fake("wait")
        follow = subprocess.Popen([UMBEL, "log", str(run["run-id"]), "-f"], env=self.environment,
                                  stdout=subprocess.PIPE, text=True)
        follow.stdout.readline()
        follow.send_signal(signal.SIGINT)
        follow.communicate(timeout=30)
        self.assertEqual(follow.returncode, 130)
        self.assertEqual(self.json("ls")["runs"][0]["status"], "running")


class Lists(Base):
    def test_table_and_filters(self):
        self.assertEqual(self.umbel("ls").stdout, "no runs\n")
        self.assertFalse(os.path.exists(self.home))
        for _ in range(3):
            self.run_fake("good", "--no-report")
        self.run_fake("user-error", "--no-report", code=1)
        lines = self.umbel("ls").stdout.splitlines()
        self.assertEqual(lines[0].split(),
                         ["RUN", "APP", "STATUS", "ROUND", "AGE", "TIME", "METRIC", "NODES"])
        self.assertEqual(lines[2].split()[:4], ["3", "fake", "completed", "3"])
        self.assertEqual(lines[2].split()[5:], ["0.50s", "accuracy", "0.750", "100"])
        self.assertIn("the server app threw: boom", lines[1])
        self.assertEqual(len(self.umbel("ls", "--limit", 2).stdout.splitlines()), 3)
        self.assertEqual(len(self.json("ls", "--status", "completed")["runs"]), 3)
        self.assertEqual(self.json("ls", "--app", "other")["runs"], [])


class Pulls(Base):
    def test_artifacts_are_copied_whole_and_never_over_others(self):
        run = self.run_fake()
        pulled = self.json("pull", 1)
        path = os.path.join(self.root, "run-1", "model.safetensors")
        self.assertEqual(pulled["artifacts"], [
            {"path": path, "bytes": 7000, "sha256": run["model-sha256"]}])
        self.assertEqual(read_bytes(path), b"a model" * 1000)
        self.assertIn("--force", self.json("pull", 1, code=4)["error"])
        with open(path, "w") as file:
            file.write("mine")
        self.umbel("pull", 1, code=4)
        self.assertEqual(read(path), "mine")
        self.umbel("pull", 1, "--force")
        self.umbel("pull", 1, "--to", os.path.join(self.root, "a", "b"))
        self.assertEqual(os.listdir(os.path.join(self.root, "a", "b")), ["model.safetensors"])

    def test_a_changed_artifact_is_refused(self):
        run = self.run_fake()
        with open(os.path.join(run["folder"], "model.safetensors"), "ab") as file:
            file.write(b"!")
        self.assertIn("changed since", self.json("pull", 1, code=1)["error"])
        self.assertEqual(os.listdir(os.path.join(self.root, "run-1")), [])

    def test_a_run_without_artifacts_says_so(self):
        self.run_fake("user-error", code=1)
        self.assertIn("no artifacts", self.json("pull", 1, code=4)["error"])


class Reports(Base):
    def test_report_is_made_again_from_history(self):
        run = self.run_fake("good", "--no-report")
        made = self.json("report", 1)
        self.assertEqual(made["report"], os.path.join(run["folder"], "report.html"))
        self.assertEqual(self.json("ls")["runs"][0]["report"], made["report"])
        other = os.path.join(self.root, "other.html")
        self.assertEqual(self.umbel("report", 1, "-o", other).stdout, other + "\n")
        self.assertEqual(read(other), read(made["report"]))
        missing = os.path.join(self.root, "missing", "x.html")
        self.assertIn("missing", self.json("report", 1, "-o", missing, code=1)["error"])


class Flood(Base):
    def test_what_an_app_prints_is_kept_up_to_a_limit_and_a_line_says_so(self):
        self.run_fake("flood", "--no-report")
        lines = self.json("log", 1, "--side", "app", "--limit", 3)["lines"]
        self.assertEqual(lines[0]["message"], "x" * 16383)
        self.assertEqual(lines[-1]["message"],
                         "more than 64 MiB of output: the rest is dropped; context.log() is not")
        self.assertEqual(lines[-1]["level"], "error")
        self.assertLess(os.path.getsize(os.path.join(self.home, "history.db")), 200 << 20)


class FullDisk(Base):
    def test_the_result_is_still_printed_and_history_stays_whole(self):
        self.run_fake("good", "--no-report")

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        done = self.umbel("run", self.app, "--no-build", "--format", "json", "--run-config",
                          "behaviour=chatty rounds=30", code=1, preexec_fn=limit)
        run = json.loads(done.stdout)
        self.assertEqual((run["status"], run["rounds"], run["exit-code"]), ("completed", 30, 1))
        self.assertIn("history.db", run["error"])
        self.assertIn("cannot be kept", done.stderr)
        self.assert_history_intact()
        self.assertEqual(self.json("ls")["runs"][1]["status"], "completed")
        self.assertIn(self.json("ls")["runs"][0]["status"], ("completed", "failed"))
        leftovers = [name for name in os.listdir(run["folder"]) if "tmp" in name]
        self.assertEqual(leftovers, [])

    def test_no_run_starts_where_history_cannot_be(self):
        with open(self.home, "w") as file:
            file.write("a file where the folder should be")
        self.assertIn("cannot make this folder", self.run_fake(code=1)["error"])


class Terminal(Base):
    def test_the_live_line_has_what_people_watch_and_is_taken_away(self):
        controller, terminal = pty.openpty()
        process = subprocess.Popen([UMBEL, "run", self.app, "--no-build", "--run-config",
                                    "rounds=20"], env=self.environment, stdout=terminal,
                                   stderr=terminal, stdin=terminal)
        os.close(terminal)
        seen = b""
        while select.select([controller], [], [], 20)[0]:
            try:
                seen += os.read(controller, 65536)
            except OSError:  # the other end is closed
                break
        os.close(controller)
        self.assertEqual(process.wait(), 0)
        text = seen.decode()
        self.assertRegex(text, r"\rround \d+/20 \[[#-]{10}\] loss [0-9.]+ accuracy [0-9.]+")
        self.assertIn("left\x1b[K", text)
        self.assertIn("accuracy\r\n", text)  # the curve's name
        after = text[text.rindex("\x1b[K"):]
        self.assertIn("run 1: completed", after)


class NewAndBuild(Base):
    def test_new_makes_an_app_of_every_template(self):
        error = self.umbel("new", "x", code=4).stderr
        self.assertIn("--template is missing", error)
        templates = error.strip().split("there are: ")[1].split(", ")
        self.assertTrue(templates)
        for template in templates:
            name = f"made-{template}"
            made = self.json("new", name, "--template", template, "--publisher", "acme")
            self.assertEqual(made["directory"], os.path.join(self.root, name))
            folder = os.path.join(self.root, name)
            manifests = [n for n in ("umbel.toml", "pyproject.toml") if n in os.listdir(folder)]
            self.assertEqual(len(manifests), 1, template)
            manifest = read(os.path.join(folder, manifests[0]))
            self.assertIn(f'"{name}"', manifest)
            self.assertIn('"acme"', manifest)
            for folder, _, files in os.walk(os.path.join(self.root, name)):
                for file in files:
                    text = read(os.path.join(folder, file))
                    self.assertNotIn("@APP_NAME@", text)
                    self.assertNotIn("@PUBLISHER@", text)
        self.assertEqual([n for n in os.listdir(self.root) if "tmp" in n], [])

    def test_new_refuses_and_writes_nothing(self):
        template = self.umbel("new", "x", code=4).stderr.split("there are: ")[1].split(",")[0].strip()
        before = sorted(os.listdir(self.root))
        for arguments, message in ((("new",), "NAME is missing"),
                                   (("new", "Bad Name", "-t", template), 'name "Bad Name"'),
                                   (("new", "x", "-t", template + "x"), "did you mean"),
                                   (("new", "x", "-t", "zzzz"), "there are:"),
                                   (("new", "x", "-t", template, "-d", self.app), "not empty")):
            self.assertIn(message, self.umbel(*arguments, code=4).stderr)
        self.assertEqual(sorted(os.listdir(self.root)), before)

    def test_new_into_an_empty_folder_is_fine(self):
        template = self.umbel("new", "x", code=4).stderr.split("there are: ")[1].split(",")[0].strip()
        os.makedirs(os.path.join(self.root, "empty"))
        self.umbel("new", "x", "-t", template, "-d", "empty")
        self.assertIn("umbel.toml", os.listdir(os.path.join(self.root, "empty")))

    def test_new_asks_on_a_terminal(self):
        controller, terminal = pty.openpty()
        process = subprocess.Popen([UMBEL, "new"], env=self.environment, cwd=self.root,
                                   stdin=terminal, stdout=terminal, stderr=terminal)
        os.close(terminal)
        os.write(controller, b"Not A Name\nasked\nno-such-template\n\n")
        seen = b""
        while select.select([controller], [], [], 20)[0]:
            try:
                seen += os.read(controller, 65536)
            except OSError:
                break
        os.close(controller)
        self.assertEqual(process.wait(), 0, seen)
        self.assertIn(b"umbel run asked", seen)
        self.assertTrue(os.path.exists(os.path.join(self.root, "asked", "umbel.toml")))

    def write_app(self, main):
        shutil.rmtree(os.path.join(self.app, "build"), ignore_errors=True)
        with open(os.path.join(self.app, "CMakeLists.txt"), "w") as file:
            file.write("cmake_minimum_required(VERSION 3.20)\nproject(fake LANGUAGES C)\n"
                       "add_executable(fake main.c)\n")
        with open(os.path.join(self.app, "main.c"), "w") as file:
            file.write(main)

    def test_build_compiles_once_and_then_only_what_changed(self):
        self.write_app("int main(void) { return 0; }\n")
        program = self.json("build", self.app)["program"]
        self.assertEqual(program, os.path.join(self.app, "build", "fake"))
        stamp = os.stat(program).st_mtime_ns
        started = time.monotonic()
        self.assertEqual(self.umbel("build", self.app).stderr, "")
        self.assertLess(time.monotonic() - started, 2)
        self.assertEqual(os.stat(program).st_mtime_ns, stamp)
        moved = os.path.join(self.root, "moved")
        shutil.move(self.app, moved)
        done = self.umbel("build", moved)
        self.assertEqual(done.stderr, "building fake ...\n")
        said = done.stdout.split("\n")
        self.assertEqual(said[0], os.path.join(moved, "build", "fake"))
        self.assertRegex(said[1], os.path.join(moved, "build", r"fake-[0-9.]+\.umbel"))

    def test_a_bundle_is_the_same_wherever_it_was_made(self):
        self.write_app("int main(void) { return 0; }\n")
        first = self.json("build", self.app)
        with open(first["bundle"], "rb") as file:
            self.assertEqual(hashlib.sha256(file.read()).hexdigest(), first["sha256"])
        self.assertEqual(first["publisher-key"], self.umbel("key").stdout.strip())
        os.utime(os.path.join(self.app, "umbel.toml"), (1, 1))
        self.assertEqual(self.json("build", self.app)["sha256"], first["sha256"])
        with open(os.path.join(self.app, "server.pem"), "w") as file:
            file.write("x")
        self.assertIn("server.pem", self.json("build", self.app, code=4)["error"])

    def test_what_is_compiled_anew_is_said_unless_a_program_reads(self):
        self.write_app("int main(void) { return 0; }\n")
        self.assertEqual(self.umbel("build", self.app, "--format", "json").stderr, "")
        for _ in range(2):
            with open(os.path.join(self.app, "main.c"), "a") as file:
                file.write("/* more */\n")
            self.assertEqual(self.umbel("build", self.app).stderr, "building fake ...\n")

    def test_data_in_a_bundle_is_named(self):
        self.write_app("int main(void) { return 0; }\n")
        self.assertNotIn("data-like", self.umbel("build", self.app).stdout)
        for name, text in (("patients.csv", "x" * 3072), ("model.npz", "x")):
            with open(os.path.join(self.app, name), "w") as file:
                file.write(text)
        said = self.umbel("build", self.app).stdout
        self.assertIn("the bundle has data-like files: model.npz (1 bytes), patients.csv (3.0 KiB): "
                      "they go to the hub and to every node", said)
        with open(os.path.join(self.app, ".umbelignore"), "w") as file:
            file.write("*.csv\nmodel.npz\n")
        self.assertNotIn("data-like", self.umbel("build", self.app).stdout)

    def test_code_that_does_not_compile_is_shown_and_is_no_run(self):
        self.write_app("int main(void) { return undeclared_name; }\n")
        error = self.json("run", self.app, code=1)["error"]
        self.assertIn("undeclared_name", error)
        self.assertIn("umbel-build.log", error)
        self.assertEqual(self.json("ls")["runs"], [])

    def test_a_missing_cmake_says_what_to_install(self):
        self.write_app("int main(void) { return 0; }\n")
        self.environment["PATH"] = "/nowhere"
        self.assertIn("apt install cmake", self.json("build", self.app, code=4)["error"])

    def test_builds_of_one_app_wait_for_each_other(self):
        self.write_app("int main(void) { return 0; }\n")
        builds = [subprocess.Popen([UMBEL, "build", self.app], env=self.environment,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                  for _ in range(3)]
        for build in builds:
            out, _ = build.communicate(timeout=60)
            self.assertEqual(build.returncode, 0, out)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])

#!/usr/bin/python3
"""Real apps, built and run as a user would: federation_test.py PATH_OF_UMBEL [unittest arguments]."""

import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

UMBEL = os.path.abspath(sys.argv[1])
ROOT = pathlib.Path(__file__).resolve().parents[2]


class Apps(unittest.TestCase):
    """A folder for all tests of a class, and the apps built in it once."""

    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.mkdtemp(prefix="umbel-federation-")
        cls.addClassCleanup(shutil.rmtree, cls.root, ignore_errors=True)
        cls.environment = dict(os.environ, UMBEL_HOME=f"{cls.root}/home", LC_ALL="C.UTF-8")

    @classmethod
    def copy(cls, source):
        """A copy of an app of the repository, built."""
        app = f"{cls.root}/{source.name}"
        shutil.copytree(source, app)
        cls.umbel("build", app)
        return app

    @classmethod
    def umbel(cls, *arguments, code=0):
        """Runs umbel with --format json; returns its JSON object and what it said on stderr."""
        done = subprocess.run([UMBEL, *arguments, "--format", "json"], env=cls.environment, text=True,
                              capture_output=True, timeout=300, stdin=subprocess.DEVNULL)
        if done.returncode != code:
            raise AssertionError(f"{arguments}: exit code {done.returncode}, expected {code}\n{done.stdout}{done.stderr}")
        return json.loads(done.stdout.splitlines()[-1]), done.stderr

    @classmethod
    def run_app(cls, app, config="", *arguments, code=0):
        return cls.umbel("run", app, *(["--run-config", config] if config else []), *arguments, code=code)


class TemplateTest(Apps):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.app = f"{cls.root}/quickstart"
        cls.umbel("new", "quickstart", "--template", "cpp", "--directory", cls.app)
        cls.umbel("build", cls.app)

    def test_same_seed_gives_same_bytes_on_any_number_of_threads(self):
        hashes = {threads: self.run_app(self.app, "rounds=3", "--threads", str(threads))[0]["model-sha256"]
                  for threads in (1, 2, 5)}
        self.assertEqual(len(set(hashes.values())), 1, hashes)
        other, _ = self.run_app(self.app, "rounds=3", "--seed", "2")
        self.assertNotIn(other["model-sha256"], hashes.values())

    def test_result_has_what_scripts_rely_on(self):
        result, _ = self.run_app(self.app, "rounds=2")
        self.assertEqual((result["status"], result["rounds"], result["clients"], result["failures"]),
                         ("completed", 2, 200, 0))
        self.assertGreater(result["metrics"]["accuracy"], 0.3)
        self.assertRegex(result["model-sha256"], "^[0-9a-f]{64}$")
        self.assertTrue(os.path.exists(result["report"]))
        # Two epochs of 60 examples in batches of 20.
        self.assertEqual(result["metrics"]["train-steps"], 6)

    def test_population_beyond_the_data_runs(self):
        result, _ = self.run_app(self.app, "rounds=1", "--nodes", "100000000")
        self.assertEqual((result["status"], result["nodes"]), ("completed", 10**8))

    def test_settings_that_make_no_sense_are_errors_before_the_first_round(self):
        for setting, words in [("learning-rate=-1.0", ["learning-rate", "--run-config"]),
                               ("rounds=0", ["rounds"]),
                               ("clients-per-round=0", ["clients-per-round"]),
                               ("batch-size=0", ["batch-size"]),
                               ("dirichlet-alpha=0.0", ["dirichlet-alpha"])]:
            result, _ = self.run_app(self.app, setting, code=4)
            self.assertEqual(result.get("rounds", 0), 0)
            for word in words:
                self.assertIn(word, result["error"])

    def test_app_has_no_networking_code(self):
        text = (pathlib.Path(self.app) / "main.cc").read_text() + (pathlib.Path(self.app) / "mlp.h").read_text()
        self.assertIsNone(re.search(r"socket|http|grpc|asio|connect\(|serialize", text, re.IGNORECASE))

    def test_interrupted_run_ends_cleanly(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            with subprocess.Popen([UMBEL, "run", self.app, "--run-config", "rounds=100000", "--format", "json"],
                                  env=self.environment, text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
                for line in process.stderr:
                    if "accuracy" in line:
                        break
                process.send_signal(number)
                output, _ = process.communicate(timeout=30)
            self.assertEqual(process.returncode, code)
            result = json.loads(output.splitlines()[-1])
            self.assertEqual(result["status"], "stopped")
            self.assertGreaterEqual(result["rounds"], 1)
            self.assertEqual([name for name in os.listdir(os.path.dirname(result["report"])) if ".tmp-" in name], [])
            listed, _ = self.umbel("ls", "--status", "stopped")
            self.assertIn(result["run-id"], [run["run-id"] for run in listed["runs"]])


class TroubleTest(Apps):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.app = cls.copy(ROOT / "tests" / "e2e" / "trouble")

    def trouble(self, kind, *arguments, code=0, more=""):
        return self.run_app(self.app, f"trouble='{kind}' {more}", *arguments, code=code)

    def test_clients_that_misbehave_are_counted_and_named_and_the_rest_counts(self):
        sound, _ = self.run_app(self.app, "")
        for kind, reason, words in [
                ("throw", "client-failed", "the data of this client cannot be read"),
                ("throw-int", "client-failed", "not a std::exception"),
                ("nan", "bad-reply", 'array "w": element 5 is nan'),
                ("infinity", "bad-reply", "element 5 is inf"),
                ("shape", "bad-reply", "float32[65], the round expects float32[64]"),
                ("dtype", "bad-reply", "float64[64], the round expects float32[64]"),
                ("other-model", "bad-reply", "conv1.weight"),
                ("no-arrays", "bad-reply", "no arrays"),
                ("not-a-reply", "bad-reply", "message.reply"),
                ("zero-examples", "bad-reply", '"num-examples" is 0'),
                ("negative-examples", "bad-reply", '"num-examples" is -3'),
                ("no-examples", "bad-reply", '"num-examples" is missing'),
                ("nan-loss", "bad-reply", '"loss" is nan')]:
            with self.subTest(kind):
                result, _ = self.trouble(kind)
                self.assertEqual((result["status"], result["clients"], result["failures"]), ("completed", 24, 6))
                self.assertEqual(result["failure-reasons"], {reason: 6})
                log = self.log(result["run-id"])
                self.assertIn(words, log)
                self.assertIn("client 0", log)
                # The two left out have mean values, too: the model is that of all.
                self.assertEqual(result["model-sha256"], sound["model-sha256"])

    def log(self, run):
        return subprocess.run([UMBEL, "log", str(run)], env=self.environment, text=True, check=True,
                              capture_output=True).stdout

    def test_client_that_hangs_is_left_behind_at_the_deadline(self):
        start = time.monotonic()
        result, _ = self.trouble("hang", "--threads", "2", more="deadline=0.5 rounds=2")
        self.assertEqual((result["status"], result["failures"]), ("completed", 4))
        self.assertEqual(result["failure-reasons"], {"deadline": 4})
        self.assertLess(time.monotonic() - start, 20)

    def test_run_that_hangs_can_be_stopped(self):
        with subprocess.Popen([UMBEL, "run", self.app, "--run-config", "trouble='hang' troubled=10", "--format",
                               "json"], env=self.environment, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
            process.stderr.readline()
            time.sleep(1)
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130)
        self.assertEqual(json.loads(output.splitlines()[-1])["status"], "stopped")

    def test_run_fails_with_the_cause_when_every_client_fails(self):
        result, _ = self.trouble("throw", code=1, more="troubled=10")
        self.assertEqual(result["status"], "failed")
        self.assertEqual(result["clients"], 0)
        self.assertIn("the data of this client cannot be read", self.log(result["run-id"]))

    def test_updates_and_client_metrics_are_kept_nowhere(self):
        self.run_app(self.app, "", "--stream")
        update = [struct.pack("<f", 1234.5) * 4, struct.pack("<f", 1234.75) * 4]
        # As text, in memory's order, and in the order in which SQLite stores reals.
        encodings = lambda x: [str(x).encode(), struct.pack("<d", x), struct.pack(">d", x)]
        metric = encodings(777.25) + encodings(778.25)
        mean = struct.pack("<f", 1234.625) * 4
        seen_mean = seen_metric = False
        for folder, _, names in os.walk(self.environment["UMBEL_HOME"]):
            for name in names:
                data = pathlib.Path(folder, name).read_bytes()
                seen_mean |= mean in data
                seen_metric |= any(form in data for form in encodings(777.75))
                for canary in update + metric:
                    self.assertNotIn(canary, data, f"{folder}/{name}")
        self.assertTrue(seen_mean, "the mean, the finished model, is kept")
        self.assertTrue(seen_metric, "the mean of the clients' metrics is kept, so the search finds metrics")


class ExamplesTest(Apps):
    def test_linear_regression_by_hand_finds_the_answer(self):
        result, _ = self.run_app(self.copy(ROOT / "examples" / "linear"))
        self.assertEqual((result["status"], result["nodes"]), ("completed", 100000))
        self.assertLess(result["metrics"]["distance"], 0.03)

    def test_median_of_single_replies_withstands_outliers(self):
        app = self.copy(ROOT / "examples" / "median")
        result, _ = self.run_app(app)
        pulled = f"{self.root}/pulled"
        self.umbel("pull", str(result["run-id"]), "--to", pulled)
        data = pathlib.Path(pulled, "median.safetensors").read_bytes()
        self.assertAlmostEqual(struct.unpack("<d", data[-8:])[0], 20, delta=2)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)

#!/usr/bin/python3
"""The doctor and the twin on real runs: doctor_test.py UMBEL.

Ten clients, of which each has the images of one label, and of which two train in a round: plain
averaging stalls, and the doctor says so; averaging with a memory (FedAvgM) gets further.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
UMBEL = None
ROUNDS = 80


class DoctorTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="umbel-doctor-"))
        cls.environment = dict(os.environ, UMBEL_HOME=str(cls.folder / "home"))
        cls.umbel(cls, "new", "drift", "--template", "cpp", "--publisher", "acme")
        for file in ("main.cc", "umbel.toml"):
            shutil.copy(HERE / "drift" / file, cls.folder / "drift" / file)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def umbel(self, *arguments, expected=0):
        """Runs `umbel`; the JSON object that it ends with."""
        done = subprocess.run([UMBEL, *arguments, "--format", "json"], cwd=self.folder, text=True,
                              env=self.environment, capture_output=True, timeout=500)
        assert done.returncode == expected, (arguments, done.returncode, done.stdout, done.stderr)
        return json.loads(done.stdout.splitlines()[-1])

    def run_app(self, config, *more):
        return self.umbel("run", "drift", "--no-report", "--run-config", config, *more)

    def accuracies(self, run):
        rounds = self.umbel("rounds", str(run["run-id"]))["rounds"]
        return [one["metrics"]["accuracy"] for one in rounds]

    def rules(self, *arguments, expected=0):
        return {one["rule"] for one in self.umbel("doctor", *arguments, expected=expected)["findings"]}

    def test_a_stalled_run_is_told_from_a_corrected_one(self):
        stalled = self.run_app(f"rounds={ROUNDS}")
        corrected = self.run_app(f"rounds={ROUNDS} strategy=fed-avg-m server-learning-rate=0.03")
        quarter = ROUNDS // 4
        last = [sum(self.accuracies(run)[-quarter:]) / quarter for run in (stalled, corrected)]
        print(f"accuracy in the last {quarter} rounds: plain {last[0]:.3f}, corrected {last[1]:.3f}")
        self.assertLess(last[0], 0.55)
        self.assertGreater(last[1], last[0] + 0.1)
        self.assertLessEqual({"R10", "R12", "R13"}, self.rules(str(stalled["run-id"])))
        self.assertNotIn("R12", self.rules(str(corrected["run-id"])))

    def test_a_rate_that_is_too_large_is_seen(self):
        diverged = self.run_app("rounds=12 learning-rate=30.0 clients-per-round=10")
        found = self.rules(str(diverged["run-id"]), expected=1)
        self.assertTrue(found & {"R02", "R03"}, found)

    def test_a_rate_that_is_too_small_is_seen(self):
        idle = self.run_app("rounds=6 learning-rate=1e-7 clients-per-round=10")
        self.assertIn("R04", self.rules(str(idle["run-id"])))

    def test_an_app_is_looked_at_in_a_fifth_of_a_second(self):
        self.rules("drift")
        seconds = []
        for _ in range(5):
            start = time.monotonic()
            self.assertEqual(self.rules("drift"), set())
            seconds.append(time.monotonic() - start)
        print(f"umbel doctor: {1000 * min(seconds):.0f} ms")
        self.assertLess(min(seconds), 0.2)

    def test_the_twin_is_better_on_data_that_differ(self):
        run = self.umbel("run", "drift", "--twin", "--run-config", "rounds=10 clients-per-round=5")
        twin = run["twin"]
        self.assertEqual(twin["metric"], "accuracy")
        self.assertEqual(twin["federated-examples"], 10 * 5 * 6000)
        self.assertEqual(twin["examples"], 5 * 60_000)
        self.assertEqual(twin["rounds"], 5)
        self.assertGreater(twin["gap"], 0.1)
        self.assertEqual(twin["rounds-to-reach"], 1)
        self.assertEqual(twin["bytes"], 60_000 * 784)
        self.assertEqual(twin["federated-bytes"], run["bytes-down"] + run["bytes-up"])
        energy = twin["energy-estimate"]
        self.assertGreater(energy["federated"]["network"], 0)
        self.assertGreater(energy["central"]["cooling"], 0)
        page = pathlib.Path(run["report"]).read_text(encoding="utf-8")
        self.assertIn("The centralised twin", page)
        self.assertIn("Energy and CO2: an estimate", page)
        listed = self.umbel("ls", "--limit", "1")["runs"][0]
        self.assertEqual((listed["run-id"], listed["nodes"]), (twin["run-id"], 1))
        self.assertEqual((listed["clients"], listed["failures"]), (5, 0))

    def test_the_twin_is_for_simulations_with_one_clear_word(self):
        error = self.umbel("run", "drift", "anywhere", "--twin", expected=4)
        self.assertIn("only a simulation", error["error"])


if __name__ == "__main__":
    UMBEL = str(pathlib.Path(sys.argv.pop(1)).resolve())
    unittest.main(verbosity=2)

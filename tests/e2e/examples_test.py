#!/usr/bin/python3
"""The examples learn what they say, the same on one thread and on two: examples_test.py PATH_OF_UMBEL [unittest arguments]."""

import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

UMBEL = os.path.abspath(sys.argv[1])
ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMES = ("hospitals", "maintenance", "phones", "char_lm")
MAIN_LINES_MAX = 100


def umbel(home, *arguments):
    done = subprocess.run([UMBEL, *arguments, "--format", "json"], text=True, capture_output=True, timeout=300,
                          stdin=subprocess.DEVNULL, env=dict(os.environ, UMBEL_HOME=home, LC_ALL="C.UTF-8"))
    if done.returncode:
        raise AssertionError(f"{arguments}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


class ExamplesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.mkdtemp(prefix="umbel-examples-")
        cls.addClassCleanup(shutil.rmtree, cls.root, ignore_errors=True)
        for name in (*NAMES, "common"):
            shutil.copytree(ROOT / "examples" / name, f"{cls.root}/{name}", ignore=shutil.ignore_patterns("build"))
        with concurrent.futures.ThreadPoolExecutor(2) as pool:  # a compiler each
            list(pool.map(lambda name: umbel(f"{cls.root}/home", "build", f"{cls.root}/{name}"), NAMES))

    def result_of(self, name):
        """What a run with the settings of umbel.toml says of itself."""
        one, two = (umbel(f"{self.root}/home", "run", f"{self.root}/{name}", "--threads", str(threads))
                    for threads in (1, 2))
        self.assertEqual(one["model-sha256"], two["model-sha256"])
        self.assertEqual(one["status"], "completed")
        return one

    def metrics_of(self, name):
        result = self.result_of(name)
        self.assertEqual(result["failures"], 0)
        return result["metrics"]

    def test_hospitals_learn_each_others_scanners(self):
        metrics = self.metrics_of("hospitals")
        self.assertGreaterEqual(metrics["accuracy"], 0.9)
        self.assertGreaterEqual(metrics["worst-site"], 0.7)
        self.assertLessEqual(metrics["alone-at-home"], metrics["accuracy"])
        self.assertLessEqual(metrics["alone-everywhere"], metrics["accuracy"] - 0.1)

    def test_operators_catch_failures_of_machines_that_none_of_them_has(self):
        metrics = self.metrics_of("maintenance")
        self.assertGreaterEqual(metrics["balanced-accuracy"], 0.82)
        self.assertLessEqual(metrics["alone"], metrics["balanced-accuracy"] - 0.02)

    def test_phones_learn_from_few_photos_each(self):
        result = self.result_of("phones")
        self.assertGreaterEqual(result["metrics"]["accuracy"], 0.75)
        # Some leave before they are done, or are too slow; of thirty rounds the median phone's work
        # takes seconds.
        self.assertGreater(result["failures"], 0)
        self.assertGreater(result["virtual-seconds"], 30)

    def test_language_model_knows_far_more_than_how_often_characters_occur(self):
        metrics = self.metrics_of("char_lm")
        self.assertGreaterEqual(metrics["unigram"], 20)  # licences have capitals, digits, indents
        self.assertLessEqual(metrics["perplexity"], metrics["unigram"] / 3)

    def test_main_files_are_short(self):
        for name in NAMES:
            lines = (ROOT / "examples" / name / "main.cc").read_text().count("\n")
            self.assertLess(lines, MAIN_LINES_MAX, name)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])

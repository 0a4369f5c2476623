#!/usr/bin/python3
"""Apps on LibTorch, built and run as a user would: torch_test.py PATH_OF_UMBEL [unittest arguments].

With the component torch not built, what needs it is skipped: exit code 77.  `torch_test.py UMBEL
AbsentTest` needs no LibTorch.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

UMBEL = pathlib.Path(sys.argv[1]).resolve()
PACKAGE = UMBEL.parent.parent / "lib/cmake/umbel"
ROOT = pathlib.Path(__file__).resolve().parents[2]
SECONDS_MAX = 500  # of one command; a file with torch's headers takes up to a minute to compile


class Apps(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="umbel-torch-"))
        cls.addClassCleanup(shutil.rmtree, cls.root, ignore_errors=True)
        cls.environment = dict(os.environ, UMBEL_HOME=f"{cls.root}/home", LC_ALL="C.UTF-8")

    @classmethod
    def umbel(cls, *arguments, code=0):
        """Runs umbel with --format json; its JSON object and what it said on stderr."""
        done = subprocess.run([UMBEL, *arguments, "--format", "json"], env=cls.environment, text=True,
                              capture_output=True, timeout=SECONDS_MAX, stdin=subprocess.DEVNULL)
        if done.returncode != code:
            raise AssertionError(f"{arguments}: exit code {done.returncode}, expected {code}\n"
                                 f"{done.stdout}{done.stderr}")
        return json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}, done.stderr

    @classmethod
    def run_app(cls, app, config="", *arguments):
        settings = ["--run-config", config] if config else []
        return cls.umbel("run", app, "--no-build", "--no-report", *settings, *arguments)[0]


class TemplateTest(Apps):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.app = cls.root / "quickstart"
        cls.umbel("new", "quickstart", "--template", "cpp-torch", "--directory", cls.app)
        cls.umbel("build", cls.app)

    def test_it_learns_fashion_mnist_to_78_percent(self):
        result = self.run_app(self.app)
        self.assertGreater(result["metrics"]["accuracy"], 0.78)

    def test_same_seed_gives_same_bytes_on_any_number_of_threads(self):
        few = "rounds=2 clients-per-round=6 local-epochs=1"
        one, two, other = (self.run_app(self.app, few, *arguments) for arguments in
                           (("--threads", "1"), ("--threads", "2"), ("--seed", "2")))
        self.assertEqual(one["model-sha256"], two["model-sha256"])
        self.assertNotEqual(one["model-sha256"], other["model-sha256"])

    def test_the_model_that_it_keeps_has_the_modules_names(self):
        self.run_app(self.app, "rounds=1 clients-per-round=2")
        models = sorted(self.root.glob("**/model.safetensors"))
        self.assertTrue(models)
        data = models[-1].read_bytes()
        header = json.loads(data[8:8 + int.from_bytes(data[:8], "little")])
        self.assertEqual(header["conv2.weight"]["shape"], [16, 8, 5, 5])
        self.assertEqual(header["head.bias"]["dtype"], "F32")

    def test_main_is_short(self):
        lines = (self.app / "main.cc").read_text().splitlines()
        self.assertLess(len(lines), 100)


class ScriptTest(Apps):
    """examples/torch_script: a script, and the same federated."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.app = cls.root / "torch_script"
        shutil.copytree(ROOT / "examples" / "torch_script", cls.app)
        cls.umbel("build", cls.app)

    def test_federated_it_is_as_good_as_the_script_was(self):
        script = subprocess.run([self.app / "build/before"], capture_output=True, text=True, check=True,
                                timeout=SECONDS_MAX)
        pooled = float(re.findall(r"accuracy ([\d.]+)", script.stdout)[-1])
        self.assertGreater(pooled, 0.9)
        self.assertGreater(self.run_app(self.app)["metrics"]["accuracy"], pooled - 0.02)

    def test_dropout_and_counters_are_the_same_on_any_number_of_threads(self):
        one, four = (self.run_app(self.app, "", "--threads", threads) for threads in ("1", "4"))
        self.assertEqual(one["model-sha256"], four["model-sha256"])


class AbsentTest(Apps):
    """With a package that was built without LibTorch."""

    def test_the_template_is_made_and_the_build_says_what_to_install(self):
        package = self.root / "package"
        shutil.copytree(PACKAGE, package)
        for file in package.glob("umbel-torchTargets*"):
            file.unlink()
        self.umbel("new", "app", "--template", "cpp-torch", "--directory", self.root / "app")
        self.environment["umbel_DIR"] = str(package)
        _, said = self.umbel("build", self.root / "app", code=1)
        self.assertRegex(" ".join(said.split()), r"without LibTorch: `\./dev setup --with torch`")

    def test_a_component_that_is_not_there_is_named(self):
        (self.root / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.25)\nproject(app LANGUAGES CXX)\n"
            "find_package(umbel REQUIRED COMPONENTS tensorflow)\n")
        done = subprocess.run(["cmake", "-S", self.root, "-B", self.root / "build", f"-Dumbel_DIR={PACKAGE}"],
                              capture_output=True, text=True, timeout=SECONDS_MAX)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(" ".join(done.stderr.split()), r'no component "tensorflow" of Umbel; there is: torch')


if __name__ == "__main__":
    arguments = sys.argv[2:]
    if not (PACKAGE / "umbel-torchTargets.cmake").exists() and arguments[:1] != ["AbsentTest"]:
        print("SKIPPED: this build has no component torch (./dev setup --with torch)")
        sys.exit(77)
    if not arguments:
        arguments = ["TemplateTest", "ScriptTest"]
    unittest.main(argv=[sys.argv[0], *arguments])

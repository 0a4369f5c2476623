#!/usr/bin/python3
"""Templates and examples in Python, each in an environment with its framework:
templates_test.py FOLDER_OF_PROGRAMS PYTHON CLASS [unittest arguments].

PYTHON is an interpreter that the package of these programs was built for.  Exit code 77 if it was
not, or if an environment cannot be had.
"""

import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAMS, PYTHON = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import environments  # noqa: E402

SKIPPED = 77
SECONDS_MAX = 200  # of one command; each takes well under a minute on an idle machine
LINES_MAX = 100    # of an app.py


class Apps(unittest.TestCase):
    """Runs apps with the interpreter of `environment`, or of this build if that is None."""

    environment: str | None = None

    @classmethod
    def setUpClass(cls):
        cls.python = PYTHON
        if cls.environment:
            cls.python = environments.interpreter(cls.environment)
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="umbel-templates-"))
        cls.addClassCleanup(shutil.rmtree, cls.root, ignore_errors=True)
        cls.variables = dict(os.environ, UMBEL_HOME=f"{cls.root}/home", LC_ALL="C.UTF-8",
                             UMBEL_PYTHON=cls.python, PYTHONDONTWRITEBYTECODE="1")

    @classmethod
    def umbel(cls, *arguments, code=0):
        """Runs umbel; its JSON object."""
        done = subprocess.run([PROGRAMS / "umbel", *arguments, "--format", "json"], text=True,
                              capture_output=True, timeout=SECONDS_MAX, stdin=subprocess.DEVNULL,
                              env=cls.variables)
        if done.returncode != code:
            raise AssertionError(f"{arguments}: exit code {done.returncode}, expected {code}\n"
                                 f"{done.stdout}{done.stderr}")
        return json.loads(done.stdout.splitlines()[-1])

    @classmethod
    def run_app(cls, app, config="", *arguments, code=0):
        settings = ["--run-config", config] if config else []
        return cls.umbel("run", app, "--no-report", *settings, *arguments, code=code)

    @classmethod
    def example(cls, name):
        """A copy of an example."""
        app = cls.root / name
        if not app.exists():
            shutil.copytree(ROOT / "examples" / name, app)
        return app

    @staticmethod
    def stated(app):
        """The accuracy that an app's README.md states, first in it: "93 of 100 images"."""
        text = " ".join((app / "README.md").read_text().split())
        return int(re.search(r"\b(\d+) of 100\b", text)[1]) / 100

    def expect_the_same_model_for_any_number_of_workers(self, app, config, *others):
        """Of one worker, and of as many as each of the others."""
        digests = [self.run_app(app, config, "--threads", str(workers))["model-sha256"]
                   for workers in (1, *others)]
        self.assertEqual(len(set(digests)), 1, digests)
        self.assertRegex(digests[0], "^[0-9a-f]{64}$")


class Template(Apps):
    """What all templates are held to.  `few` makes a run short."""

    name = ""
    few = "rounds=2"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.app = cls.root / "new"
        cls.umbel("new", "quickstart", "--template", cls.name, "--publisher", "acme",
                  "--directory", cls.app)

    def test_it_learns_as_well_as_its_readme_says(self):
        result = self.run_app(self.app)
        self.assertEqual((result["status"], result["failures"]), ("completed", 0))
        print(f"{self.name}: accuracy {result['metrics']['accuracy']:.4f}, stated "
              f"{self.stated(self.app)}, in {result['seconds']:.1f} s", flush=True)
        self.assertGreaterEqual(result["metrics"]["accuracy"], self.stated(self.app))
        self.assertTrue(list((self.root / "home").glob("runs/*/*.safetensors")))

    def test_same_seed_gives_same_bytes_for_any_number_of_workers(self):
        self.expect_the_same_model_for_any_number_of_workers(self.app, self.few, 3)

    def test_it_is_short(self):
        for file in self.app.rglob("*.py"):
            lines = file.read_text().splitlines()
            self.assertLessEqual(len(lines), LINES_MAX, file)
            self.assertLessEqual(max(map(len, lines), default=0), 100, file)


class NumpyTest(Template):
    name = "numpy"


class SklearnTest(Template):
    name, environment = "sklearn", "sklearn"

    def test_clients_measure_the_same_model(self):
        metrics = self.run_app(self.app)["metrics"]
        self.assertAlmostEqual(metrics["federated-accuracy"], metrics["accuracy"], delta=0.05)


class PytorchTest(Template):
    name, environment = "pytorch", "torch"


class TensorflowTest(Template):
    name, environment = "tensorflow", "tensorflow"
    few = "rounds=1 clients-per-round=4"


class JaxTest(Template):
    name, environment = "jax", "jax"


class XgboostTest(Template):
    name, environment = "xgboost", "xgboost"


class Script(Apps):
    """A training script, and the same federated: as good, with at most 20 lines changed."""

    example_name = ""

    def test_federated_it_is_as_good_as_the_script_was(self):
        app = self.example(self.example_name)
        script = subprocess.run([self.python, app / "before.py"], capture_output=True, text=True,
                                check=True, timeout=SECONDS_MAX)
        pooled = float(re.findall(r"accuracy ([\d.]+)", script.stdout)[-1])
        self.assertGreater(pooled, 0.9)
        self.assertGreater(self.run_app(app)["metrics"]["accuracy"], pooled - 0.02)
        self.expect_the_same_model_for_any_number_of_workers(app, "", 3)

    def test_at_most_20_lines_differ(self):
        app = ROOT / "examples" / self.example_name
        subprocess.run([ROOT / "tools" / "count_changes", app / "before.py", app / "app.py",
                        "--max", "20"], check=True, timeout=SECONDS_MAX)


class NumpyScriptTest(Script):
    example_name = "numpy_script"


class SklearnScriptTest(Script):
    example_name, environment = "sklearn_script", "sklearn"


class PytorchScriptTest(Script):
    example_name, environment = "pytorch_script", "torch"


class DpSgdTest(Apps):
    environment = "opacus"
    ORDERS = [1 + i / 10 for i in range(1, 100)] + list(range(11, 64))

    @staticmethod
    def epsilon(rate, noise, steps, delta):
        """Of the Poisson-subsampled Gaussian mechanism, from the definition.

        Renyi divergence of order a (Mironov, Talwar and Zhang 2019, arXiv 1908.10530):
          rdp(a) = log E[(1 - rate + rate exp((2 z - 1) / (2 noise^2)))^a] / (a - 1)
        over z ~ N(0, noise^2), by the trapezium rule, whose error on so smooth a function is of the
        size of rounding.  From it, at the best a (Canonne, Kamath and Steinke 2020, arXiv
        2004.00010, proposition 12):
          epsilon = steps rdp(a) + log(1 - 1/a) - log(delta a) / (a - 1)
        """
        step = noise / 20
        points = [step * i for i in range(-200, 2000)]  # the integrands' peaks lie at up to a
        density = [-z * z / (2 * noise * noise) for z in points]
        ratio = [math.log(1 - rate + rate * math.exp((2 * z - 1) / (2 * noise * noise)))
                 for z in points]
        scale = math.log(step / (noise * math.sqrt(2 * math.pi)))

        def rdp(order):
            logs = [d + order * r for d, r in zip(density, ratio)]
            peak = max(logs)
            return (peak + scale + math.log(sum(math.exp(x - peak) for x in logs))) / (order - 1)

        return min(steps * rdp(a) + math.log1p(-1 / a) - math.log(delta * a) / (a - 1)
                   for a in DpSgdTest.ORDERS)

    def test_the_reference_is_right_where_there_is_a_closed_form(self):
        # Without sampling, rdp(a) = a / (2 noise^2) (Mironov 2017, arXiv 1702.07476, corollary 3).
        noise, delta = 2.0, 1e-5
        closed = min(a / (2 * noise**2) + math.log1p(-1 / a) - math.log(delta * a) / (a - 1)
                     for a in self.ORDERS)
        self.assertAlmostEqual(self.epsilon(1.0, noise, 1, delta), closed, places=6)

    def test_epsilon_is_that_of_the_definition_and_the_model_learns(self):
        app = self.example("dp_sgd")
        result = self.run_app(app)
        metrics = result["metrics"]
        self.assertGreaterEqual(metrics["accuracy"], self.stated(app))
        steps = 5 * metrics["train-steps"]
        self.assertEqual(steps, 200)
        expected = self.epsilon(metrics["train-sample-rate"], 1.0, steps, 1e-5)
        self.assertAlmostEqual(metrics["train-epsilon"], expected, delta=0.01 * expected)
        text = (app / "README.md").read_text()
        self.assertAlmostEqual(float(re.search(r"epsilon of ([\d.]+) for", text)[1]),
                               expected, delta=0.01 * expected)

    def test_clients_refuse_what_exceeds_their_budget(self):
        few = "rounds=3 noise-multiplier=2.0 batch-size=500 epsilon-max=0.95"
        one, two, three = (self.epsilon(0.05, 2.0, steps, 1e-5) for steps in (20, 40, 60))
        self.assertLess(two, 0.95)
        self.assertGreater(three, 0.95)
        result = self.run_app(self.example("dp_sgd"), few)
        self.assertEqual((result["failures"], result["clients"]), (6, 12))
        self.assertAlmostEqual(result["metrics"]["train-epsilon"], two, delta=0.01 * two)

    def test_noise_is_the_seeds_unless_it_is_to_be_secret(self):
        app, few = self.example("dp_sgd"), "rounds=1 batch-size=2000 epsilon-max=100.0"
        self.expect_the_same_model_for_any_number_of_workers(app, few, 2)
        secret = {self.run_app(app, few + " secret-noise=true")["model-sha256"] for _ in range(2)}
        self.assertEqual(len(secret), 2)


class LoraTextTest(Apps):
    environment = "torch"

    def test_adapters_alone_travel_and_perplexity_falls(self):
        result = self.run_app(self.example("lora_text"))
        self.assertLess(result["metrics"]["perplexity"], 4)
        run = self.root / "home" / "runs" / str(result["run-id"])
        kept = (run / "adapters.safetensors").read_bytes()
        header = json.loads(kept[8:8 + int.from_bytes(kept[:8], "little")])
        names = [name for name in header if name != "__metadata__"]
        self.assertTrue(names and all("lora_" in name for name in names))
        floats = sum(math.prod(header[name]["shape"]) for name in names)
        self.assertEqual(4 * floats, 32_768)
        # Up and down: the adapters and what frames them, nothing near the model's 427,636 bytes.
        replies = result["clients"]
        self.assertEqual(replies, 5 * 6)
        for direction in ("bytes-up", "bytes-down"):
            self.assertGreaterEqual(result[direction], replies * 4 * floats)
            self.assertLess(result[direction], replies * 4 * floats * 1.05)

    def test_before_it_the_model_did_not_know_such_text(self):
        rounds = self.run_app(self.example("lora_text"), "rounds=1 local-steps=1")
        self.assertGreater(rounds["metrics"]["perplexity"], 100)


class AnalyticsPandasTest(Apps):
    environment = "sklearn"

    # What somebody with all tables would compute, in plain pandas.
    POOLED = """
import json, pandas
from patients import patients_of
table = pandas.concat([patients_of(hospital) for hospital in range(12)])
wards = table.groupby("ward")
ages = pandas.cut(table["age"], list(range(0, 121, 20)), right=False).value_counts(sort=False)
print(json.dumps({"patients": wards.size().to_dict(), "means": wards["days"].mean().to_dict(),
                  "ages": ages.tolist()}))
"""

    def figures(self, app, config):
        """Patients and mean days by ward, as the run's log has them."""
        run = str(self.run_app(app, config)["run-id"])
        log = subprocess.run([PROGRAMS / "umbel", "log", run], env=self.variables, text=True,
                             capture_output=True, check=True, timeout=SECONDS_MAX).stdout
        found = re.findall(r"(\w+): (\d+) patients, ([\d.]+) days", log)
        ages = re.search(r"ages: ([\d, ]+)", log)[1]
        return ({ward: (int(count), float(mean)) for ward, count, mean in found},
                [int(count) for count in ages.split(",")])

    def test_federated_figures_are_those_of_the_pooled_table(self):
        app = self.example("analytics_pandas")
        pooled = json.loads(subprocess.run(
            [self.python, "-c", self.POOLED], cwd=app, capture_output=True, text=True, check=True,
            timeout=SECONDS_MAX).stdout)
        wards, ages = self.figures(app, "patients-min=0")
        self.assertEqual({ward: count for ward, (count, _) in wards.items()}, pooled["patients"])
        self.assertEqual(ages, pooled["ages"])
        for ward, (_, mean) in wards.items():
            self.assertAlmostEqual(mean, pooled["means"][ward], places=3)

    def test_small_groups_are_not_told_of(self):
        app = self.example("analytics_pandas")
        all_wards, all_ages = self.figures(app, "patients-min=0")
        wards, ages = self.figures(app, "patients-min=30")
        self.assertTrue(all(wards[ward][0] <= all_wards[ward][0] for ward in wards))
        self.assertLess(sum(ages), sum(all_ages))


class FixedModelTest(Apps):
    SITES = """
import json
import numpy as np
from app import SCORE
from patients import patients_of
sites = []
for hospital in range(12):
    features, came_back = patients_of(hospital)
    right = (features @ SCORE["weights"] + SCORE["bias"] > 0) == came_back
    sites.append((len(right), float(right.mean())))
print(json.dumps(sites))
"""
    STUDENT = 2.200985160082949  # 97.5 % of Student's distribution with 11 degrees of freedom

    def test_figures_are_the_pooled_ones_with_an_interval_over_hospitals(self):
        app = self.example("fixed_model")
        sites = json.loads(subprocess.run(
            [self.python, "-c", self.SITES], cwd=app, capture_output=True, text=True, check=True,
            timeout=SECONDS_MAX, env=dict(self.variables, PYTHONPATH=str(PROGRAMS.parent / "python"))).stdout)
        patients = sum(count for count, _ in sites)
        pooled = sum(count * right for count, right in sites) / patients
        squares = sum((count / patients * (right - pooled)) ** 2 for count, right in sites)
        half = self.STUDENT * math.sqrt(12 / 11 * squares)

        result = self.run_app(app)
        self.assertEqual((result["status"], result["rounds"], result["failures"]), ("completed", 0, 0))
        metrics = self.umbel("report", str(result["run-id"]))["published"]["external-validation"]
        self.assertAlmostEqual(metrics["accuracy"], pooled, places=12)
        self.assertAlmostEqual(metrics["accuracy-low"], pooled - half, places=9)
        self.assertAlmostEqual(metrics["accuracy-high"], pooled + half, places=9)
        self.assertEqual((metrics["sites"], metrics["num-examples"]), (12, patients))


class NotebookTest(Apps):
    environment = "notebook"

    EXECUTE = """
import json, sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], 4)
nbformat.validate(notebook)
nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
print(json.dumps([cell for cell in notebook.cells if cell.cell_type == "code"]))
"""

    def kernel_variables(self):
        return dict(self.variables, PYTHONPATH=str(PROGRAMS.parent / "python"), JUPYTER_PATH="",
                    IPYTHONDIR=f"{self.root}/ipython")

    def test_the_tutorial_runs_and_shows_progress_and_curves(self):
        tutorial = ROOT / "notebooks" / "tutorial.ipynb"
        done = subprocess.run([self.python, "-c", self.EXECUTE, tutorial], text=True,
                              capture_output=True, timeout=SECONDS_MAX, cwd=self.root,
                              env=self.kernel_variables())
        self.assertEqual(done.returncode, 0, done.stderr)
        outputs = [output for cell in json.loads(done.stdout.splitlines()[-1])
                   for output in cell["outputs"]]
        shown = [output["data"] for output in outputs if "data" in output]
        progress = [data["text/html"] for data in shown if "text/html" in data]
        self.assertEqual(len(progress), 4)  # a run each: one picture, replaced as it went on
        for picture in progress:
            self.assertRegex(picture, "completed after 20 rounds")
            self.assertIn("<polyline", picture)
        self.assertEqual(sum("image/png" in data for data in shown), 1)
        accuracy = [float(data["text/plain"]) for data in shown
                    if re.fullmatch(r"0\.\d+", data.get("text/plain", ""))]
        self.assertGreater(accuracy[0], 0.85)

    APP = """
import os, subprocess, time
import numpy as np
from umbel.app import ArrayRecord, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp
from umbel.serverapp import ServerApp
from umbel.serverapp.strategy import FedAvg
from umbel.simulation import run_simulation

client, server = ClientApp(), ServerApp()

@client.train()
def train(message, context):
    time.sleep(0.1)
    content = {"arrays": ArrayRecord([np.zeros(3)]), "metrics": MetricRecord({"num-examples": 1})}
    return Message(RecordDict(content), reply_to=message)

@server.main()
def main(grid, context):
    FedAvg(fraction_evaluate=0).start(grid, ArrayRecord([np.zeros(3)]), num_rounds=10_000)

def children():
    listed = subprocess.Popen(["ps", "--ppid", str(os.getpid()), "-o", "pid="], text=True,
                              stdout=subprocess.PIPE)
    found = [int(pid) for pid in listed.communicate()[0].split()]
    return [pid for pid in found if pid != listed.pid]
"""

    INTERRUPT = """
import asyncio, json, sys, nbclient, nbformat
sources = [sys.argv[1], "run_simulation(server, client, 10)", "children()"]
cells = [nbformat.v4.new_code_cell(source) for source in sources]
kernel = nbclient.NotebookClient(nbformat.v4.new_notebook(cells=cells), timeout=120,
                                 kernel_name="python3", allow_errors=True)

async def main():
    async with kernel.async_setup_kernel():
        await kernel.async_execute_cell(cells[0], 0)
        running = asyncio.create_task(kernel.async_execute_cell(cells[1], 1))
        while "clients</th>" not in json.dumps(cells[1].outputs):  # a round was shown
            await asyncio.sleep(0.05)
        await kernel.km.interrupt_kernel()
        await running
        await kernel.async_execute_cell(cells[2], 2)

asyncio.run(main())
print(json.dumps([cell.outputs for cell in cells]))
"""

    def test_the_stop_button_ends_a_run_and_all_its_processes(self):
        done = subprocess.run([self.python, "-c", self.INTERRUPT, self.APP], text=True,
                              capture_output=True, timeout=SECONDS_MAX, cwd=self.root,
                              env=self.kernel_variables())
        self.assertEqual(done.returncode, 0, done.stderr)
        made, ran, after = json.loads(done.stdout.splitlines()[-1])
        self.assertEqual(made, [])
        self.assertIn("stopped after", ran[0]["data"]["text/plain"])
        self.assertEqual(ran[-1]["ename"], "KeyboardInterrupt")
        self.assertEqual(after[0]["data"]["text/plain"], "[]")

    def test_the_repositorys_copy_has_no_outputs(self):
        cells = json.loads((ROOT / "notebooks" / "tutorial.ipynb").read_text())["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        self.assertGreater(len(code), 5)
        for cell in code:
            self.assertEqual((cell["outputs"], cell["execution_count"]), ([], None))


if __name__ == "__main__":
    if not list((PROGRAMS.parent / "python" / "umbel").glob("_core.*.so")):
        print("skipped: the Python package was not built")
        sys.exit(SKIPPED)
    wanted = globals()[sys.argv[3].split(".")[0]]
    try:
        if wanted.environment:
            environments.interpreter(wanted.environment)
    except environments.Skip as reason:
        print(f"skipped: {reason}")
        sys.exit(SKIPPED)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)

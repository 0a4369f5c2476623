"""What tests of deployments share: one build of tests/e2e/site, and a federation for each test."""

import pathlib
import sys
import unittest

from federation import ROOT, Federation, digests

PROGRAMS = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "bin"
SEED = 7


class Site:
    """The app, built once, and the models of its undisturbed runs."""

    builder, app, models = None, None, {}

    @classmethod
    def build(cls):
        cls.builder = Federation(PROGRAMS)
        cls.builder.__enter__()
        cls.app = cls.builder.build(ROOT / "tests" / "e2e" / "site")

    @classmethod
    def remove(cls):
        cls.builder.__exit__(None)

    @classmethod
    def simulated(cls, config, seed=SEED):
        if (config, seed) not in cls.models:
            run = cls.builder.simulate(cls.app, config, "--nodes", "5", "--seed", str(seed), "--threads",
                                       "1")
            cls.models[config, seed] = digests(run["folder"])
        return cls.models[config, seed]


class Deployed(unittest.TestCase):
    nodes = 5
    hub_arguments = ()
    node_arguments = ()

    def setUp(self):
        self.f = Federation(PROGRAMS)
        self.addCleanup(self.end)
        self.f.start_hub(*self.hub_arguments)
        self.f.add_nodes(self.nodes, *self.node_arguments)

    def end(self):
        failed = any(error for _, error in getattr(self._outcome, "errors", ()))
        self.f.__exit__(AssertionError if failed else None)

    def begin(self, config):
        return self.f.begin(Site.app, config, "--nodes", str(self.nodes), "--seed", str(SEED))

    def completed(self, number, seconds=60):
        run = self.f.wait_over(number, seconds)
        self.assertEqual(run["status"], "completed", f"{run['error']}\n{self.f.log(number)}")
        return run

    def assert_same_model(self, number, config):
        self.completed(number)
        self.assertEqual(self.f.artifacts(number), Site.simulated(config))
        self.assert_counted_once()

    def assert_counted_once(self):
        """The hub's decisions have a client at most once for each run, round and type."""
        seen = set()
        for run, number, kind, asked, counted in self.f.decisions():
            self.assertEqual(len(set(asked)), len(asked))
            self.assertLessEqual(set(counted), set(asked))
            for client in counted:
                self.assertNotIn((run, number, kind, client), seen)
                seen.add((run, number, kind, client))
        self.assertTrue(seen)

    def assert_daemons_run(self):
        self.assertTrue(self.f.hub.is_running())
        for node in self.f.nodes:
            self.assertTrue(node.program.is_running(), node.name)

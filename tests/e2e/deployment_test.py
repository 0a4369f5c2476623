#!/usr/bin/python3
"""Runs on hubs that go on whatever ends: deployment_test.py FOLDER_OF_PROGRAMS [unittest arguments]."""

import os
import signal
import sys
import unittest

from deployed import SEED, Deployed, Site
from federation import Node, digests, processes, wait_for


class Recovery(Deployed):
    """What ends in mid-round changes no bit of the model."""

    CONFIG = "rounds=4"

    def held(self):
        number = self.begin(f"{self.CONFIG} hold-round=2")
        self.f.wait_held()
        return number

    def test_hub_killed(self):
        number = self.held()
        self.f.hub.kill()
        self.f.start_hub_again()
        self.f.open_gates()
        self.assert_same_model(number, self.CONFIG)

    def test_hub_killed_between_replies(self):
        number = self.held()
        self.f.nodes[0].open_gate()
        wait_for("the first reply", lambda: self.f.nodes[0].at_hub()["working"] == 0)
        self.f.hub.kill()
        self.f.start_hub_again()
        self.f.open_gates()
        self.assert_same_model(number, self.CONFIG)

    def test_server_app_killed(self):
        number = self.held()
        server_app, = processes("--umbel-run", str(self.f.state))
        os.kill(server_app, signal.SIGKILL)
        wait_for("another ServerApp", lambda: [p for p in processes("--umbel-run", str(self.f.state))
                                               if p != server_app])
        self.f.open_gates()
        self.assert_same_model(number, self.CONFIG)
        self.assertIn("killed by SIGKILL", self.f.log(number))

    def test_node_killed(self):
        number = self.held()
        node = self.f.nodes[2]
        node.program.kill()
        self.f.open_gates()
        node.start()
        self.assert_same_model(number, self.CONFIG)

    def test_everything_restarted_one_after_the_other(self):
        number = self.held()
        self.assertEqual(self.f.hub.end(), 0)
        self.f.close_gates()
        self.f.start_hub_again()
        self.f.wait_held()  # the round was asked for again
        for node in self.f.nodes:
            node.program.send(signal.SIGTERM)  # it drains: its client is still at the gate
            wait_for(f"{node.name} to drain", lambda: node.at_hub()["status"] == "draining")
            node.open_gate()
            self.assertEqual(node.program.process.wait(60), 0)
            node.start()
        self.assert_same_model(number, self.CONFIG)

    def test_client_app_killed(self):
        number = self.held()
        node = self.f.nodes[1]
        os.kill(node.client_processes()[0], signal.SIGKILL)
        self.f.open_gates()
        self.assert_same_model(number, self.CONFIG)
        self.assert_daemons_run()

    def test_client_app_killed_twice_is_a_client_that_failed(self):
        number = self.held()
        node = self.f.nodes[1]
        killed, = node.client_processes()
        os.kill(killed, signal.SIGKILL)
        again, = wait_for("another process", lambda: [p for p in node.client_processes() if p != killed])
        os.kill(again, signal.SIGKILL)
        wait_for("the failure to arrive", lambda: node.at_hub()["working"] == 0)
        self.f.open_gates()
        self.completed(number)
        counted = {round_: len(counted) for _, round_, _, _, counted in self.f.decisions()}
        self.assertEqual(counted, {1: 5, 2: 4, 3: 5, 4: 5})
        self.assert_counted_once()
        self.assert_daemons_run()


class ManyRuns(Deployed):
    def test_three_at_a_time_and_twenty_that_wait_do_not_mix(self):
        configs = {seed: "rounds=1" for seed in range(1, 24)}
        numbers = {seed: self.f.begin(Site.app, config, "--nodes", "5", "--seed", str(seed))
                   for seed, config in configs.items()}
        for seed, number in numbers.items():
            self.completed(number, 120)
            self.assertEqual(self.f.artifacts(number), Site.simulated("rounds=1", seed), f"seed {seed}")
        self.assertEqual(len({str(Site.simulated("rounds=1", seed)) for seed in numbers}), 23)
        self.assert_counted_once()

    def test_runs_beyond_the_limit_wait(self):
        numbers = [self.begin("rounds=1 hold-round=1") for _ in range(2)]
        numbers += [self.begin("rounds=1") for _ in range(3)]
        self.assertEqual({self.f.listed(n)["status"] for n in numbers[3:]}, {"queued"})
        self.f.open_gates()
        for number in numbers:
            self.completed(number)

    def test_a_node_that_has_never_seen_the_app(self):
        self.completed(self.begin("rounds=1"))
        late = self.f.add_node("late")
        late.wait_online()
        self.assertEqual(list((late.state / "bundles").glob("*")), [])
        run = self.f.run(Site.app, "rounds=2", "--nodes", "6", "--seed", str(SEED))
        self.assertEqual((run["status"], run["clients"], run["failures"]), ("completed", 12, 0))
        self.assertEqual(len(list((late.state / "bundles").glob("*"))), 1)


class Admission(Deployed):
    nodes = 2

    def node_that_ends(self, name, *arguments):
        node = Node(self.f, name, ["--exit-on-refusal", *arguments])
        node.start()
        self.f.nodes.append(node)
        return node

    def test_unknown_key_is_refused_and_told_how_to_register(self):
        node = self.node_that_ends("stranger")
        self.assertEqual(node.program.process.wait(30), 2)
        self.assertIn("umbel supernode register NAME ed25519:", node.program.said())
        self.assertEqual(len(self.f.umbel("supernode", "ls", self.f.link)["nodes"]), 2)

    def test_another_hubs_certificate_is_not_trusted(self):
        right, self.f.trust = self.f.trust, ["--trust", "sha256:" + "a" * 64]
        node = self.node_that_ends("careful")
        self.f.trust = right
        self.assertEqual(node.program.process.wait(30), 2)
        self.assertIn("expected sha256:" + "a" * 64, node.program.said())
        self.assertNotIn("connected", node.program.said())

    def test_a_node_whose_key_was_replaced_is_refused(self):
        node = self.f.nodes[1]
        node.program.end()
        (node.state / "node.key").unlink()
        node.arguments = ["--exit-on-refusal"]
        node.start()
        self.assertEqual(node.program.process.wait(30), 2)

    def test_unregister_cuts_an_active_node_and_the_run_goes_on(self):
        number = self.begin("rounds=3 hold-round=2")
        self.f.wait_held()
        gone = self.f.nodes.pop()
        self.addCleanup(gone.program.kill)
        self.f.umbel("supernode", "unregister", gone.name, self.f.link)
        gone.program.wait_to_say("(?i)unregistered|no longer registered|taken off|unknown-key")
        self.f.open_gates()
        self.completed(number)
        counted = {round_: len(counted) for _, round_, _, _, counted in self.f.decisions()}
        self.assertEqual(counted, {1: 2, 2: 1, 3: 1})

    def test_users_without_an_account_and_without_the_role_exit_2(self):
        stranger = self.f.folder / "home-stranger"
        self.f.umbel("link", "add", "hub", self.f.address, *self.f.trust, home=stranger)
        self.assertTrue(self.f.umbel("ls", "hub", home=stranger, code=2)["error"])
        key = self.f.call("key", home=stranger).stdout.strip()
        self.f.umbel("account", "add", "eve", key, "--role", "user", "hub")
        self.assertEqual(self.f.umbel("ls", "hub", home=stranger)["runs"], [])
        self.assertIn("admin", self.f.umbel("account", "ls", "hub", home=stranger, code=2)["error"])
        self.f.umbel("account", "remove", "eve", "hub")
        self.f.umbel("ls", "hub", home=stranger, code=2)

    def test_an_app_of_an_untrusted_publisher_does_not_run(self):
        self.f.publisher = "ed25519:" + "0" * 63 + "1"
        careful = self.f.add_node("careful")
        careful.wait_online()
        run = self.f.run(Site.app, "rounds=1", "--nodes", "3")
        self.assertEqual((run["clients"], run["failures"]), (2, 1))
        self.assertEqual(careful.client_processes(), [])


class Slowness(Deployed):
    def test_a_halted_node_misses_the_deadline_and_the_others_wrap_up(self):
        halted = self.f.nodes[4]
        number = self.begin("rounds=1 hold-round=1 deadline=6.0 wrap-up=4.0")
        self.f.wait_held()
        halted.program.send(signal.SIGSTOP)
        run = self.completed(number)
        (_, _, _, asked, counted), = self.f.decisions()
        self.assertEqual((len(asked), len(counted)), (5, 4))
        self.assertIn("deadline", self.report(number))
        halted.program.send(signal.SIGCONT)
        self.f.open_gates()
        halted.wait_online()
        again = self.f.run(Site.app, "rounds=1", "--nodes", "5", "--seed", str(SEED))
        self.assertEqual((again["status"], again["failures"]), ("completed", 0))
        self.assert_counted_once()

    def report(self, number):
        page = self.f.folder / "page.html"
        self.f.umbel("report", number, self.f.link, "-o", page)
        return page.read_text()

    def test_wrap_up_reaches_clients_and_says_how_much_was_done(self):
        run = self.f.run(Site.app, "rounds=1 hold-round=1 deadline=20.0 wrap-up=19.0", "--nodes", "5")
        self.assertEqual((run["status"], run["clients"], run["failures"]), ("completed", 5, 0))
        self.assertEqual(run["metrics"]["train-work-done"], 0.5)
        self.assertLess(run["seconds"], 19)


class Commands(Deployed):
    nodes = 3

    def test_logs_of_clients_are_subject_to_their_nodes(self):
        open_ = self.f.add_node("open", "--client-logs", "full")
        open_.wait_online()
        number = self.f.begin(Site.app, "rounds=1", "--nodes", "4")
        self.completed(number)
        lines = [line for line in self.f.log(number, "--side", "client").splitlines() if "hello" in line]
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("the server app saw round 1", self.f.log(number, "--side", "app"))

    def test_pull_report_ls_and_stop(self):
        number = self.begin("rounds=3 hold-round=3")
        self.f.wait_held()
        listed = self.f.listed(number)
        self.assertEqual((listed["status"], listed["rounds"], listed["rounds-planned"]), ("running", 2, 3))
        self.f.umbel("stop", number, self.f.link)
        self.assertEqual(self.f.wait_over(number)["status"], "stopped")
        wait_for("clients to be ended", lambda: not any(n.client_processes() for n in self.f.nodes))
        self.f.open_gates()
        number = self.begin("rounds=3")
        self.completed(number)
        to = self.f.folder / "pulled"
        self.f.umbel("pull", number, self.f.link, "--to", to)
        self.assertIn("model.safetensors", digests(to))
        self.f.umbel("pull", number, self.f.link, "--to", to, "--force")
        page = self.f.folder / "report.html"
        self.f.umbel("report", number, self.f.link, "-o", page)
        self.assertIn("site", page.read_text())

    def test_too_few_nodes_is_a_timeout_and_a_dead_hub_exit_2(self):
        done = self.f.call("run", Site.app, self.f.link, "--no-build", "--nodes", "9", "--wait", "1")
        print("too few nodes:", done.returncode, done.stderr.strip()[-200:])
        self.assertEqual(done.returncode, 3)
        self.assertIn("of 9 nodes are there, waiting up to 1 s\n", done.stdout)
        self.f.hub.kill()
        self.assertEqual(self.f.call("ls", self.f.link).returncode, 2)

    def test_a_node_trains_on_the_data_that_its_owner_configured(self):
        for number, (a, b) in enumerate(((1, 10), (3, 30))):
            path = self.f.folder / f"data-{number}.csv"
            path.write_text(f"a,b,label\n{a},{b},0\n{a},{b},1\n")
            node = self.f.nodes[number]
            node.program.end()
            node.arguments = ["--node-config", f'data="{path}"']
            node.start()
        self.f.nodes.pop().program.end()
        for node in self.f.nodes:
            node.wait_online()
        run = self.f.run(Site.app, "rounds=1 size=2", "--nodes", "2")
        self.assertAlmostEqual(run["metrics"]["first"], 0.2, 6)  # a tenth of the way to 2
        self.assertEqual(run["metrics"]["train-num-examples"], 4)


setUpModule, tearDownModule = Site.build, Site.remove

if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])

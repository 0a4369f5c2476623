#!/usr/bin/python3
"""What clients keep for themselves, on real hubs and nodes: roles_test.py FOLDER_OF_PROGRAMS [unittest arguments]."""

import contextlib
import importlib.machinery
import importlib.util
import random
import socket
import stat
import struct
import sys
import threading
import unittest

from deployed import PROGRAMS, SEED, Deployed, Site
from federation import ROOT, Federation, processes, wait_for


def load(name):
    """A program of this folder, as a module."""
    loader = importlib.machinery.SourceFileLoader(name, str(ROOT / "tests" / "e2e" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


class Restarts(Deployed):
    """Whatever ends in mid-run, clients go on with the heads that they had."""

    CONFIG = "rounds=4"

    def held(self):
        number = self.begin(f"{self.CONFIG} hold-round=3")
        self.f.wait_held()
        return number

    def files(self, node, number):
        return sorted((node.state / "clients" / f"run-{number}").glob("*.state"))

    def assert_no_files(self, number):
        for node in self.f.nodes:
            wait_for(f"{node.name} to forget run {number}", lambda n=node: not self.files(n, number))

    def test_a_node_that_is_killed_keeps_its_clients_head(self):
        number = self.held()
        for node in self.f.nodes[:2]:
            file, = self.files(node, number)
            self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600)
            node.program.kill()
        self.f.open_gates()
        for node in self.f.nodes[:2]:
            node.start()
        self.assert_same_model(number, self.CONFIG)
        self.assert_no_files(number)

    def test_a_round_that_is_asked_again_begins_from_the_head_that_it_began_from(self):
        number = self.held()
        first = self.f.nodes[0]
        first.open_gate()
        wait_for("the first reply", lambda: first.at_hub()["working"] == 0)
        self.f.hub.kill()
        first.program.kill()
        first.start()
        self.f.start_hub_again()
        self.f.open_gates()
        self.assert_same_model(number, self.CONFIG)

    def test_a_damaged_file_is_an_error_that_names_it(self):
        number = self.held()
        node = self.f.nodes[0]
        file, = self.files(node, number)
        node.program.kill()
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        self.f.open_gates()
        node.start()
        self.completed(number)
        self.assertIn(f"{file}: it is damaged", node.program.said())
        counted = {round_: len(counted) for _, round_, _, _, counted in self.f.decisions()}
        self.assertEqual(counted, {1: 5, 2: 5, 3: 4, 4: 4})
        self.assertIn("damaged on its node's disk", self.f.log(number))

    def test_payload_modes_give_the_model_of_a_simulation(self):
        for mode in ("delta", "gradient"):
            config = f'rounds=2 payload="{mode}"'
            self.assert_same_model(self.begin(config), config)


    def test_slices_give_the_model_of_a_simulation(self):
        roles = "head=private, base=frozen, body=slice"
        config = f'rounds=3 roles="{roles}" server-roles="{roles}"'
        self.assert_same_model(self.begin(config), config)
        asked = [asked for _, round_, _, asked, _ in self.f.decisions() if round_ == 1]
        self.assertEqual(sorted(asked), [[0, 2, 4], [1, 3]])


class Refused(Deployed):
    """A server that has, or wants, what is a client's own."""

    nodes = 2

    def failed(self, config):
        run = self.f.wait_over(self.begin(config))
        self.assertEqual(run["status"], "failed")
        return run["error"]

    def test_a_server_that_asks_for_a_head_fails_before_anything_is_sent(self):
        self.assertIn('asks for "head", which is private', self.failed("ask-for-head=true"))
        self.assertEqual(self.f.decisions(), [])

    def test_a_server_that_knows_of_no_roles_is_refused_by_its_clients(self):
        self.failed('server-roles=""')
        for node in self.f.nodes:
            self.assertIn('the server sends "head", which is private here', node.program.said())

    def test_a_role_on_a_tensor_that_does_not_exist_is_named(self):
        self.assertIn('"haed" matches no tensor', self.failed('server-roles="haed=private"'))


class Recorder:
    """A proxy to the hub that keeps all that passes."""

    def __init__(self, port):
        self.to, self.passed, self.sockets = port, [], []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                ours, _ = self.server.accept()
            except OSError:
                return
            theirs = socket.create_connection(("127.0.0.1", self.to))
            self.sockets += [ours, theirs]
            for source, sink in ((ours, theirs), (theirs, ours)):
                threading.Thread(target=self.copy, args=(source, sink), daemon=True).start()

    def copy(self, source, sink):
        kept = bytearray()
        self.passed.append(kept)
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                kept += data
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        with contextlib.suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)  # wakes accept()
        for one in [self.server, *self.sockets]:
            one.close()


def differences(content):
    """Of bytes eight apart, which are the same where a WebSocket's four bytes of mask lie on them."""
    number = int.from_bytes(content, "little")
    size = max(0, len(content) - 8)
    return ((number >> 64) ^ number).to_bytes(len(content) + 1, "little")[:size]


def is_in(canary, content):
    content = bytes(content)
    return canary in content or differences(canary) in differences(content)


class Canary(unittest.TestCase):
    """A private tensor is found at its node and nowhere else.  Without TLS, so that it could be seen."""

    def test_a_private_tensor_never_leaves_its_node(self):
        hospitals = load("five_hospitals")
        draw = random.Random(SEED)
        secrets = [[draw.gauss(0, 1) for _ in range(8)] for _ in range(2)]
        canaries = [struct.pack("<8d", *secret) for secret in secrets]
        with Federation(PROGRAMS, tls=False) as f:
            f.start_hub()
            recorder = Recorder(f.port)
            f.address = f"127.0.0.1:{recorder.port}"
            for number, secret in enumerate(secrets):
                f.add_node(f"node-{number}", "--node-config", f"canary={secret}", "--client-logs",
                           "full").wait_online()
            run = f.begin(Site.app, "rounds=3 hold-round=3 size=100000", "--nodes", "2", "--seed", str(SEED))
            f.wait_held()
            server_app, = processes("--umbel-run", str(f.state))
            for pid in (f.hub.pid, server_app):
                for region in hospitals.memory_of(pid):
                    for canary in canaries:
                        self.assertNotIn(canary, region)
            for node, canary in zip(f.nodes, canaries):  # what is looked for can be found
                file, = (node.state / "clients" / f"run-{run}").glob("*.state")
                self.assertIn(canary, file.read_bytes())
            f.open_gates()
            self.assertEqual(f.wait_over(run)["status"], "completed")
            for node in f.nodes:
                wait_for(f"{node.name} to forget the run",
                         lambda n=node: not (n.state / "clients" / f"run-{run}").exists())
            recorder.close()
            self.check_files(f, canaries)
            self.check_wire(recorder, canaries)

    def check_files(self, f, canaries):
        count = 0
        for path in [*f.state.rglob("*"), *f.folder.glob("home*/**/*"), *f.folder.glob("*.out"),
                     *(f.folder / "node-0").rglob("*"), *(f.folder / "node-1").rglob("*")]:
            if path.is_file() and not path.is_symlink():
                count += 1
                content = path.read_bytes()
                self.assertFalse(any(canary in content for canary in canaries), path)
        self.assertGreater(count, 10)

    def check_wire(self, recorder, canaries):
        passed = [bytes(kept) for kept in recorder.passed]
        self.assertGreater(sum(map(len, passed)), 3 * 2 * 400_000)  # the shared tensor, both ways
        self.assertTrue(any(b"frozen-sha256" in kept for kept in passed))
        # What nodes say in their sessions is masked, and seen all the same.
        line = b"the client trains with a head of its own"
        self.assertFalse(any(line in kept for kept in passed))
        self.assertTrue(any(is_in(line, kept) for kept in passed))
        for kept in passed:
            for canary in canaries:
                self.assertFalse(is_in(canary, kept))


if __name__ == "__main__":
    Site.builder = Federation(PROGRAMS)
    Site.builder.__enter__()
    try:
        Site.app = Site.builder.build(ROOT / "tests" / "e2e" / "roles")
        unittest.main(argv=sys.argv[:1] + sys.argv[2:], verbosity=2)
    finally:
        Site.remove()

#!/usr/bin/python3
"""Damage, full disks and apps that misbehave: trouble_test.py FOLDER_OF_PROGRAMS [unittest arguments]."""

import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
import unittest

from deployed import PROGRAMS, Deployed, Site
from federation import Federation, processes, wait_for

# A wall clock that is wrong by so many seconds, for who reads it: the kernel's own, by which absl
# waits, is nobody's to change.
CLOCK = r"""
#include <stdlib.h>
#include <time.h>
static long off(void) { const char* text = getenv("CLOCK_SECONDS"); return text ? atol(text) : 0; }
time_t time(time_t* out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec + off();
  return now.tv_sec + off();
}
/* std::chrono::system_clock::now() */
long _ZNSt6chrono3_V212system_clock3nowEv(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (now.tv_sec + off()) * 1000000000L + now.tv_nsec;
}
"""


class Damage(Deployed):
    nodes = 2

    def flip(self, path, at):
        content = bytearray(path.read_bytes())
        content[at] ^= 1
        path.chmod(0o600)
        path.write_bytes(content)

    def test_bundle_changed_on_the_hubs_disk_is_uploaded_again(self):
        self.completed(self.begin("rounds=1"))
        bundle, = (self.f.state / "bundles").glob("*.umbel")
        whole = bundle.read_bytes()
        self.flip(bundle, len(whole) // 2)
        node = self.f.nodes[0]
        node.program.end()
        shutil.rmtree(node.state / "bundles")
        node.start()
        node.wait_online()
        run = self.f.run(Site.app, "rounds=1", "--nodes", "2")
        self.assertEqual((run["status"], run["clients"], run["failures"]), ("completed", 2, 0))
        self.assertEqual(bundle.read_bytes(), whole)

    def test_bundle_changed_on_the_hubs_disk_while_a_run_waits_fails_it(self):
        self.f.nodes[0].program.end()
        number = self.begin("rounds=1")
        self.assertIn(self.f.listed(number)["status"], ("queued", "starting"))
        bundle, = (self.f.state / "bundles").glob("*.umbel")
        self.flip(bundle, bundle.stat().st_size // 2)
        self.f.nodes[0].start()
        run = self.f.wait_over(number)
        self.assertEqual(run["status"], "failed")
        self.assertIn("damaged", run["error"])
        self.assert_daemons_run()

    def test_bundle_changed_in_a_nodes_cache_is_fetched_anew(self):
        config = "rounds=1"
        self.completed(self.begin(config))
        node = self.f.nodes[0]
        node.program.end()
        program, = (node.state / "bundles").glob("*/app/programs/*/site")
        self.flip(program, program.stat().st_size // 2)
        node.start()
        node.wait_online()
        run = self.f.run(Site.app, config, "--nodes", "2")
        self.assertEqual((run["status"], run["clients"], run["failures"]), ("completed", 2, 0))

    def test_port_in_use_is_said(self):
        other = self.f.folder / "other"
        done = subprocess.run([PROGRAMS / "umbel-superlink", "--address", "127.0.0.1", "--port",
                               str(self.f.port), "--state", other], capture_output=True, text=True,
                              timeout=30, stdin=subprocess.DEVNULL)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(str(self.f.port), done.stderr)
        self.assertIn("in use", done.stderr)

    def test_state_folder_in_use_is_said(self):
        done = subprocess.run([PROGRAMS / "umbel-superlink", "--address", "127.0.0.1", "--port", "0",
                               "--state", self.f.state], capture_output=True, text=True, timeout=30,
                              stdin=subprocess.DEVNULL)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("another umbel-superlink", done.stderr)
        self.assert_daemons_run()


class Certificates(unittest.TestCase):
    def openssl(self, *arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, cwd=self.tls)

    def against_another_server(self, f):
        """umbel ls, with a server that shows the old certificate and its authority's."""
        (self.tls / "chain.pem").write_bytes((self.tls / "old.pem").read_bytes() +
                                             (self.tls / "authority.pem").read_bytes())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.tls / "chain.pem", self.tls / "server.key")

        def serve(server):
            while True:
                try:
                    context.wrap_socket(server.accept()[0], server_side=True).close()
                except ssl.SSLError:
                    continue  # the client does not like it
                except OSError:
                    return
        with socket.create_server(("127.0.0.1", f.port)) as server:
            thread = threading.Thread(target=serve, args=(server,), daemon=True)
            thread.start()
            done = f.call("ls", f.link)
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
        return done

    @unittest.skipUnless(shutil.which("openssl"), "needs the program openssl")
    def test_an_expired_certificate_is_not_trusted_and_made_anew_where_its_authority_is(self):
        with Federation(PROGRAMS) as f:
            f.start_hub()
            f.hub.end()
            self.tls = f.state / "tls"
            (self.tls / "old.cnf").write_text("subjectAltName=IP:127.0.0.1\n")
            self.openssl("req", "-new", "-key", "server.key", "-subj", "/CN=hub", "-out", "old.csr")
            self.openssl("x509", "-req", "-in", "old.csr", "-CA", "authority.pem", "-CAkey",
                         "authority.key", "-CAcreateserial", "-extfile", "old.cnf", "-days", "-1",
                         "-out", "old.pem")
            # With the chain, as the hub writes it.
            (self.tls / "server.pem").write_bytes((self.tls / "old.pem").read_bytes())
            (self.tls / "authority.key").rename(f.folder / "authority.key")
            f.hub = f.launch_hub()
            self.assertNotEqual(f.hub.process.wait(30), 0)
            self.assertIn("not valid today", f.hub.said())
            done = self.against_another_server(f)
            self.assertEqual(done.returncode, 2)
            self.assertRegex(done.stderr, "expired|not valid")
            (f.folder / "authority.key").rename(self.tls / "authority.key")
            f.start_hub_again()
            self.assertEqual(f.umbel("ls", f.link)["runs"], [])

    @unittest.skipUnless(shutil.which("cc"), "needs a C compiler")
    def test_clocks_an_hour_apart_change_nothing(self):
        with Federation(PROGRAMS) as f:
            source, library = f.folder / "clock.c", f.folder / "clock.so"
            source.write_text(CLOCK)
            subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
            f.start_hub()
            for name, seconds in (("early", 3600), ("late", -3600)):
                f.add_node(name, prefix=("env", f"LD_PRELOAD={library}", f"CLOCK_SECONDS={seconds}"))
            for node in f.nodes:
                node.wait_online()
            run = f.run(Site.app, "rounds=2", "--nodes", "2")
            self.assertEqual((run["status"], run["clients"], run["failures"]), ("completed", 4, 0))
            hours = {int(re.search(r"T(\d\d):", node.program.said())[1]) for node in f.nodes}
            self.assertEqual(len(hours), 2)  # so their clocks do differ


def root_and_tmpfs():
    return os.geteuid() == 0 and subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode == 0


@unittest.skipUnless(root_and_tmpfs(), "needs root, for small file systems")
class FullDisk(unittest.TestCase):
    def mount(self, folder, size):
        folder.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", folder])

    def fill(self, folder):
        with open(folder / "filler", "wb", buffering=0) as file:
            for size in (1 << 16, 1 << 12, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    continue
        return folder / "filler"

    def test_of_the_hub_is_said_and_survived(self):
        f = Federation(PROGRAMS)
        self.addCleanup(f.__exit__, None)
        self.mount(f.state, "16m")
        f.start_hub()
        f.add_nodes(2)
        filler = self.fill(f.state)
        done = f.call("run", Site.app, f.link, "--no-build", "--no-report", "--nodes", "2")
        print("hub's disk is full:", done.returncode, done.stderr.strip()[-300:])
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, "(?i)no space|full")
        self.assertTrue(f.hub.is_running())
        filler.unlink()
        run = f.run(Site.app, "rounds=2", "--nodes", "2")
        self.assertEqual((run["status"], run["failures"]), ("completed", 0))

    def test_of_the_hub_in_mid_run_is_survived(self):
        f = Federation(PROGRAMS)
        self.addCleanup(f.__exit__, None)
        self.mount(f.state, "16m")
        f.start_hub()
        f.add_nodes(2)
        number = f.begin(Site.app, "rounds=3 hold-round=2 size=100000", "--nodes", "2")
        f.wait_held()
        filler = self.fill(f.state)
        f.open_gates()
        run = f.wait_over(number)
        print("hub's disk full in mid-run:", run["status"], run["error"])
        self.assertEqual(run["status"], "failed")
        self.assertRegex(run["error"], "(?i)full|no space")
        self.assertTrue(f.hub.is_running())
        filler.unlink()
        self.assertEqual(f.run(Site.app, "rounds=2", "--nodes", "2")["status"], "completed")

    def test_of_a_node_is_its_failure_alone(self):
        f = Federation(PROGRAMS)
        self.addCleanup(f.__exit__, None)
        f.start_hub()
        f.add_nodes(2)
        full = f.nodes[1]
        full.program.end()
        kept = (full.state / "node.key").read_bytes()
        shutil.rmtree(full.state)
        self.mount(full.state, "64m")
        (full.state / "node.key").write_bytes(kept)
        (full.state / "node.key").chmod(0o600)
        full.start()
        full.wait_online()
        filler = self.fill(full.state)
        number = f.begin(Site.app, "rounds=2", "--nodes", "2")
        self.assertEqual(f.wait_over(number)["status"], "completed")
        self.assertEqual({len(counted) for *_, counted in f.decisions()}, {1})
        self.assertTrue(full.program.is_running())
        filler.unlink()
        run = f.run(Site.app, "rounds=1", "--nodes", "2")
        self.assertEqual((run["status"], run["failures"]), ("completed", 0))


class Trouble(Deployed):
    nodes = 3

    def test_client_apps_that_crash_exit_or_throw_fail_alone(self):
        # What an app throws may quote data: its words stay at the node.
        for trouble, words in (("throw", "own words stay at the node"),
                               ("crash", "killed by SIGABRT"), ("exit", "exited")):
            run = self.f.run(Site.app, f"rounds=2 trouble={trouble}", "--nodes", "3")
            self.assertEqual((run["status"], run["clients"], run["failures"]), ("completed", 4, 2), trouble)
            self.assertEqual(run["failure-reasons"], {"client-failed": 2})
            page = self.f.folder / f"{trouble}.html"
            self.f.umbel("report", run["link-run-id"], self.f.link, "-o", page)
            self.assertIn(words, page.read_text(), trouble)
            self.assertNotIn("the data of this client cannot be read", page.read_text())
        self.assert_daemons_run()

    def test_client_apps_that_hang_write_or_fork_are_ended(self):
        for trouble in ("hang", "write", "fork"):
            run = self.f.run(Site.app, f"rounds=1 trouble={trouble} deadline=2.0", "--nodes", "3")
            self.assertEqual((run["status"], run["clients"], run["failures"]), ("completed", 2, 1), trouble)
            self.assertEqual(run["failure-reasons"], {"deadline": 1})
            wait_for(f"what {trouble} left to be gone",
                     lambda: not processes("--umbel-client", str(self.f.folder)))
        size = sum(p.stat().st_size for n in self.f.nodes for p in (n.state / "logs").iterdir())
        self.assertLess(size, 40 << 20)
        self.assert_daemons_run()

    def bytes_at_hub(self):
        sizes = []
        for path in self.f.state.rglob("*"):
            try:
                sizes.append(path.stat().st_size)
            except FileNotFoundError:
                continue
        return sum(sizes)

    def test_server_apps_that_crash_or_exit_fail_the_run(self):
        for trouble, words in (("crash", "killed by SIGABRT"), ("exit", "exited")):
            run = self.f.run(Site.app, f"server-trouble={trouble}", "--nodes", "3", code=1)
            self.assertEqual(run["status"], "failed")
            self.assertIn(words, run["error"])
        self.assert_daemons_run()
        self.assertEqual(self.f.run(Site.app, "", "--nodes", "3")["status"], "completed")

    def test_server_apps_that_hang_write_or_fork_can_be_stopped(self):
        def begun(trouble, number):
            run = self.f.listed(number)
            self.assertIn(run["status"], ("queued", "starting", "running"), run["error"])
            apps = len(processes("--umbel-run", str(self.f.state)))
            return {"hang": run["rounds"] == 1, "fork": apps > 50,
                    "write": self.bytes_at_hub() > 200_000_000}[trouble]  # with what it may write
        for trouble in ("hang", "write", "fork"):
            number = self.f.begin(Site.app, f"server-trouble={trouble}", "--nodes", "3")
            wait_for(f"the server app to {trouble}", lambda: begun(trouble, number))
            done = self.f.call("stop", number, self.f.link)
            run = self.f.wait_over(number)
            print(f"server app, {trouble}:", done.returncode, run["status"], run["error"],
                  f"{self.bytes_at_hub() >> 20} MiB at the hub")
            self.assertEqual((done.returncode, run["status"]), (0, "stopped"), done.stderr)
            wait_for(f"what {trouble} left to be gone",
                     lambda: not processes("--umbel-run", str(self.f.state)))
        # 64 MiB of what it printed are kept, as events.
        self.assertLess(self.bytes_at_hub(), 256 << 20)
        self.assert_daemons_run()
        self.assertEqual(self.f.run(Site.app, "", "--nodes", "3")["status"], "completed")


class Privacy(Deployed):
    node_arguments = ("--client-logs", "full")

    def test_no_clients_metric_or_update_is_on_any_disk_of_the_hub(self):
        run = self.f.run(Site.app, "update=canary", "--nodes", "5")
        self.assertEqual((run["status"], run["failures"]), ("completed", 0))
        # Clients say 777.25 and 778.25, and updates of nothing but 1234.5 and 1234.75.
        self.assertAlmostEqual(run["metrics"]["train-loss"], 777.65)
        canaries = [b"777.25", b"778.25", *(struct.pack("<d", x) for x in (777.25, 778.25)),
                    *(struct.pack("<f", x) * 4 for x in (1234.5, 1234.75))]
        mean = struct.pack("<f", 1234.6) * 4
        looked, model_seen = 0, False
        for place in (self.f.state, *self.f.folder.glob("hub*.out"), *(n.state for n in self.f.nodes),
                      self.f.folder / "home"):
            for path in ([place] if place.is_file() else place.rglob("*")):
                if path.is_file() and "bundles" not in path.parts:
                    content = path.read_bytes()
                    model_seen = model_seen or mean in content
                    for canary in canaries:
                        self.assertNotIn(canary, content, path)
                    looked += 1
        self.assertGreater(looked, 10)
        self.assertTrue(model_seen)  # so an update would have been found, too


setUpModule, tearDownModule = Site.build, Site.remove

if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])

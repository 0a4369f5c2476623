#!/usr/bin/python3
"""What `umbel plan` predicts against what a run moves between hub and nodes: plan_test.py PROGRAMS

Nodes connect through a relay that counts every byte of TLS, so that the measure is not the app's own.
"""

import contextlib
import socket
import sys
import threading
import unittest

from federation import ROOT, Federation

PROGRAMS = sys.argv[1]
NODES, ROUNDS, SIZE = 3, 4, 500_000  # SIZE float32, about 2 MB: beyond what travels in frames
ERROR_MAX = 0.15


class Relay:
    """Passes connections on to a port, and counts what it passed each way."""

    def __init__(self, port):
        self.port, self.down, self.up, self.lock = port, 0, 0, threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            node, _ = self.listener.accept()
            hub = socket.create_connection(("127.0.0.1", self.port))
            for source, sink, way in ((hub, node, "down"), (node, hub, "up")):
                threading.Thread(target=self.pump, args=(source, sink, way), daemon=True).start()

    def pump(self, source, sink, way):
        with contextlib.suppress(OSError), source:  # one end is gone: the other is told of it
            while data := source.recv(1 << 16):
                sink.sendall(data)
                with self.lock:
                    setattr(self, way, getattr(self, way) + len(data))
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)

    def counted(self):
        with self.lock:
            return self.down, self.up


class PlanTest(unittest.TestCase):
    def test_predicted_bytes_are_within_15_percent_of_those_that_travelled(self):
        with Federation(PROGRAMS) as federation:
            federation.start_hub()
            relay = Relay(federation.port)
            direct, federation.address = federation.address, relay.address
            federation.add_nodes(NODES)
            federation.address = direct
            app = federation.build(ROOT / "tests" / "e2e" / "site")
            config = f"rounds={ROUNDS} size={SIZE}"
            federation.run(app, config, "--nodes", NODES)  # nodes have the bundle from now on
            before = relay.counted()
            result = federation.run(app, config, "--nodes", NODES)
            moved = [after - start for after, start in zip(relay.counted(), before)]
            plan = federation.umbel("plan", "--params", SIZE, "--nodes", NODES, "--link", 100, "--rounds", ROUNDS)
            for way, measured in zip(("down", "up"), moved):
                predicted = ROUNDS * plan[f"bytes-{way}"]
                print(f"{way}: predicted {predicted:.0f} bytes, measured {measured}, "
                      f"told by the run {result[f'bytes-{way}']}", flush=True)
                self.assertLessEqual(abs(predicted - measured), ERROR_MAX * measured, way)
                self.assertLessEqual(abs(result[f"bytes-{way}"] - measured), ERROR_MAX * measured, way)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)

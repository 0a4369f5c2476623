#!/usr/bin/python3
"""Slow links that break change no bit of a model: slow_links_test.py FOLDER_OF_PROGRAMS."""

import contextlib
import queue
import socket
import struct
import sys
import threading
import time
import unittest

from deployed import SEED, Deployed, Site
from federation import digests

DELAY, CUT = 0.15, 3.0  # seconds: each way; without any connection
SPEED, PIECE = 3_000_000, 1 << 14  # bytes a second of each connection each way; bytes


class Relay:
    """A slow link to an address, which breaks when so many bytes have passed down, or up."""

    def __init__(self, hub, cuts):
        self.hub, self.lock = hub, threading.Lock()
        self.open, self.down_until = set(), 0.0
        self.passed, self.to_cut, self.cuts = {"down": 0, "up": 0}, cuts, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "%s:%d" % self.listener.getsockname()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            node, hub = self.listener.accept()[0], socket.socket()
            with self.lock:
                self.open |= {node, hub}
                if time.monotonic() < self.down_until:
                    self.reset({node, hub})
            with contextlib.suppress(OSError):  # reset
                self.connect(node, hub)

    def connect(self, node, hub):
        hub.connect(self.hub)
        for source, sink, way in ((node, hub, "up"), (hub, node, "down")):
            sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pieces = queue.Queue(int(SPEED * DELAY / PIECE) + 1)  # what is under way
            threading.Thread(target=self.take, args=(source, pieces), daemon=True).start()
            threading.Thread(target=self.give, args=(source, sink, way, pieces), daemon=True).start()

    def take(self, source, pieces):
        free, data = 0.0, b"first"  # when the link has sent what it was given
        while data:
            try:
                data = source.recv(PIECE)
            except OSError:
                data = b""
            free = max(free, time.monotonic()) + len(data) / SPEED
            pieces.put((free + DELAY, data))
            time.sleep(max(0, free - time.monotonic()))

    def give(self, source, sink, way, pieces):
        data = b"first"
        while data:
            due, data = pieces.get()
            time.sleep(max(0, due - time.monotonic()))
            with contextlib.suppress(OSError):  # else what was under way is lost
                sink.sendall(data)
                self.count(way, len(data))
        with self.lock:
            self.reset({source, sink} & self.open)

    def count(self, way, length):
        with self.lock:
            self.passed[way] += length
            if self.to_cut[way] and self.passed[way] >= self.to_cut[way][0]:
                self.cuts.append((way, self.to_cut[way].pop(0)))
                self.down_until = time.monotonic() + CUT
                self.reset(set(self.open))

    def reset(self, sockets):
        """Ends connections by RST."""
        for end in sockets:
            self.open.discard(end)
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RD)  # wakes its reader, which would keep it open
            end.close()


class SlowLinks(Deployed):
    nodes = 0  # they are added when there is a relay

    def run_over(self, relay, config):
        direct, self.f.address, self.nodes = self.f.address, relay.address, 2
        for name in ("node-1", "node-2"):
            self.f.add_node(name)
        self.f.address = direct
        for node in self.f.nodes:
            node.wait_online()
        start, number = time.monotonic(), self.begin(config)
        self.completed(number)
        models = self.f.artifacts(number)
        print(f"{time.monotonic() - start:.1f} s, {relay.passed}, cut at {relay.cuts}: {models}", flush=True)
        clean = Site.builder.simulate(Site.app, config, "--nodes", "2", "--seed", str(SEED), "--threads", "1")
        self.assertEqual(models, digests(clean["folder"]))
        self.assert_counted_once()
        self.assertEqual(relay.to_cut, {"down": [], "up": []})  # it was cut as often as it was to be
        self.assert_daemons_run()

    def test_links_that_break(self):
        # The app goes down first, about 3 MB to each node; then 2 MB each way for each node and round.
        cuts = {"down": [5_000_000], "up": [1_000_000, 5_000_000]}
        self.run_over(Relay(("127.0.0.1", self.f.port), cuts), "rounds=3 size=500000")


setUpModule, tearDownModule = Site.build, Site.remove

if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)

#!/usr/bin/python3
"""Devices written in C take part in runs of a C++ app: device_test.py PROGRAMS [unittest arguments]."""

import html
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from federation import ROOT, Federation, Program

SOURCE = ROOT / "examples" / "device_c" / "device.c"
PROGRAMS = pathlib.Path(sys.argv[1]).resolve()
DEVICES = 2


class Device:
    """A device that is registered with the key which it printed."""

    def __init__(self, federation, program, name):
        self.federation, self.name = federation, name
        trust = federation.state / "tls" / "authority.pem" if federation.tls else "none"
        self.command = [program, federation.address, trust, federation.folder / f"{name}.key"]
        self.start()
        key = self.program.wait_to_say(r"its key is (ed25519:[0-9a-f]{64})\n")[1]
        federation.umbel("supernode", "register", name, key, federation.link)
        self.program.wait_to_say(f"joined as {name}\n")

    def start(self):
        self.program = Program(self.command, self.federation.folder / f"{self.name}.out",
                               self.federation.environment)
        self.federation.started.append(self.program)

    def rounds(self):
        return [int(number) for number in re.findall(r"answered round (\d+)", self.program.said())]


class DeviceTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="umbel-device-"))
        cls.addClassCleanup(shutil.rmtree, cls.root, ignore_errors=True)
        cls.program = cls.root / "device"
        flags = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined",
                 "-fno-sanitize-recover=undefined"]
        subprocess.run(["gcc", *flags, "-o", cls.program, SOURCE, "-lssl", "-lcrypto"], check=True, timeout=100)

    def converge(self, federation, app):
        """A run that only ends well if both devices' steps count."""
        result = federation.run(app, f"clients-per-round={DEVICES}", "--nodes", DEVICES)
        self.assertEqual((result["status"], result["failures"]), ("completed", 0))
        self.assertLessEqual(result["metrics"]["distance"], 0.005)
        self.assertEqual(result["clients"], DEVICES * result["rounds"])
        self.look_through_lenses(federation, result)
        return result

    def look_through_lenses(self, federation, result):
        """A run at a hub and its report tell of delivery, TLS and the run config."""
        lenses = result["lenses"]
        self.assertEqual(lenses["latency"]["replies"], result["clients"])
        self.assertEqual((lenses["reliability"]["restarts"], lenses["privacy"]["tls"]), (0, int(federation.tls)))
        self.assertGreater(lenses["bandwidth"]["bundle-bytes"], 0)
        report = federation.umbel("report", result["link-run-id"], federation.link)
        page = (federation.folder / report["report"]).read_text()
        self.assertIn(f"<td>clients-per-round</td><td><code>{DEVICES}</code></td>", page)
        for name, lens in report["lenses"].items():
            self.assertIn(f"<td>{name}</td><td>{html.escape(lens['text'])}</td>", page)

    def test_is_at_most_200_lines_of_100_columns(self):
        lines = SOURCE.read_text().splitlines()
        self.assertLessEqual(len(lines), 200)
        self.assertLessEqual(max(map(len, lines)), 100)

    def test_two_devices_train_a_model_and_come_back_after_a_restart_of_the_hub(self):
        with Federation(PROGRAMS) as federation:
            federation.start_hub()
            devices = [Device(federation, self.program, f"device-{n}") for n in range(DEVICES)]
            app = federation.build(ROOT / "examples" / "linear")
            result = self.converge(federation, app)
            for device in devices:
                self.assertEqual(device.rounds(), list(range(1, result["rounds"] + 1)))
            federation.hub.end()
            federation.start_hub_again()
            for device in devices:
                device.program.wait_to_say(rf"joined as {device.name}\n(.*\n)+joined as {device.name}\n")
            self.converge(federation, app)

    def test_a_device_keeps_its_key_and_works_without_tls(self):
        with Federation(PROGRAMS, tls=False) as federation:
            federation.start_hub()
            devices = [Device(federation, self.program, f"device-{n}") for n in range(DEVICES)]
            devices[0].program.kill()
            devices[0].start()
            devices[0].program.wait_to_say("joined as device-0\n")
            self.assertEqual((federation.folder / "device-0.key").stat().st_mode & 0o777, 0o600)
            self.converge(federation, federation.build(ROOT / "examples" / "linear"))

    def test_a_hub_of_another_authority_is_not_told_anything(self):
        with Federation(PROGRAMS) as federation:
            federation.start_hub()
            other = federation.folder / "other.pem"
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=other", "-keyout",
                            federation.folder / "other.key", "-out", other], check=True, capture_output=True)
            done = subprocess.run(["timeout", "--preserve-status", "5", self.program, federation.address, other,
                                   federation.folder / "device.key"], capture_output=True, text=True, timeout=60)
            self.assertNotIn("joined", done.stdout)
            self.assertNotIn("refused", done.stdout)  # the hub has not even heard of its key


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)

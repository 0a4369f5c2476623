"""Network namespaces that reach each other and nothing else, and a capture of all that crosses."""

import collections
import contextlib
import ctypes
import os
import socket
import struct
import subprocess
import threading

ETH_P_ALL, ETH_P_IP, ETH_P_ARP, ETH_P_IPV6 = 3, 0x0800, 0x0806, 0x86DD
SOL_PACKET, PACKET_STATISTICS = 263, 6
ICMPV6, HOP_BY_HOP = 58, 0
CLONE_NEWNET = 0x40000000


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


class Network:
    """One namespace for each name, 10.77.0.1 on, on one switch that is a namespace itself."""

    def __init__(self, names):
        self.prefix = f"umbel{os.getpid()}-"
        self.names, self.made = list(names), []
        self.address = {name: f"10.77.0.{number + 1}" for number, name in enumerate(names)}
        self.port = {name: f"port{number + 1}" for number, name in enumerate(names)}  # of the switch

    def __enter__(self):
        try:
            self.make("switch")
            inside = ["-n", self.prefix + "switch"]
            ip(*inside, "link", "add", "bridge", "type", "bridge")
            ip(*inside, "link", "set", "bridge", "up")
            for name in self.names:
                self.make(name)
                ip(*inside, "link", "add", self.port[name], "type", "veth", "peer", "name", "eth0",
                   "netns", self.prefix + name)
                ip(*inside, "link", "set", self.port[name], "master", "bridge", "up")
                ip("-n", self.prefix + name, "addr", "add", self.address[name] + "/24", "dev", "eth0")
                ip("-n", self.prefix + name, "link", "set", "eth0", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in self.made:
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("netns", "del", name)

    def make(self, name):
        ip("netns", "add", self.prefix + name)
        self.made.append(self.prefix + name)
        ip("-n", self.prefix + name, "link", "set", "lo", "up")

    def inside(self, name):
        """What comes before a command to run it there."""
        return ("ip", "netns", "exec", self.prefix + name)

    def output(self, name, *command):
        return subprocess.run([*self.inside(name), *command], check=True, capture_output=True,
                              text=True).stdout

    def socket(self, name, *arguments):
        """A socket of that namespace, made by a thread that goes there for it."""
        made = []

        def make():
            libc = ctypes.CDLL(None, use_errno=True)
            with open(f"/run/netns/{self.prefix}{name}") as namespace:
                if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            made.append(socket.socket(*arguments))
        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        return made[0]


class Capture:
    """Every frame on every port of a network's switch, from start to stop()."""

    def __init__(self, network):
        self.socket = network.socket("switch", socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 256 << 20)  # SO_RCVBUFFORCE
        self.socket.settimeout(0.1)
        self.frames, self.over = [], threading.Event()  # (port, bytes)
        self.thread = threading.Thread(target=self.take, daemon=True)
        self.thread.start()

    def take(self):
        while True:
            try:
                data, address = self.socket.recvfrom(1 << 18)
                self.frames.append((address[0], data))
            except TimeoutError:
                if self.over.is_set():
                    return

    def stop(self):
        """Ends it: the number of frames that were lost."""
        self.over.set()
        self.thread.join()
        _, lost = struct.unpack("II", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        self.socket.close()
        return lost


class Segment(collections.namedtuple("Segment", "source source_port destination destination_port sequence"
                                                " flags payload")):
    """TCP over IPv4."""


def parse(frame):
    """A Segment, "arp", "icmpv6", or what else the frame is in words."""
    kind = struct.unpack_from("!H", frame, 12)[0]
    packet = frame[14:]
    if kind == ETH_P_ARP:
        return "arp"
    if kind == ETH_P_IPV6:
        following = packet[6]
        if following == HOP_BY_HOP:
            following = packet[40]
        return "icmpv6" if following == ICMPV6 else f"IPv6, next header {following}"
    if kind != ETH_P_IP:
        return f"EtherType {kind:#06x}"
    head, length, protocol = (packet[0] & 15) * 4, struct.unpack_from("!H", packet, 2)[0], packet[9]
    if protocol != socket.IPPROTO_TCP:
        return f"IPv4, protocol {protocol}"
    segment = packet[head:length] if length else packet[head:]  # 0: larger than any packet may be
    source_port, destination_port, sequence, _, offset, flags = struct.unpack_from("!HHIIBB", segment)
    return Segment(socket.inet_ntoa(packet[12:16]), source_port, socket.inet_ntoa(packet[16:20]),
                   destination_port, sequence, flags, segment[(offset >> 4) * 4:])


def streams(segments):
    """The bytes of each direction of each connection, {(source, port, destination, port): bytes}."""
    parts, starts = collections.defaultdict(dict), {}
    for s in segments:
        way = (s.source, s.source_port, s.destination, s.destination_port)
        if s.flags & 2:  # SYN
            starts[way] = s.sequence + 1
        elif s.payload and way in starts:
            at = (s.sequence - starts[way]) % (1 << 32)
            if len(s.payload) > len(parts[way].get(at, b"")):
                parts[way][at] = s.payload
    whole = {}
    for way, pieces in parts.items():
        data = bytearray()
        for at in sorted(pieces):
            if at > len(data):
                raise AssertionError(f"{way}: bytes {len(data)} to {at} were not seen")
            data += pieces[at][len(data) - at:]
        whole[way] = bytes(data)
    return whole


def tls_records(data):
    """How many TLS records these bytes are; AssertionError if they are anything else."""
    count, at = 0, 0
    while at < len(data):
        if len(data) - at < 5:
            break  # a connection that was cut within a record's head
        kind, version, length = struct.unpack_from("!BHH", data, at)
        if kind not in (20, 21, 22, 23) or not 0x0301 <= version <= 0x0303 or length > 16384 + 2048:
            raise AssertionError(f"byte {at}: no TLS record: {data[at:at + 32]!r}")
        at += 5 + length
        count += 1
    return count

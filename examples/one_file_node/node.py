#!/usr/bin/env python3
"""A node of a federation in one file, with nothing but Python's standard library.

It joins a hub, trains when it is asked to, and sends what it learned: umbel.v1 as docs/protocol.md has it.
It is its own app: put your training into train() below and leave the rest as it is.

  node.py --superlink HOST:9092 --trust sha256:... [--key FILE] [--no-tls]

On its first start it makes a key and prints the public half, which an administrator of the hub registers.
"""

import argparse
import array
import base64
import collections
import hashlib
import http.client
import json
import os
import queue
import random
import secrets
import signal
import socket
import ssl
import struct
import sys
import threading
import time
import zlib

Array = collections.namedtuple("Array", "dtype shape data")  # "float32", [2, 3], bytes


def train(arrays, config, hurry):
    """What this site does with its data: here, each float32 weight moves a quarter of the way toward 1.

    arrays: the global model, Arrays by name.  config: the run's settings and the message's, by name.
    hurry(): true once the hub asks for what is there by now.  Returns arrays of the same names, dtypes and
    shapes, and metrics, "num-examples" (how much this site counts) among them.
    """
    end = time.monotonic() + config.get("delay", 0)  # stands for longer work
    while time.monotonic() < end and not hurry():
        time.sleep(0.005)
    moved = dict(arrays)
    for name, old in arrays.items():
        if old.dtype == "float32":
            weights = array.array("f", old.data)
            moved[name] = old._replace(data=array.array("f", [w + 0.25 * (1 - w) for w in weights]).tobytes())
    return moved, {"num-examples": 1, "wrapped-up": int(hurry())}


# --- Ed25519 (RFC 8032) ----------------------------------------------------------------------------

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def add(p, q):
    """The sum of two points of the curve, in extended coordinates (x, y, z, x y / z)."""
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(scalar, point):
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point, scalar = add(point, point), scalar >> 1
    return result


def x_of(y, odd):
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    return x if x % 2 == odd else P - x


BASE_Y = 4 * pow(5, -1, P) % P
BASE = (x_of(BASE_Y, 0), BASE_Y, 1, x_of(BASE_Y, 0) * BASE_Y % P)


def packed(point):
    inverse = pow(point[2], -1, P)
    return (point[1] * inverse % P | (point[0] * inverse % P & 1) << 255).to_bytes(32, "little")


def number(data):
    return int.from_bytes(data, "little")


def halves(seed):
    """The secret scalar and the prefix that a key's 32 secret bytes stand for."""
    digest = hashlib.sha512(seed).digest()
    return number(digest[:32]) & (2**254 - 8) | 2**254, digest[32:]


def public_key(seed):
    return packed(times(halves(seed)[0], BASE))


def sign(seed, message):
    scalar, prefix = halves(seed)
    nonce = number(hashlib.sha512(prefix + message).digest()) % ORDER
    point = packed(times(nonce, BASE))
    challenge = number(hashlib.sha512(point + public_key(seed) + message).digest())
    return point + ((nonce + challenge * scalar) % ORDER).to_bytes(32, "little")


# --- Protobuf: the messages of docs/protocol.md ----------------------------------------------------

# MESSAGE field=number:type ..., with * for repeated fields.  The fields of a message with ! exclude each
# other, so that it matters whether one is there.
SCHEMA = """
NodeFrame! hello=1:Hello proof=2:Proof accept=3:Accept result=4:NodeResult log=5:NodeLog draining=6:Draining
Hello versions=1:uint* features=2:string* public_key=3:bytes nonce=4:bytes holding=5:uint* software=6:string platform=7:string
Proof signature=1:bytes
Accept instruction=1:uint
NodeResult instruction=1:uint reply=2:Envelope
NodeLog run=1:uint level=2:string message=3:string
Draining
HubFrame! challenge=1:Challenge welcome=2:Welcome refusal=3:Refusal assign=4:Assign wrap_up=5:WrapUp cancel=6:Cancel upload=7:Upload done=8:Done run_ended=9:RunEnded
Challenge version=1:uint features=2:string* nonce=3:bytes
Welcome token=1:string name=2:string inline_bytes_max=3:uint heartbeat_seconds=4:uint keep=5:uint*
Refusal code=1:string reason=2:string
Assign instruction=1:uint run=2:RunInfo message=3:Envelope client=4:uint
WrapUp instruction=1:uint seconds=2:double
Cancel instruction=1:uint
Upload instruction=1:uint offset=2:uint
Done instruction=1:uint counted=2:bool reason=3:string
RunEnded run=1:uint
Envelope header=1:Header content=2:Content failure=3:Failure
Header run=1:uint id=2:uint reply_to=3:uint source=4:uint destination=5:uint type=6:string round=7:uint
Failure code=1:string reason=2:string
Content records=1:RecordEntry* blob=2:Blob
RecordEntry name=1:string arrays=2:Arrays metrics=3:Values config=4:Values
Arrays arrays=1:ArrayHeader*
ArrayHeader name=1:string dtype=2:string shape=3:uint*
Values values=1:NamedValue*
NamedValue name=1:string value=2:Value
Value! truth=1:bool integer=2:sint real=3:double text=4:string data=5:bytes truths=6:Truths integers=7:Integers reals=8:Reals texts=9:Texts
Truths values=1:bool*
Integers values=1:sint*
Reals values=1:double*
Texts values=1:string*
Blob size=1:uint id=2:uint here=3:bytes crc32=4:fixed32*
RunInfo id=1:uint seed=2:uint nodes=3:uint config=4:Setting* bundle=5:BundleRef
Setting key=1:string value=2:Value origin=3:string
BundleRef sha256=1:string size=2:uint id=3:string
"""
DEFAULTS = {"uint": 0, "sint": 0, "bool": False, "double": 0.0, "string": "", "bytes": b"", "fixed32": 0}
FORMATS = {"double": "<d", "fixed32": "<I"}  # of 8 and of 4 bytes
MESSAGES, EXCLUSIVE = {}, set()
for line in SCHEMA.strip().splitlines():
    words = line.split()
    EXCLUSIVE |= {words[0].rstrip("!")} if words[0].endswith("!") else set()
    MESSAGES[words[0].rstrip("!")] = [(name, int(place), kind.rstrip("*"), kind.endswith("*"))
                                      for name, place, kind in (w.replace(":", "=").split("=") for w in words[1:])]


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value & 2**64 - 1, at


def encode_one(kind, value):
    """The wire type and the bytes of one value."""
    if kind in FORMATS:
        return (1 if kind == "double" else 5), struct.pack(FORMATS[kind], value)
    if kind in ("uint", "bool"):
        return 0, varint(int(value))
    if kind == "sint":
        return 0, varint((value << 1 ^ value >> 63) & 2**64 - 1)
    data = value.encode() if kind == "string" else bytes(value) if kind == "bytes" else encode(kind, value)
    return 2, varint(len(data)) + data


def encode(message, fields):
    out = bytearray()
    for name, place, kind, repeated in MESSAGES[message]:
        if fields.get(name) is None:
            continue
        values = fields[name] if repeated else [fields[name]]
        if repeated and values and kind in ("uint", "sint", "bool", "double", "fixed32"):
            data = b"".join(encode_one(kind, value)[1] for value in values)
            out += varint(place << 3 | 2) + varint(len(data)) + data
            continue
        for value in values:
            wire, data = encode_one(kind, value)
            out += varint(place << 3 | wire) + data
    return bytes(out)


def decode_one(kind, wire, data):
    if kind in FORMATS:
        return struct.unpack(FORMATS[kind], data)[0]
    if wire == 0:
        return data >> 1 ^ -(data & 1) if kind == "sint" else bool(data) if kind == "bool" else data
    return bytes(data) if kind == "bytes" else bytes(data).decode() if kind == "string" else decode(kind, data)


def decode(message, data):
    """The fields by name; what is absent has its default, or None if it is a message."""
    known = {place: (name, kind, repeated) for name, place, kind, repeated in MESSAGES[message]}
    fields = {name: [] if repeated else DEFAULTS.get(kind) for name, _, kind, repeated in MESSAGES[message]
              if message not in EXCLUSIVE}
    at, data = 0, memoryview(data)
    while at < len(data):
        tag, at = read_varint(data, at)
        wire, size = tag & 7, {1: 8, 5: 4}.get(tag & 7)
        if wire == 0:
            value, at = read_varint(data, at)
        else:
            if wire == 2:
                size, at = read_varint(data, at)
            if size is None or at + size > len(data):
                raise ValueError("not a protobuf message")
            value, at = data[at:at + size], at + size
        name, kind, repeated = known.get(tag >> 3, (None, None, None))
        if name and repeated and wire == 2 and kind in ("uint", "sint", "bool", "double", "fixed32"):
            fields[name] = fields.get(name, []) + unpacked(kind, value)
        elif name and repeated:
            fields.setdefault(name, []).append(decode_one(kind, wire, value))
        elif name:
            fields[name] = decode_one(kind, wire, value)
    return fields


def unpacked(kind, data):
    if kind in FORMATS:
        return [value for value, in struct.iter_unpack(FORMATS[kind], data)]
    values, at = [], 0
    while at < len(data):
        value, at = read_varint(data, at)
        values.append(decode_one(kind, 0, value))
    return values


# --- Contents --------------------------------------------------------------------------------------

CHUNK = 1 << 20
SIZES = {"bool": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "float16": 2, "bfloat16": 2, "int32": 4,
         "uint32": 4, "float32": 4, "int64": 8, "uint64": 8, "float64": 8, "complex64": 8, "complex128": 16}


def headers(content):
    return [header for record in content["records"] if record["arrays"] for header in record["arrays"]["arrays"]]


def arrays_of(content, blob):
    """Arrays by name, from where they lie in the blob: each from a multiple of 64 bytes on."""
    arrays, at = {}, 0
    for header in headers(content):
        size = SIZES[header["dtype"]]
        for length in header["shape"]:
            size *= length
        at = -(-at // 64) * 64
        arrays[header["name"]] = Array(header["dtype"], header["shape"], bytes(blob[at:at + size]))
        at += size
    if at != len(blob):
        raise ValueError(f"a blob of {len(blob)} bytes, its arrays take {at}")
    return arrays


def blob_of(arrays):
    blob = bytearray()
    for one in arrays.values():
        blob += bytes(-len(blob) % 64) + one.data
    return bytes(blob)


def value_of(value):
    (kind, held), = value.items()
    return held["values"] if kind in ("truths", "integers", "reals", "texts") else held


def chunk_crcs(blob):
    return [zlib.crc32(blob[at:at + CHUNK]) for at in range(0, len(blob), CHUNK)]


def reply_content(arrays, metrics, blob):
    """A reply's content; its blob is filled in when it is sent."""
    entries = [{"name": name, "dtype": one.dtype, "shape": one.shape} for name, one in arrays.items()]
    values = [{"name": name, "value": {"integer" if isinstance(value, int) else "real": value}}
              for name, value in metrics.items()]
    return {"records": [{"name": "arrays", "arrays": {"arrays": entries}},
                        {"name": "metrics", "metrics": {"values": values}}],
            "blob": {"size": len(blob)} if blob else None}


# --- Connections -----------------------------------------------------------------------------------

class Hub:
    """Where the hub is, and why to believe it."""

    def __init__(self, address, trust=None, tls=True):
        host, _, port = address.rpartition(":")
        self.host, self.port, self.tls, self.trust = host.strip("[]"), int(port), tls, trust
        self.context = None

    def dial(self, timeout=60):
        """A connection, and the SHA-256 of the certificate that the hub showed on it."""
        plain = socket.create_connection((self.host, self.port), timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self.tls:
            return plain, bytes(32)
        if self.context is None:
            self.context = self.believe()
        secure = self.context.wrap_socket(plain, server_hostname=self.host)
        return secure, hashlib.sha256(secure.getpeercert(True)).digest()

    def believe(self):
        """Trusts the authority with the right SHA-256 in the chain that the hub sends, and nobody else."""
        look = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        look.check_hostname, look.verify_mode = False, ssl.CERT_NONE
        with look.wrap_socket(socket.create_connection((self.host, self.port), 10)) as first:
            chain = getattr(first, "get_unverified_chain", None) or first._sslobj.get_unverified_chain
            certificates = [one if isinstance(one, bytes) else ssl.PEM_cert_to_DER_cert(one.public_bytes())
                            for one in chain()]
        for certificate in certificates:
            if "sha256:" + hashlib.sha256(certificate).hexdigest() == self.trust:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.load_verify_locations(cadata=certificate)
                return context
        raise ssl.SSLError(f"no certificate in the hub's chain is {self.trust}")

    def request(self, method, path, token="", body=None, headers=()):
        """One request on a connection of its own: the code and the body of the answer."""
        connection = http.client.HTTPConnection(self.host, self.port)
        connection.sock, _ = self.dial()
        try:
            connection.request(method, path, body, dict(headers, Authorization=f"Bearer {token}"))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


class WebSocket:
    """A client's end of a WebSocket (RFC 6455) that carries binary messages."""

    BINARY, CLOSE, PING, PONG = 2, 8, 9, 10

    def __init__(self, hub, path="/v1/fleet", protocol="umbel.v1"):
        self.socket, self.certificate = hub.dial()
        self.lock, self.stream = threading.Lock(), self.socket.makefile("rb")
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        self.socket.sendall((f"GET {path} HTTP/1.1\r\nHost: {hub.host}:{hub.port}\r\nUpgrade: websocket\r\n"
                             f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
                             f"Sec-WebSocket-Protocol: {protocol}\r\n\r\n").encode())
        status, fields = self.stream.readline().decode(), {}
        while line := self.stream.readline().decode().strip():
            name, _, value = line.partition(":")
            fields[name.lower()] = value.strip()
        proof = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        if " 101 " not in status or fields.get("sec-websocket-protocol") != protocol or \
                fields.get("sec-websocket-accept") != base64.b64encode(proof).decode():
            raise ConnectionError(f"the hub answered {status.strip()}, expected a session of {protocol}")

    def send(self, payload, kind=BINARY):
        size = len(payload)
        head = bytes([0x80 | kind]) + (bytes([0x80 | size]) if size < 126 else struct.pack(">BH", 0xFE, size)
                                       if size < 1 << 16 else struct.pack(">BQ", 0xFF, size))
        mask = secrets.token_bytes(4)
        pad = (mask * (size // 4 + 1))[:size]
        masked = (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")
        with self.lock:
            self.socket.sendall(head + mask + masked)

    def exactly(self, size):
        data = self.stream.read(size)
        if len(data) != size:
            raise ConnectionError("the connection was cut")
        return data

    def frame(self):
        """The next frame's first byte and its payload."""
        first, size = self.exactly(2)
        if size > 125:
            size, = struct.unpack(*((">H", self.exactly(2)) if size == 126 else (">Q", self.exactly(8))))
        return first, self.exactly(size)

    def receive(self):
        """The next message; None if the hub closed the session."""
        message = b""
        while True:
            first, payload = self.frame()
            kind = first & 15
            if kind == self.PING:
                self.send(payload, self.PONG)
            elif kind == self.CLOSE:
                return None
            elif kind != self.PONG:
                message += payload
                if first & 0x80:
                    return message

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()


# --- The node --------------------------------------------------------------------------------------

class Dropped(Exception):
    """The hub has no more use for what is being done."""


class Work:
    """One instruction, from its Assign until the hub has no more use for it."""

    def __init__(self, assign):
        self.assign, self.reply, self.blob, self.crcs = assign, None, b"", []
        self.hurry_at, self.dropped = None, False


class Node:
    def __init__(self, hub, seed):
        self.hub, self.seed, self.works, self.lock = hub, seed, {}, threading.RLock()
        self.changed = threading.Condition(self.lock)  # there is a token, or something was dropped
        self.session, self.token, self.inline_max = None, "", 0
        self.draining = self.over = False
        self.todo, self.uploads = queue.Queue(), queue.Queue()
        for loop in (self.work_loop, self.upload_loop):
            threading.Thread(target=loop, daemon=True).start()

    def run(self):
        """Joins the hub, again and again, until refused (2) or drained (0)."""
        self.tries = 0
        while not self.over:
            try:
                self.converse(WebSocket(self.hub))
            except PermissionError as refusal:
                print(f"node: refused: {refusal}", file=sys.stderr, flush=True)
                return 2
            except (OSError, ValueError) as error:
                print(f"node: no session: {error}", file=sys.stderr, flush=True)
            if not self.over:
                time.sleep(min(3, 0.1 * 2 ** min(self.tries, 10)) * random.uniform(0.5, 1))
                self.tries += 1
        return 0

    def converse(self, session):
        """One session, from Hello to its end."""
        try:
            self.greet(session)
            while (message := session.receive()) is not None:
                frame = decode("HubFrame", message)
                for kind, fields in frame.items():  # one, or none if it is of a kind not known here
                    self.take(kind, fields)
        finally:
            with self.lock:
                self.session, self.token = None, ""
            session.close()

    def greet(self, session):
        nonce, holding = secrets.token_bytes(32), list(self.works)
        session.send(encode("NodeFrame", {"hello": {
            "versions": [1], "public_key": public_key(self.seed), "nonce": nonce, "holding": holding,
            "software": "umbel one-file node", "platform": f"python-{sys.platform}"}}))
        challenge = self.expect(session, "challenge")
        if challenge["version"] != 1:
            raise PermissionError(f"the hub speaks version {challenge['version']}")
        text = b"umbel.v1 node session" + challenge["nonce"] + nonce + session.certificate
        session.send(encode("NodeFrame", {"proof": {"signature": sign(self.seed, text)}}))
        welcome = self.expect(session, "welcome")
        print(f"node: joined as {welcome['name']}", flush=True)
        self.tries = 0
        with self.lock:
            self.session, self.token, self.inline_max = session, welcome["token"], welcome["inline_bytes_max"]
            self.changed.notify_all()
            for instruction in set(holding) - set(welcome["keep"]):
                self.drop(instruction)
            if self.draining:
                self.tell(draining={})
            for instruction in list(self.works):
                self.tell_result(instruction)

    def expect(self, session, wanted):
        while (message := session.receive()) is not None:
            frame = decode("HubFrame", message)
            if "refusal" in frame:
                raise PermissionError(f"{frame['refusal']['code']}: {frame['refusal']['reason']}")
            if wanted in frame:
                return frame[wanted]
            if frame:
                raise ConnectionError(f"the hub said {list(frame)}, expected {wanted}")
        raise ConnectionError("the hub ended the session")

    def tell(self, **frame):
        with self.lock:
            try:
                if self.session:
                    self.session.send(encode("NodeFrame", frame))
            except OSError:
                self.session.close()  # what matters is told again after the next Welcome

    def take(self, kind, fields):
        """One frame of the hub in an open session."""
        if kind == "refusal":
            raise PermissionError(f"{fields['code']}: {fields['reason']}")
        with self.lock:
            work = self.works.get(fields.get("instruction"))
            if kind == "assign":
                self.tell(accept={"instruction": fields["instruction"]})
                if work is None:
                    self.works[fields["instruction"]] = Work(fields)
                    self.todo.put(fields["instruction"])
                else:
                    self.tell_result(fields["instruction"])
            elif kind == "run_ended":
                for instruction in [i for i, w in self.works.items() if w.assign["run"]["id"] == fields["run"]]:
                    self.drop(instruction)
            elif work is None:
                return
            elif kind == "wrap_up":
                work.hurry_at = time.monotonic() + fields["seconds"]
            elif kind == "upload" and work.reply:
                self.uploads.put((work, fields["offset"]))
            elif kind in ("cancel", "done"):
                self.drop(fields["instruction"])

    def drop(self, instruction):
        if work := self.works.pop(instruction, None):
            work.dropped = True
            self.changed.notify_all()
        self.end_if_drained()

    def tell_result(self, instruction):
        work = self.works[instruction]
        if not work.reply:
            return
        reply = dict(work.reply)
        if work.blob:
            here = len(work.blob) <= self.inline_max
            blob = {"size": len(work.blob)} | ({"here": work.blob} if here else {"crc32": work.crcs})
            reply["content"] = dict(reply["content"], blob=blob)
        self.tell(result={"instruction": instruction, "reply": reply})

    def work_loop(self):
        """Handles instructions one after another."""
        while True:
            instruction = self.todo.get()
            work = self.works.get(instruction)
            if work is None:
                continue
            header = work.assign["message"]["header"]
            reply = {"header": dict(header, id=0, reply_to=header["id"], source=header["destination"],
                                    destination=header["source"])}
            try:
                if self.draining:
                    raise RuntimeError("the node is being shut down")
                reply["content"], work.blob = self.handle(work, header["type"])
            except Dropped:
                continue
            except Exception as error:  # whatever the user's code does wrong is for the hub to know
                reply["failure"] = {"code": "client-failed", "reason": f"{type(error).__name__}: {error}"[:4000]}
            work.crcs = chunk_crcs(work.blob)
            with self.lock:
                work.reply = reply
                if not work.dropped:
                    self.tell_result(instruction)

    def handle(self, work, kind):
        if kind != "train":
            raise ValueError(f"this node trains; \"{kind}\" is unknown here")
        content, run = work.assign["message"]["content"], work.assign["run"]
        blob = content["blob"] or {"size": 0, "here": b"", "id": 0, "crc32": []}
        data = blob["here"] if len(blob["here"]) == blob["size"] else self.fetch(work, blob)
        config = {setting["key"]: value_of(setting["value"]) for setting in run["config"]}
        for record in content["records"]:
            config.update({v["name"]: value_of(v["value"]) for v in (record["config"] or {"values": []})["values"]})
        arrays, metrics = train(arrays_of(content, data), config, lambda: work.hurry_at is not None)
        moved = blob_of(arrays)
        return reply_content(arrays, metrics, moved), moved

    def connected_token(self, work):
        """The session's token; waits for a session."""
        with self.changed:
            self.changed.wait_for(lambda: self.token or work.dropped)
            if work.dropped:
                raise Dropped
            return self.token

    def fetch(self, work, blob):
        """A blob from the hub, four chunks at a time; goes on with the last whole one after a cut."""
        data, failures = bytearray(), 0
        while len(data) < blob["size"]:
            end = min(len(data) + 4 * CHUNK, blob["size"])
            try:
                code, part = self.hub.request("GET", f"/v1/fleet/blobs/{blob['id']}", self.connected_token(work),
                                              headers={"Range": f"bytes={len(data)}-{end - 1}"})
            except (OSError, http.client.HTTPException):
                code, part = 503, b""
            if code not in (206, 401, 503):
                raise RuntimeError(f"the hub answered {code} about the message's arrays")
            good = 0
            while code == 206 and good < len(part):
                chunk = part[good:good + CHUNK]
                if zlib.crc32(chunk) != blob["crc32"][(len(data) + good) // CHUNK]:
                    break
                good += len(chunk)
            data += part[:good]
            failures = 0 if good else failures + 1
            if code == 206 and failures == 3:
                raise RuntimeError(f"the chunk at {len(data)} came with a wrong checksum three times")
            if not good:
                time.sleep(0.1)
        return bytes(data)

    def upload_loop(self):
        while True:
            work, offset = self.uploads.get()
            try:
                self.upload(work, offset)
            except Dropped:
                pass

    def upload(self, work, offset):
        """Sends a reply's blob from `offset` on; after a cut, from where the hub says."""
        path = f"/v1/fleet/replies/{work.assign['instruction']}"

        def rest():
            for at in range(offset, len(work.blob), CHUNK):
                if work.dropped:
                    raise Dropped
                yield work.blob[at:at + CHUNK]

        while offset < len(work.blob):
            token = self.connected_token(work)
            try:
                length = {"Content-Length": str(len(work.blob) - offset)}
                code, _ = self.hub.request("PUT", f"{path}?offset={offset}", token, rest(), length)
            except (OSError, http.client.HTTPException):
                code = 503
            if code == 200 or code not in (401, 412, 503):
                return  # it is whole; or the hub will say what it makes of it
            time.sleep(0.1)
            try:
                code, answer = self.hub.request("GET", path, self.connected_token(work))
                offset = json.loads(answer)["offset"] if code == 200 else len(work.blob) if code == 404 else offset
            except (OSError, http.client.HTTPException):
                pass

    def drain(self):
        """Takes no more work, finishes what there is, and ends."""
        with self.lock:
            self.draining = True
            self.tell(draining={})
            self.end_if_drained()

    def end_if_drained(self):
        if self.draining and not self.works:
            self.over = True
            if self.session:
                self.session.close()


def read_or_make_key(path):
    """A key's 32 secret bytes, as 64 digits in a file that only its owner may read."""
    try:
        with open(path) as file:
            return bytes.fromhex(file.read().strip())
    except FileNotFoundError:
        seed = secrets.token_bytes(32)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(seed.hex() + "\n")
        return seed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--superlink", required=True, help="the hub, HOST:PORT")
    parser.add_argument("--trust", help="sha256: and the digits of the hub's authority, as the hub prints them")
    parser.add_argument("--key", default="node.key", help="file of the node's key, made if it is not there")
    parser.add_argument("--no-tls", action="store_true", help="connect without TLS: for tests")
    arguments = parser.parse_args()
    if not arguments.trust and not arguments.no_tls:
        parser.error("--trust is needed")
    seed = read_or_make_key(arguments.key)
    print(f"node: its key is ed25519:{public_key(seed).hex()}", flush=True)
    node = Node(Hub(arguments.superlink, arguments.trust, not arguments.no_tls), seed)
    for number_ in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number_, lambda *_: threading.Thread(target=node.drain, daemon=True).start())
    sys.exit(node.run())


if __name__ == "__main__":
    main()

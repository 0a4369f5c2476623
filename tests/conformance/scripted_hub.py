"""A hub that does what a check says, and notes what a node does."""

import array
import base64
import hashlib
import json
import re
import secrets
import socket
import ssl
import subprocess
import threading
import urllib.parse

from checks import equal, require, until
from peers import PATIENCE, SERVER, Frames, umbel

INLINE_MAX = 256 << 10


def point_of(data):
    y = umbel.number(data) & 2**255 - 1
    x = umbel.x_of(y, data[31] >> 7)
    return x, y, 1, x * y % umbel.P


def verifies(key, message, signature):
    """Whether this is the key's Ed25519 signature of the message (RFC 8032)."""
    if len(signature) != 64:
        return False
    challenge = umbel.number(hashlib.sha512(signature[:32] + key + message).digest()) % umbel.ORDER
    right = umbel.add(point_of(signature[:32]), umbel.times(challenge, point_of(key)))
    return umbel.packed(umbel.times(umbel.number(signature[32:]), umbel.BASE)) == umbel.packed(right)


def make_certificates(folder):
    """An authority and a server's certificate for 127.0.0.1; the TLS context, trust, and the hash for proofs."""
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=kit")
    openssl("req", *new_key, "-keyout", "hub.key", "-out", "hub.csr", "-subj", "/CN=hub")
    openssl("x509", "-req", "-in", "hub.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
            "-extfile", "names", "-out", "hub.pem")
    pem = {name: (folder / f"{name}.pem").read_text() for name in ("hub", "ca")}
    (folder / "chain.pem").write_text(pem["hub"] + pem["ca"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "chain.pem", folder / "hub.key")
    digest = {name: hashlib.sha256(ssl.PEM_cert_to_DER_cert(text)) for name, text in pem.items()}
    return context, "sha256:" + digest["ca"].hexdigest(), digest["hub"].digest()


class HubSession(Frames, umbel.WebSocket):
    """The hub's end of a node's session."""

    heard = "NodeFrame"

    def __init__(self, connection, stream, head):
        self.socket, self.stream, self.lock, self.head = connection, stream, threading.Lock(), head
        self.hello, self.token, self.proof_holds = None, "", False
        accept = hashlib.sha1((head["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        self.socket.sendall((f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             f"Sec-WebSocket-Accept: {base64.b64encode(accept).decode()}\r\n"
                             f"Sec-WebSocket-Protocol: umbel.v1\r\n\r\n").encode())
        self.listen()

    def frame(self):
        first, size = self.exactly(2)
        require(size & 0x80, "a frame of a client is not masked")
        size &= 0x7F
        if size > 125:
            size = int.from_bytes(self.exactly(2 if size == 126 else 8), "big")
        mask, payload = self.exactly(4), self.exactly(size)
        pad = (mask * (size // 4 + 1))[:size]
        payload = (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")
        if first & 15 == self.PONG:
            self.pongs.append(payload)
        return first, payload

    def send(self, payload, kind=umbel.WebSocket.BINARY):
        size = len(payload)
        head = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big") if size < 1 << 16 else \
            b"\x7f" + size.to_bytes(8, "big")
        with self.lock:
            self.socket.sendall(bytes([0x80 | kind]) + head + payload)

    def result(self, instruction, seconds=20):
        """The NodeResult of an instruction; Accepts before it are passed over."""
        result = self.later("result", seconds)
        equal("NodeResult.instruction", result["instruction"], instruction)
        return result["reply"]


class ScriptedHub:
    """Serves one node at 127.0.0.1."""

    def __init__(self, context, certificate, bundle):
        self.context, self.certificate, self.bundle = context, certificate, bundle
        self.bundle_sha256 = hashlib.sha256(bundle).hexdigest()
        self.blobs, self.replies, self.puts, self.requests, self.faults = {}, {}, [], [], []
        self.sessions, self.changed, self.token, self.numbers = [], threading.Condition(), "", 1000
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, connection):
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            stream = connection.makefile("rb")
            while line := stream.readline().decode():
                method, target, _ = line.split(" ", 2)
                head = {}
                while field := stream.readline().decode().strip():
                    name, _, value = field.partition(":")
                    head[name.lower()] = value.strip()
                if "upgrade" in head:
                    with self.changed:
                        self.sessions.append(HubSession(connection, stream, head | {"target": target}))
                        return self.changed.notify_all()
                self.answer(connection, stream, method, target, head)
        except (OSError, ValueError, KeyError):
            pass  # the node, or a check, cut the connection
        connection.close()

    # --- sessions ---

    def next_session(self, seconds=PATIENCE):
        """A session that the node opened, its Hello read."""
        with self.changed:
            require(self.changed.wait_for(lambda: self.sessions, seconds), f"no session within {seconds} s")
            session = self.sessions.pop(0)
        session.hello = session.expect("hello")
        return session

    def welcome(self, session, keep=None, inline_max=INLINE_MAX):
        """Challenges the node, verifies its proof, and lets it in."""
        nonce = secrets.token_bytes(32)
        session.tell(challenge={"version": 1, "nonce": nonce})
        proof = session.expect("proof")
        text = b"umbel.v1 node session" + nonce + session.hello["nonce"] + self.certificate
        require(verifies(session.hello["public_key"], text, proof["signature"]), "the proof does not verify")
        self.token = session.token = secrets.token_hex(32)
        keep = session.hello["holding"] if keep is None else keep
        session.tell(welcome={"token": self.token, "name": "node-under-test", "inline_bytes_max": inline_max,
                              "heartbeat_seconds": 30, "keep": keep})
        return session

    def assignment(self, elements=4, kind="train", delay=0.0, run=None):
        """A new Assign, its model in the frame or to be fetched."""
        self.numbers += 1
        number = self.numbers
        model = array.array("f", [i % 97 / 97 for i in range(elements)]).tobytes()
        blob = {"size": len(model), "here": model}
        if len(model) > INLINE_MAX:
            self.blobs[number] = model
            blob = {"size": len(model), "id": number, "crc32": umbel.chunk_crcs(model)}
        settings = {"rounds": {"integer": 1}, "elements": {"integer": elements}, "delay": {"real": delay},
                    "deadline": {"real": 0.0}, "wrap-up": {"real": 0.0}}
        run = run or 1 + int(delay * 10)
        header = {"run": run, "id": number + 5, "source": SERVER, "destination": 3, "type": kind, "round": 7}
        values = [{"name": "round", "value": {"integer": 7}}]
        array_header = {"name": "w", "dtype": "float32", "shape": [elements]}
        assign = {"instruction": number, "client": 3,
                  "run": {"id": run, "seed": 1, "nodes": 5,
                          "config": [{"key": k, "value": v, "origin": "kit"} for k, v in settings.items()],
                          "bundle": {"sha256": self.bundle_sha256, "size": len(self.bundle),
                                     "id": "umbel/conformance@1.0.0"}},
                  "message": {"header": header, "content": {
                      "records": [{"name": "arrays", "arrays": {"arrays": [array_header]}},
                                  {"name": "config", "config": {"values": values}}],
                      "blob": blob}}}
        return umbel.decode("Assign", umbel.encode("Assign", assign))

    # --- requests ---

    def answer(self, connection, stream, method, target, head):
        url = urllib.parse.urlsplit(target)
        kind, _, name = url.path.removeprefix("/v1/fleet/").partition("/")
        token = head.get("authorization", "").removeprefix("Bearer ")
        fault = self.faults.pop(0) if self.faults and self.faults[0][0] == (method, kind) else (None, None)
        self.requests.append((method, kind, name, token))
        size = int(head.get("content-length", 0))
        if token != self.token:
            self.respond(connection, 401, b'{"error": "no such token", "code": "unauthenticated"}')
            connection.shutdown(socket.SHUT_RDWR)
        elif method == "PUT" and kind == "replies":
            offset = int(urllib.parse.parse_qs(url.query)["offset"][0])
            self.take_put(connection, stream, int(name), offset, size, fault[1])
        elif kind == "replies":
            self.respond(connection, 200, json.dumps({"offset": len(self.replies.get(int(name), b""))}).encode())
        elif kind == "blobs" and int(name) in self.blobs:
            self.send_part(connection, self.blobs[int(name)], head.get("range"), fault[1])
        elif kind == "bundles" and name == self.bundle_sha256:
            self.send_part(connection, self.bundle, head.get("range"), fault[1])
        else:
            self.respond(connection, 404, b'{"error": "not here", "code": "not-found"}')

    @staticmethod
    def respond(connection, code, body, more=""):
        connection.sendall(f"HTTP/1.1 {code} Status\r\nContent-Type: application/json\r\n"
                           f"Content-Length: {len(body)}\r\n{more}\r\n".encode() + body)

    def send_part(self, connection, data, asked, fault):
        """Bytes of `data`; with the fault "cut" half of them, with "corrupt" the last one changed."""
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", asked or "")
        first, last = (int(found[1]), int(found[2] or len(data) - 1)) if found else (0, len(data) - 1)
        part = bytearray(data[first:last + 1])
        more = f"Content-Range: bytes {first}-{first + len(part) - 1}/{len(data)}\r\n" if found else ""
        if fault == "corrupt":
            part[-1] ^= 1
        if fault == "cut":
            connection.sendall(f"HTTP/1.1 206 Partial\r\nContent-Length: {len(part)}\r\n{more}\r\n".encode()
                               + part[:len(part) // 2])
            return connection.shutdown(socket.SHUT_RDWR)
        self.respond(connection, 206 if found else 200, bytes(part), more)

    def take_put(self, connection, stream, instruction, offset, size, fault):
        """Bytes of a reply; with the fault "cut" the connection ends after half of them."""
        there = self.replies.setdefault(instruction, bytearray())
        note = {"instruction": instruction, "offset": offset, "size": size, "status": 200}
        if offset != len(there):
            note["status"] = 412
            self.puts.append(note)
            self.respond(connection, 412, b'{"error": "elsewhere", "code": "failed-precondition"}')
            return connection.shutdown(socket.SHUT_RDWR)
        data = stream.read(size // 2 if fault == "cut" else size)
        there += data
        self.puts.append(note)
        if fault == "cut":
            return connection.shutdown(socket.SHUT_RDWR)
        self.respond(connection, 200, json.dumps({"offset": len(there)}).encode())

    def upload(self, session, instruction, offset, size):
        """Asks for a reply's blob from `offset` on, and waits until the hub has `size` bytes of it."""
        self.replies[instruction] = self.replies.get(instruction, bytearray())[:offset]
        session.tell(upload={"instruction": instruction, "offset": offset})
        until(lambda: len(self.replies[instruction]) >= size, "the reply's bytes do not come", 20)
        return bytes(self.replies[instruction])

"""What the kit says to a hub: a scripted node, and a user."""

import base64
import hashlib
import json
import pathlib
import queue
import secrets
import struct
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples" / "one_file_node"))
import node as umbel  # noqa: E402  the codec, Ed25519 and the WebSocket of the one-file node
from checks import Wrong, equal, require  # noqa: E402

SERVER = 2**64 - 1  # the ServerApp's address
PATIENCE = 10
QUIET = 0.3  # how long nothing has to come where nothing may


def key_of_pem(path):
    """The 32 secret bytes of an Ed25519 key in PKCS #8."""
    lines = pathlib.Path(path).read_text().split("\n")
    return base64.b64decode("".join(line for line in lines if line and not line.startswith("-")))[-32:]


def text_of_key(seed):
    return "ed25519:" + umbel.public_key(seed).hex()


def proof_of(seed, challenge_nonce, hello_nonce, certificate):
    return umbel.sign(seed, b"umbel.v1 node session" + challenge_nonce + hello_nonce + certificate)


class Frames:
    """A WebSocket whose frames come on a thread of its own; `heard` is the kind of frames that come."""

    heard = ""

    def listen(self):
        self.socket.settimeout(None)
        self.frames, self.closed, self.pongs = queue.Queue(), threading.Event(), []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        try:
            while (message := self.receive()) is not None:
                for kind, fields in umbel.decode(self.heard, message).items():
                    self.frames.put((kind, fields))
        except (OSError, ValueError):
            pass  # the connection is over
        self.closed.set()
        self.frames.put((None, None))

    def frame(self):
        first, payload = super().frame()
        if first & 15 == self.PONG:
            self.pongs.append(payload)
        return first, payload

    def tell(self, **frame):
        self.send(umbel.encode("NodeFrame" if self.heard == "HubFrame" else "HubFrame", frame))

    def any_frame(self, seconds=PATIENCE):
        try:
            return self.frames.get(timeout=seconds)
        except queue.Empty:
            raise Wrong(f"no frame within {seconds} s") from None

    def expect(self, wanted, seconds=PATIENCE):
        """The next frame, which has to be of this kind."""
        kind, fields = self.any_frame(seconds)
        require(kind == wanted, f"came {kind} {fields}, expected {wanted}")
        return fields

    def later(self, wanted, seconds=PATIENCE):
        """The next frame of this kind; others are passed over."""
        while True:
            kind, fields = self.any_frame(seconds)
            require(kind is not None, f"the session ended, expected {wanted}")
            if kind == wanted:
                return fields

    def quiet(self, seconds=QUIET):
        try:
            raise Wrong(f"came {self.frames.get(timeout=seconds)}, expected nothing")
        except queue.Empty:
            pass


class Session(Frames, umbel.WebSocket):
    """A node's session."""

    heard = "HubFrame"

    def __init__(self, hub, **options):
        super().__init__(hub, **options)
        self.listen()

    def refused(self, code):
        refusal = self.expect("refusal")
        equal("Refusal.code", refusal["code"], code)
        require(self.closed.wait(PATIENCE), "the session stays open after a Refusal")


class ScriptedNode:
    """A node that does what a check says."""

    def __init__(self, hub, seed=None, name=""):
        self.hub, self.seed, self.name = hub, seed or secrets.token_bytes(32), name
        self.session, self.token, self.welcome = None, "", None

    def dial(self, extra=b"", **hello):
        """Opens a session as far as Hello; returns its nonce."""
        self.session = Session(self.hub)
        nonce = secrets.token_bytes(32)
        self.hello = {"versions": [1], "public_key": umbel.public_key(self.seed), "nonce": nonce,
                      "software": "conformance", "platform": "linux-x86_64"} | hello
        self.session.send(umbel.encode("NodeFrame", {"hello": self.hello}) if not extra else self.with_extra(extra))
        return self.hello["nonce"]

    def with_extra(self, extra):
        """The Hello with further fields in it."""
        body = umbel.encode("Hello", self.hello) + extra
        return umbel.varint(1 << 3 | 2) + umbel.varint(len(body)) + body

    def join(self, **hello):
        """Opens a session up to Welcome."""
        nonce = self.dial(**hello)
        challenge = self.session.expect("challenge")
        self.session.tell(proof={"signature": proof_of(self.seed, challenge["nonce"], nonce, self.session.certificate)})
        self.welcome = self.session.expect("welcome")
        self.token = self.welcome["token"]
        return self.session

    def assigned(self):
        """The next Assign, accepted."""
        assign = self.session.later("assign")
        self.session.tell(accept={"instruction": assign["instruction"]})
        return assign

    def request(self, method, path, body=None, headers=(), token=None):
        return self.hub.request(method, "/v1/fleet" + path, self.token if token is None else token, body, headers)

    def put(self, instruction, offset, data, headers=None):
        return self.request("PUT", f"/replies/{instruction}?offset={offset}", data,
                            headers or {"Content-Length": str(len(data))})

    def offset(self, instruction):
        code, answer = self.request("GET", f"/replies/{instruction}")
        equal("the code of GET replies/INSTRUCTION", code, 200)
        return json.loads(answer)["offset"]

    def leave(self):
        if self.session:
            self.session.close()


def reply_header(assign):
    header = assign["message"]["header"]
    return dict(header, id=0, reply_to=header["id"], source=header["destination"], destination=header["source"])


def reply_of(assign, value=0.25, shape=None, dtype="float32", examples=1, inline=True):
    """A reply to an Assign of the conformance app, and its blob: every weight is `value`."""
    head = umbel.headers(assign["message"]["content"])[0]
    shape = head["shape"] if shape is None else shape
    data = struct.pack("<f" if dtype == "float32" else "<d", value) * (shape[0] if shape else 1)
    array = {head["name"]: umbel.Array(dtype, shape, data)}
    content = umbel.reply_content(array, {"num-examples": examples}, data)
    content["blob"] |= {"here": data} if inline else {"crc32": umbel.chunk_crcs(data)}
    return {"header": reply_header(assign), "content": content}, data


def failure_of(assign, reason="it does not want to"):
    return {"header": reply_header(assign), "failure": {"code": "client-failed", "reason": reason}}


class User:
    """An account of a hub."""

    def __init__(self, hub, seed):
        self.hub, self.seed, self.token = hub, seed, ""

    def challenge(self):
        return json.loads(self.hub.request("GET", "/v1/challenge")[1])["nonce"]

    def login_body(self, nonce, certificate=None):
        mine = secrets.token_bytes(32)
        if certificate is None:
            connection, certificate = self.hub.dial()
            connection.close()
        text = b"umbel.v1 user login" + bytes.fromhex(nonce) + mine + certificate
        return {"key": text_of_key(self.seed), "nonce": nonce, "client-nonce": mine.hex(),
                "signature": umbel.sign(self.seed, text).hex()}

    def login(self):
        code, answer = self.call("POST", "/v1/login", self.login_body(self.challenge()))
        equal("the code of a login", code, 200)
        self.token = answer["token"]

    def call(self, method, path, body=None):
        """The code, and the JSON of the answer."""
        code, answer = self.hub.request(method, path, self.token, None if body is None else json.dumps(body))
        return code, json.loads(answer)

    def done(self, method, path, body=None):
        code, answer = self.call(method, path, body)
        require(code in (200, 201), f"{method} {path}: {code} {answer}")
        return answer

    def put_bundle(self, archive):
        sha256 = hashlib.sha256(archive).hexdigest()
        code, answer = self.hub.request("PUT", f"/v1/bundles/{sha256}", self.token, archive)
        require(code in (200, 201), f"PUT of the bundle: {code} {answer}")
        return sha256

    def logs(self, run):
        """What the ServerApp has logged so far."""
        _, answer = self.hub.request("GET", f"/v1/runs/{run}/events?after=0&wait=0", self.token)
        events = [json.loads(line).get("event", {}) for line in answer.decode().splitlines()]
        return [event["message"] for event in events if event.get("event") == "log"]

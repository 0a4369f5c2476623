"""The rules of docs/protocol.md that a hub keeps: greeting, sessions and requests.

Instructions are in hub_work_checks.py.
"""

import contextlib
import secrets
import struct
import time

from checks import Suite, equal, require, until
from peers import ScriptedNode, Session, User, proof_of, reply_of, text_of_key, umbel

suite = Suite()
FUTURE = umbel.varint(1000 << 3 | 2) + b"\x03abc" + umbel.varint(1001 << 3) + b"\x07"  # fields not known to anybody
# What the app's umbel.toml has: a hub takes settings from who starts the run, not from the bundle.
SETTINGS = {"rounds": 100000, "elements": 4, "delay": 0.0, "deadline": 0.0, "wrap_up": 0.0}
UNKNOWN_FRAME = umbel.varint(900 << 3 | 2) + b"\x00"


class HubKit:
    """The hub that is tested, its administrator, and a bundle of the conformance app."""

    def __init__(self, hub, admin_seed, archive):
        self.hub, self.admin = hub, User(hub, admin_seed)
        self.admin.login()
        self.archive, self.numbers = archive, 0
        self.bundle = self.admin.put_bundle(archive)
        self.silent_since, self.silent = time.monotonic(), Session(hub)

    def start_afresh(self):
        """Each check has nodes and a run of its own: nothing is left behind."""

    def node(self, stack, join=True):
        """A registered node, which leaves and is unregistered with the check."""
        self.numbers += 1
        node = ScriptedNode(self.hub, name=f"conformance-{secrets.token_hex(4)}-{self.numbers}")
        self.admin.done("POST", "/v1/nodes", {"name": node.name, "key": text_of_key(node.seed)})
        stack.callback(self.admin.call, "DELETE", f"/v1/nodes/{node.name}")
        stack.callback(node.leave)
        if join:
            node.join()
        return node

    def run(self, stack, nodes, **config):
        """A run of the conformance app, which is stopped with the check."""
        settings = [{"key": key.replace("_", "-"), "value": value, "origin": "kit"}
                    for key, value in (SETTINGS | config).items()]
        run = self.admin.done("POST", "/v1/runs", {"bundle": self.bundle, "nodes": nodes, "seed": 1,
                                                   "run-config": settings})["run-id"]
        stack.callback(self.stop, run)
        return run

    def stop(self, run):
        self.admin.call("POST", f"/v1/runs/{run}/stop", {})
        until(lambda: self.status(run) in ("stopped", "completed", "failed"), f"run {run} does not stop")

    def status(self, run):
        return self.admin.done("GET", f"/v1/runs/{run}")["status"]

    def logged(self, run, line):
        until(lambda: line in self.admin.logs(run), f"the ServerApp does not log \"{line}\"")


@suite.check
def health_needs_no_login(kit, stack):
    for path in ("/healthz", "/readyz"):
        equal(f"the code of {path}", kit.hub.request("GET", path)[0], 200)


@suite.check
def errors_are_json_with_a_code(kit, stack):
    code, answer = kit.admin.call("GET", "/v1/no-such-thing")
    equal("the HTTP code", code, 404)
    equal("the code", answer["code"], "not-found")
    require(answer["error"], "there is no text")


@suite.check
def control_refuses_who_is_not_logged_in(kit, stack):
    for token in ("", "0" * 64):
        equal("the code", kit.hub.request("GET", "/v1/runs", token)[0], 401)


@suite.check
def login_challenge_is_good_once(kit, stack):
    body = kit.admin.login_body(kit.admin.challenge())
    equal("the first login", kit.admin.call("POST", "/v1/login", body)[0], 200)
    equal("the second login", kit.admin.call("POST", "/v1/login", body)[0], 401)


@suite.check
def login_signed_for_another_certificate_is_refused(kit, stack):
    body = kit.admin.login_body(kit.admin.challenge(), certificate=secrets.token_bytes(32))
    equal("the code", kit.admin.call("POST", "/v1/login", body)[0], 401)


@suite.check
def login_of_an_unknown_key_is_refused(kit, stack):
    stranger = User(kit.hub, secrets.token_bytes(32))
    equal("the code", stranger.call("POST", "/v1/login", stranger.login_body(stranger.challenge()))[0], 401)


@suite.check
def users_cannot_administrate(kit, stack):
    user, name = User(kit.hub, secrets.token_bytes(32)), f"user-{secrets.token_hex(4)}"
    kit.admin.done("POST", "/v1/accounts", {"name": name, "key": text_of_key(user.seed), "role": "user"})
    stack.callback(kit.admin.call, "DELETE", f"/v1/accounts/{name}")
    user.login()
    for method, path in (("POST", "/v1/nodes"), ("GET", "/v1/accounts"), ("GET", "/metrics"), ("GET", "/v1/audit")):
        equal(f"the code of {method} {path}", user.call(method, path, {} if method == "POST" else None)[0], 403)


@suite.check
def upgrade_needs_the_subprotocol(kit, stack):
    try:
        Session(kit.hub, protocol="umbel.v0").close()
    except ConnectionError as error:
        require(" 400 " in str(error), f"{error}; expected 400")
    else:
        require(False, "the hub opened a session of another subprotocol")


@suite.check
def hello_without_a_common_version_is_refused(kit, stack):
    node = kit.node(stack, join=False)
    node.dial(versions=[98, 99])
    node.session.refused("version")


@suite.check
def common_version_is_chosen_among_several(kit, stack):
    node = kit.node(stack, join=False)
    node.dial(versions=[99, 1, 98])
    equal("Challenge.version", node.session.expect("challenge")["version"], 1)


@suite.check
def features_that_are_not_known_are_not_used(kit, stack):
    node = kit.node(stack, join=False)
    node.dial(features=["from-the-future"])
    equal("Challenge.features", node.session.expect("challenge")["features"], [])


@suite.check
def unknown_fields_of_hello_are_ignored(kit, stack):
    node = kit.node(stack, join=False)
    node.dial(extra=FUTURE)
    node.session.expect("challenge")


@suite.check
def unknown_key_is_refused(kit, stack):
    node = ScriptedNode(kit.hub)
    stack.callback(node.leave)
    nonce = node.dial()
    challenge = node.session.expect("challenge")
    node.session.tell(proof={"signature": proof_of(node.seed, challenge["nonce"], nonce, node.session.certificate)})
    node.session.refused("unknown-key")


def greeted_with(kit, stack, signature_of):
    """A greeting whose proof is what signature_of(node, challenge nonce, hello nonce) gives."""
    node = kit.node(stack, join=False)
    nonce = node.dial()
    challenge = node.session.expect("challenge")["nonce"]
    node.session.tell(proof={"signature": signature_of(node, challenge, nonce)})
    node.session.refused("bad-signature")


@suite.check
def proof_of_another_key_is_refused(kit, stack):
    greeted_with(kit, stack, lambda node, challenge, nonce: proof_of(secrets.token_bytes(32), challenge, nonce,
                                                                     node.session.certificate))


@suite.check
def proof_for_another_certificate_is_refused(kit, stack):
    greeted_with(kit, stack, lambda node, challenge, nonce: proof_of(node.seed, challenge, nonce,
                                                                     secrets.token_bytes(32)))


@suite.check
def proof_for_other_nonces_is_refused(kit, stack):
    greeted_with(kit, stack, lambda node, challenge, nonce: proof_of(node.seed, nonce, challenge,
                                                                     node.session.certificate))


@suite.check
def replayed_greeting_is_refused(kit, stack):
    node = kit.node(stack, join=False)
    nonce = node.dial()
    signature = proof_of(node.seed, node.session.expect("challenge")["nonce"], nonce, node.session.certificate)
    node.session.tell(proof={"signature": signature})
    node.session.expect("welcome")
    again = ScriptedNode(kit.hub, node.seed)
    stack.callback(again.leave)
    again.dial(nonce=nonce)
    again.session.expect("challenge")
    again.session.tell(proof={"signature": signature})
    again.session.refused("bad-signature")
    node.session.quiet()  # and the session that there is goes on


@suite.check
def challenges_differ(kit, stack):
    nonces = set()
    for _ in range(3):
        node = kit.node(stack, join=False)
        node.dial()
        nonces.add(node.session.expect("challenge")["nonce"])
    equal("the number of nonces", len(nonces), 3)
    equal("their lengths", {len(nonce) for nonce in nonces}, {32})


@suite.check
def welcome_has_what_a_node_needs(kit, stack):
    node = kit.node(stack)
    equal("Welcome.name", node.welcome["name"], node.name)
    require(node.welcome["token"] and len(node.welcome["token"]) <= 255, "Welcome.token is empty or too long")
    require(node.welcome["inline_bytes_max"] <= 8 << 20, "Welcome.inline_bytes_max does not fit a frame")
    require(node.welcome["heartbeat_seconds"] > 0, "Welcome.heartbeat_seconds is 0")
    equal("Welcome.keep", node.welcome["keep"], [])


@suite.check
def frames_before_welcome_are_out_of_turn(kit, stack):
    for frame in ({"draining": {}}, {"accept": {"instruction": 1}}, {"proof": {"signature": bytes(64)}}):
        session = Session(kit.hub)
        session.tell(**frame)
        session.refused("out-of-turn")


@suite.check
def greeting_within_a_session_is_out_of_turn(kit, stack):
    for second in ("hello", "proof"):
        node = kit.node(stack)
        node.session.tell(**({"hello": node.hello} if second == "hello" else {"proof": {"signature": bytes(64)}}))
        node.session.refused("out-of-turn")


@suite.check
def oversized_hello_ends_the_session(kit, stack):
    session = Session(kit.hub)
    with contextlib.suppress(OSError):  # it may be cut before all of it is sent
        session.send(bytes(70 << 10))
    kind, fields = session.any_frame()
    require(kind is None or kind == "refusal", f"came {kind} {fields}")
    require(session.closed.wait(10), "the session stays open")


@suite.check
def malformed_hello_is_refused(kit, stack):
    short_nonce = umbel.encode("NodeFrame", {"hello": {"versions": [1], "nonce": b"short"}})
    for data in (b"\x0a\x05\x01", b"\xff" * 11, short_nonce):
        session = Session(kit.hub)
        session.send(data)
        session.refused("bad-frame")


@suite.check
def hello_beyond_a_limit_is_refused(kit, stack):
    for change in ({"versions": [1] * 65}, {"features": ["f"] * 65}, {"features": ["f" * 256]}, {"software": "s" * 256},
                   {"platform": "p" * 256}, {"holding": list(range(10_001))}, {"public_key": bytes(31)}):
        node = kit.node(stack, join=False)
        node.dial(**change)
        node.session.refused("bad-frame")


@suite.check
def hello_at_the_limits_is_taken(kit, stack):
    node = kit.node(stack, join=False)
    node.dial(versions=[1] * 64, features=["f" * 255] * 64, software="s" * 255, platform="p" * 255,
              holding=list(range(10_000)))
    node.session.expect("challenge")


@suite.check
def numbers_may_come_unpacked(kit, stack):
    node = kit.node(stack, join=False)
    node.dial(versions=[], extra=umbel.varint(1 << 3) + b"\x63" + umbel.varint(1 << 3) + b"\x01")  # 99 and 1
    equal("Challenge.version", node.session.expect("challenge")["version"], 1)


@suite.check
def text_that_is_not_utf8_is_refused(kit, stack):
    node = kit.node(stack, join=False)
    node.dial(extra=umbel.varint(6 << 3 | 2) + b"\x02\xc3\x28")
    node.session.refused("bad-frame")


@suite.check
def oversized_frame_in_a_session_ends_it(kit, stack):
    node = kit.node(stack)
    with contextlib.suppress(OSError):
        node.session.send(bytes((16 << 20) + 1))
    require(node.session.closed.wait(10), "the session stays open")


@suite.check
def unknown_frame_before_welcome_is_refused(kit, stack):
    session = Session(kit.hub)
    session.send(UNKNOWN_FRAME)
    session.refused("bad-frame")


@suite.check
def unknown_frame_in_a_session_is_ignored(kit, stack):
    node = kit.node(stack)
    node.session.send(UNKNOWN_FRAME)
    node.session.quiet()
    require(not node.session.closed.is_set(), "the session ended")


@suite.check
def malformed_frame_in_a_session_is_refused(kit, stack):
    node = kit.node(stack)
    node.session.send(b"\x22\x05\x01")
    node.session.refused("bad-frame")


@suite.check
def text_message_ends_the_session(kit, stack):
    node = kit.node(stack)
    node.session.send(b"hello", 1)
    require(node.session.closed.wait(10), "the session stays open")


@suite.check
def ping_is_answered(kit, stack):
    node = kit.node(stack)
    pongs = node.session.pongs
    node.session.send(b"are you there?", umbel.WebSocket.PING)
    until(lambda: pongs, "no pong")
    equal("the pong's payload", pongs[0], b"are you there?")


@suite.check
def new_session_ends_the_one_before_and_its_token(kit, stack):
    node = kit.node(stack)
    first, token = node.session, node.token
    node.join()
    require(first.closed.wait(10), "the first session stays open")
    equal("the code with the first session's token", node.request("GET", "/blobs/1", token=token)[0], 401)
    equal("the code with the second's", node.request("GET", "/blobs/1")[0], 404)


@suite.check
def unregistered_node_is_cut_off_at_once(kit, stack):
    node = kit.node(stack)
    kit.admin.done("DELETE", f"/v1/nodes/{node.name}")
    node.session.refused("unregistered")
    equal("the code with its token", node.request("GET", "/blobs/1")[0], 401)


@suite.check
def transfers_need_a_token(kit, stack):
    for token in ("", "0" * 64, kit.admin.token):
        for path in ("/v1/fleet/blobs/1", f"/v1/fleet/bundles/{kit.bundle}", "/v1/fleet/replies/1"):
            equal(f"the code of {path}", kit.hub.request("GET", path, token)[0], 401)


@suite.check
def nodes_cannot_use_control(kit, stack):
    equal("the code", kit.hub.request("GET", "/v1/runs", kit.node(stack).token)[0], 401)


@suite.check
def draining_node_is_shown_and_not_asked(kit, stack):
    node, other = kit.node(stack), kit.node(stack)
    node.session.tell(draining={})
    until(lambda: [one["status"] for one in kit.admin.done("GET", "/v1/nodes")["nodes"] if one["name"] == node.name]
          == ["draining"], "it is not shown as draining")
    kit.run(stack, 1)
    other.assigned()
    node.session.quiet()


@suite.check
def one_key_is_one_node(kit, stack):
    node = kit.node(stack, join=False)
    code, _ = kit.admin.call("POST", "/v1/nodes", {"name": node.name + "-b", "key": text_of_key(node.seed)})
    equal("the code", code, 409)


def close_to(what, data, value):
    got, = struct.unpack("<f", data[:4])
    require(abs(got - value) < 1e-6, f"{what} is {got}, expected {value}")


def answer(node, assign, value=0.25):
    """Answers an Assign with a small reply; the Done."""
    reply, _ = reply_of(assign, value)
    node.session.tell(result={"instruction": assign["instruction"], "reply": reply})
    return node.session.later("done")

"""The rules of docs/protocol.md that a node keeps, against the kit's scripted hub.

The node trains: it answers "train" with arrays of the message's layout and the metric "num-examples".  The run's
setting "delay" is the seconds that its work takes unless it is asked to wrap up.
"""

import signal
import subprocess
import time

from checks import Skipped, Suite, equal, require, until
from hub_checks import FUTURE, UNKNOWN_FRAME
from peers import QUIET, SERVER, umbel
from scripted_hub import INLINE_MAX, ScriptedHub, make_certificates

suite = Suite()
LARGE = 700_000  # elements: 2.8 MB, three chunks
LONG = 60.0  # seconds: work that nobody waits for


class NodeKit:
    """The node that is tested, as a process, and its hub."""

    def __init__(self, command, archive, folder, stack):
        context, trust, certificate = None, "", bytes(32)
        if any("{trust}" in word for word in command):
            context, trust, certificate = make_certificates(folder)
        self.hub = ScriptedHub(context, certificate, archive)
        self.words, self.folder, self.trust = command, folder, trust
        self.command = self.filled_in("state", trust)
        self.log = stack.enter_context(open(folder / "node.log", "w"))
        self.process, self.session, self.first = None, None, None
        stack.callback(self.kill)

    def filled_in(self, state, trust):
        """The command for a node whose folder is `state`."""
        (self.folder / state).mkdir()
        return [word.format(address=self.hub.address, trust=trust, state=self.folder / state) for word in self.words]

    def start(self, command):
        return subprocess.Popen(command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    def start_afresh(self):
        """What a failed check leaves behind is not for the next one."""
        self.kill()
        self.hub.sessions.clear()
        self.hub.faults.clear()

    def open(self, **welcome):
        """The node's open session; starts the node, and lets it in, if need be."""
        if self.process is None or self.process.poll() is not None:
            self.process = self.start(self.command)
            self.session = None
        if self.session is None or self.session.closed.is_set():
            self.session = self.hub.welcome(self.hub.next_session(), **welcome)
            self.first = self.first or self.session
        return self.session

    def reopen(self, **welcome):
        """Cuts the session; the one that the node opens then."""
        self.session.close()
        require(self.session.closed.wait(5), "the session cannot be cut")
        return self.open(**welcome)

    def assign(self, session, **options):
        assign = self.hub.assignment(**options)
        session.tell(assign=assign)
        return assign

    def holding(self):
        """What the node still has, by the Hello of its next session."""
        return sorted(self.reopen().hello["holding"])

    def end(self, session, *assigns):
        """The hub has no more use for these instructions."""
        for assign in assigns:
            session.tell(done={"instruction": assign["instruction"], "counted": True})


def check_reply(assign, reply):
    """A sound reply to a train message; its Blob."""
    message, header = assign["message"]["header"], reply["header"]
    equal("the reply's Header", {key: header[key] for key in header if key != "id"},
          {"run": message["run"], "reply_to": message["id"], "source": assign["client"], "destination": SERVER,
           "type": message["type"], "round": message["round"]})
    require(reply["content"] and not reply["failure"], f"the reply is a failure: {reply['failure']}")
    equal("the reply's arrays", umbel.headers(reply["content"]), umbel.headers(assign["message"]["content"]))
    metrics = [record["metrics"] for record in reply["content"]["records"] if record["metrics"]][0]["values"]
    values = {metric["name"]: umbel.value_of(metric["value"]) for metric in metrics}
    require(values.get("num-examples", 0) > 0, f"num-examples is missing or not above 0: {values}")
    return reply["content"]["blob"]


def check_failure(reply):
    require(reply["failure"], "the reply is not a failure")
    require(reply["failure"]["code"] in ("client-failed", "unknown-action"), f"its code is {reply['failure']['code']}")
    require(reply["failure"]["reason"], "its reason is empty")


@suite.check
def session_is_opened_with_the_subprotocol(kit, stack):
    session = kit.open()
    head = session.head
    equal("the path", head["target"], "/v1/fleet")
    require("umbel.v1" in head["sec-websocket-protocol"], "the subprotocol umbel.v1 is not asked for")


@suite.check
def hello_has_what_a_hub_needs(kit, stack):
    kit.open()
    hello = kit.first.hello
    require(1 in hello["versions"], "version 1 is not among Hello.versions")
    equal("the lengths of key and nonce", (len(hello["public_key"]), len(hello["nonce"])), (32, 32))
    equal("Hello.holding of a node that was just started", hello["holding"], [])
    require(0 < len(hello["software"]) < 256 and 0 < len(hello["platform"]) < 256, "software or platform")


@suite.check
def key_stays_and_nonces_differ(kit, stack):
    first = kit.open().hello
    second = kit.reopen().hello
    equal("the key", second["public_key"], first["public_key"])
    require(second["nonce"] != first["nonce"], "the nonce is the same twice")


@suite.check
def proof_is_signed_for_this_certificate_and_these_nonces(kit, stack):
    kit.open()
    kit.reopen()  # welcome() verifies it


@suite.check
def nothing_is_said_before_the_challenge_and_the_welcome(kit, stack):
    session = kit.open()
    session.close()
    session = kit.hub.next_session()
    session.quiet()
    session.tell(challenge={"version": 1, "nonce": bytes(range(32))})
    session.expect("proof")
    session.quiet()
    session.close()
    kit.open()


@suite.check
def ping_is_answered(kit, stack):
    session = kit.open()
    session.send(b"still there?", umbel.WebSocket.PING)
    until(lambda: session.pongs, "no pong")
    equal("the pong's payload", session.pongs[0], b"still there?")


@suite.check
def unknown_frames_and_fields_are_ignored(kit, stack):
    session = kit.open()
    session.send(UNKNOWN_FRAME)
    assign = kit.hub.assignment()
    body = umbel.encode("Assign", assign) + FUTURE
    session.send(umbel.varint(4 << 3 | 2) + umbel.varint(len(body)) + body + FUTURE)
    check_reply(assign, session.result(assign["instruction"]))
    kit.end(session, assign)


@suite.check
def assign_is_accepted_and_answered(kit, stack):
    session = kit.open()
    assign = kit.assign(session)
    equal("Accept.instruction", session.expect("accept")["instruction"], assign["instruction"])
    blob = check_reply(assign, session.result(assign["instruction"]))
    equal("the blob", (blob["size"], len(blob["here"]), blob["crc32"]), (16, 16, []))
    session.quiet()
    kit.end(session, assign)


@suite.check
def what_cannot_be_done_is_answered_with_a_failure(kit, stack):
    session = kit.open()
    assign = kit.assign(session, kind="query.nothing")
    check_failure(session.result(assign["instruction"]))
    kit.end(session, assign)


@suite.check
def duplicate_assign_of_running_work_is_ignored(kit, stack):
    session = kit.open()
    assign = kit.assign(session, delay=1.5)
    session.expect("accept")
    session.tell(assign=assign)
    check_reply(assign, session.result(assign["instruction"], seconds=2.7))  # it is not begun again
    session.quiet(1.6)
    kit.end(session, assign)


@suite.check
def duplicate_assign_of_kept_work_is_answered_again(kit, stack):
    session = kit.open()
    assign = kit.assign(session)
    reply = session.result(assign["instruction"])
    session.tell(assign=assign)
    equal("the second NodeResult", session.result(assign["instruction"]), reply)
    kit.end(session, assign)


@suite.check
def several_instructions_are_all_answered(kit, stack):
    session = kit.open()
    assigns = [kit.assign(session) for _ in range(5)]
    results = [session.later("result")["instruction"] for _ in assigns]
    equal("the instructions", sorted(results), [assign["instruction"] for assign in assigns])
    kit.end(session, *assigns)


@suite.check
def large_model_is_fetched_and_the_reply_waits_for_upload(kit, stack):
    session = kit.open()
    assign = kit.assign(session, elements=LARGE)
    blob = check_reply(assign, session.result(assign["instruction"]))
    equal("the reply's Blob", (blob["size"], len(blob["here"]), len(blob["crc32"])), (4 * LARGE, 0, 3))
    time.sleep(QUIET)
    equal("what came without Upload", [put for put in kit.hub.puts if put["instruction"] == assign["instruction"]], [])
    data = kit.hub.upload(session, assign["instruction"], 0, blob["size"])
    equal("the chunks' CRC-32", umbel.chunk_crcs(data), blob["crc32"])
    again = kit.hub.upload(session, assign["instruction"], 0, blob["size"])
    require(again == data, "Upload{0} again gives other bytes")
    part = kit.hub.upload(session, assign["instruction"], 1 << 20, blob["size"])
    require(part == data, "Upload{1048576} gives other bytes")
    equal("the last PUT's offset", kit.hub.puts[-1]["offset"], 1 << 20)
    kit.end(session, assign)


@suite.check
def torn_download_goes_on(kit, stack):
    session = kit.open()
    kit.hub.faults = [(("GET", "blobs"), "cut")]
    assign = kit.assign(session, elements=LARGE)
    check_reply(assign, session.result(assign["instruction"]))
    equal("the faults that were not met", kit.hub.faults, [])
    kit.end(session, assign)


@suite.check
def chunk_with_a_wrong_checksum_is_fetched_again(kit, stack):
    session = kit.open()
    clean = kit.assign(session, elements=LARGE)
    expected = check_reply(clean, session.result(clean["instruction"]))["crc32"]
    kit.hub.faults = [(("GET", "blobs"), "corrupt")]
    assign = kit.assign(session, elements=LARGE)
    equal("the reply", check_reply(assign, session.result(assign["instruction"]))["crc32"], expected)
    equal("the faults that were not met", kit.hub.faults, [])
    kit.end(session, clean, assign)


@suite.check
def chunk_that_stays_wrong_is_a_failure(kit, stack):
    session = kit.open()
    assign = kit.hub.assignment(elements=LARGE)
    number = assign["instruction"]
    kit.hub.blobs[number] = kit.hub.blobs[number][:-1] + b"\xff"
    session.tell(assign=assign)
    check_failure(session.result(number))
    asked = [request for request in kit.hub.requests if request[1:3] == ("blobs", str(number))]
    require(len(asked) <= 6, f"it was fetched {len(asked)} times")
    kit.end(session, assign)


@suite.check
def torn_upload_goes_on_where_it_was(kit, stack):
    session = kit.open()
    assign = kit.assign(session, elements=LARGE)
    blob = check_reply(assign, session.result(assign["instruction"]))
    kit.hub.faults = [(("PUT", "replies"), "cut")]
    data = kit.hub.upload(session, assign["instruction"], 0, blob["size"])
    equal("the chunks' CRC-32", umbel.chunk_crcs(data), blob["crc32"])
    offsets = [put["offset"] for put in kit.hub.puts if put["instruction"] == assign["instruction"]]
    equal("the PUTs' offsets", offsets, [0, blob["size"] // 2])
    kit.end(session, assign)


@suite.check
def inline_bytes_max_is_kept(kit, stack):
    kit.open()
    session = kit.reopen(inline_max=8)
    assign = kit.assign(session)
    blob = check_reply(assign, session.result(assign["instruction"]))
    equal("the Blob of a small reply", (blob["size"], blob["here"], len(blob["crc32"])), (16, b"", 1))
    data = kit.hub.upload(session, assign["instruction"], 0, 16)
    equal("its CRC-32", umbel.chunk_crcs(data), blob["crc32"])
    kit.end(session, assign)
    kit.reopen(inline_max=INLINE_MAX)


@suite.check
def done_lets_the_reply_go(kit, stack):
    session = kit.open()
    assigns = [kit.assign(session) for _ in range(2)]
    for _ in assigns:
        session.later("result")
    session.tell(done={"instruction": assigns[0]["instruction"], "counted": True})
    session.tell(done={"instruction": assigns[1]["instruction"], "counted": False, "reason": "it does not fit"})
    time.sleep(QUIET)
    equal("Hello.holding", kit.holding(), [])


@suite.check
def cancel_drops_work_without_an_answer(kit, stack):
    session = kit.open()
    assign = kit.assign(session, delay=1.0)
    session.expect("accept")
    session.tell(cancel={"instruction": assign["instruction"]})
    session.quiet(1.5)
    equal("Hello.holding", kit.holding(), [])


@suite.check
def wrap_up_ends_work_early(kit, stack):
    session = kit.open()
    assign = kit.assign(session, delay=LONG)
    session.expect("accept")
    time.sleep(1)
    session.tell(wrap_up={"instruction": assign["instruction"], "seconds": 5.0})
    check_reply(assign, session.result(assign["instruction"], 5))
    kit.end(session, assign)


@suite.check
def wrap_up_of_what_is_not_there_is_ignored(kit, stack):
    session = kit.open()
    for frame in ({"wrap_up": {"instruction": 7, "seconds": 1.0}}, {"upload": {"instruction": 7}},
                  {"cancel": {"instruction": 7}}, {"done": {"instruction": 7}}, {"run_ended": {"run": 777}}):
        session.tell(**frame)
    session.quiet()
    require(not session.closed.is_set(), "the session ended")


@suite.check
def run_ended_drops_its_work(kit, stack):
    session = kit.open()
    kept, other = kit.assign(session, run=501), kit.assign(session, run=502)
    for _ in range(2):
        session.later("result")
    session.tell(run_ended={"run": 501})
    time.sleep(QUIET)
    equal("Hello.holding", kit.holding(), [other["instruction"]])
    kit.session.result(other["instruction"])
    kit.end(kit.session, other)


@suite.check
def kept_reply_is_told_again_after_a_cut(kit, stack):
    session = kit.open()
    assign = kit.assign(session, elements=LARGE)
    reply = session.result(assign["instruction"])
    session = kit.reopen()
    equal("Hello.holding", session.hello["holding"], [assign["instruction"]])
    equal("the second NodeResult", session.result(assign["instruction"]), reply)
    data = kit.hub.upload(session, assign["instruction"], 0, 4 * LARGE)
    equal("the chunks' CRC-32", umbel.chunk_crcs(data), reply["content"]["blob"]["crc32"])
    kit.end(session, assign)


@suite.check
def work_goes_on_over_a_cut(kit, stack):
    session = kit.open()
    assign = kit.assign(session, delay=1.2)
    session.expect("accept")
    session = kit.reopen()
    equal("Hello.holding", session.hello["holding"], [assign["instruction"]])
    check_reply(assign, session.result(assign["instruction"]))
    kit.end(session, assign)


@suite.check
def what_is_not_in_keep_is_dropped(kit, stack):
    session = kit.open()
    kept, dropped = kit.assign(session), kit.assign(session)
    for _ in range(2):
        session.later("result")
    session = kit.reopen(keep=[kept["instruction"]])
    check_reply(kept, session.result(kept["instruction"]))
    session.quiet()
    equal("Hello.holding", kit.holding(), [kept["instruction"]])
    session = kit.session
    session.result(kept["instruction"])
    session.tell(assign=dropped)  # and it may be assigned again
    check_reply(dropped, session.result(dropped["instruction"]))
    kit.end(session, kept, dropped)


@suite.check
def requests_carry_the_token_of_the_session(kit, stack):
    session = kit.open()
    first = session.token
    session = kit.reopen()
    before = len(kit.hub.requests)
    assign = kit.assign(session, elements=LARGE)
    session.result(assign["instruction"])
    tokens = {request[3] for request in kit.hub.requests[before:]}
    require(session.token != first and tokens == {session.token}, "a request carries another token")
    kit.end(session, assign)


@suite.check
def bundle_is_fetched_once(kit, stack):
    session = kit.open()
    fetched = [request for request in kit.hub.requests if request[1] == "bundles"]
    if not fetched:
        raise Skipped("this node fetches no bundle")
    assign = kit.assign(session)
    session.result(assign["instruction"])
    equal("the fetches", len([request for request in kit.hub.requests if request[1] == "bundles"]), 1)
    kit.end(session, assign)


@suite.check
def bundle_that_was_changed_is_refused(kit, stack):
    session = kit.open()
    if not [request for request in kit.hub.requests if request[1] == "bundles"]:
        raise Skipped("this node fetches no bundle")
    sound = kit.hub.bundle, kit.hub.bundle_sha256
    kit.hub.bundle, kit.hub.bundle_sha256 = sound[0][:-1] + bytes([sound[0][-1] ^ 1]), "0" * 64
    try:
        assign = kit.assign(session, run=900)
        check_failure(session.result(assign["instruction"]))
        kit.end(session, assign)
    finally:
        kit.hub.bundle, kit.hub.bundle_sha256 = sound


@suite.check
def terminated_node_drains(kit, stack):
    session = kit.open()
    begun = kit.assign(session, delay=1.5)
    session.expect("accept")
    time.sleep(0.5)
    kit.process.send_signal(signal.SIGTERM)
    session.expect("draining")
    late = kit.assign(session)
    results = {result["instruction"]: result["reply"] for result in (session.later("result"), session.later("result"))}
    check_reply(begun, results[begun["instruction"]])
    check_failure(results[late["instruction"]])
    kit.end(session, begun, late)
    equal("the exit code", kit.process.wait(15), 0)


@suite.check
def hub_of_another_authority_is_not_believed(kit, stack):
    if not kit.trust:
        raise Skipped("without TLS")
    kit.kill()
    kit.hub.sessions.clear()
    stranger = stack.enter_context(kit.start(kit.filled_in("other-state", "sha256:" + "0" * 64)))
    stack.callback(stranger.kill)
    time.sleep(2)
    equal("the sessions that it opened", len(kit.hub.sessions), 0)


@suite.check
def version_that_the_node_does_not_speak_ends_the_session(kit, stack):
    session = kit.open()
    session.close()
    session = kit.hub.next_session()
    session.tell(challenge={"version": 99, "nonce": bytes(32)})
    kind, fields = session.any_frame()
    require(kind is None, f"came {kind} {fields}")
    kit.process.terminate()
    kit.process.wait(15)


@suite.check
def refused_node_does_not_hammer(kit, stack):
    session = kit.open()
    session.close()
    session = kit.hub.next_session()
    session.tell(refusal={"code": "unknown-key", "reason": "said by the kit"})
    session.close()
    time.sleep(1.8)
    equal("the sessions within 1.8 s of a Refusal", len(kit.hub.sessions), 0)
    kit.process.terminate()
    kit.process.wait(15)

"""The rules of docs/protocol.md that a hub keeps: instructions, replies, transfers."""

import hashlib
import http.client
import struct
import threading
import time
import zlib

from checks import equal, require, until
from hub_checks import FUTURE, answer, close_to, suite
from peers import SERVER, failure_of, reply_of, umbel

LARGE = 700_000  # elements: 2.8 MB, three chunks, the last one not full
TOO_LARGE_TO_KEEP = 1_200_000  # 4.8 MB: the kit starts its own hub with 4 MiB for replies


def blob_field(assign):
    return assign["message"]["content"]["blob"]


def offered(node, assign, value=0.25, **options):
    """Tells a large reply; its blob, once the hub wants it from the start."""
    reply, blob = reply_of(assign, value, inline=False, **options)
    node.session.tell(result={"instruction": assign["instruction"], "reply": reply})
    upload = node.session.later("upload")
    equal("Upload", (upload["instruction"], upload["offset"]), (assign["instruction"], 0))
    return blob


def done(node, assign, counted):
    frame = node.session.later("done")
    equal("Done.instruction", frame["instruction"], assign["instruction"])
    equal("Done.counted", frame["counted"], counted)
    require(counted or frame["reason"], "Done.reason is empty")


@suite.check
def assign_says_what_to_do(kit, stack):
    node = kit.node(stack)
    run = kit.run(stack, 1, elements=5)
    assign = node.assigned()
    header, info = assign["message"]["header"], assign["run"]
    equal("Header", (header["source"], header["destination"], header["run"], header["reply_to"], header["type"],
                     header["round"]), (SERVER, assign["client"], run, 0, "train", 1))
    equal("RunInfo", (info["id"], info["seed"], info["nodes"]), (run, 1, 1))
    settings = {setting["key"]: umbel.value_of(setting["value"]) for setting in info["config"]}
    equal("RunInfo.config[elements]", settings["elements"], 5)
    equal("RunInfo.bundle", (info["bundle"]["sha256"], info["bundle"]["size"], info["bundle"]["id"]),
          (kit.bundle, len(kit.archive), "umbel/conformance@1.0.0"))
    arrays = umbel.arrays_of(assign["message"]["content"], blob_field(assign)["here"])
    equal("the model", arrays, {"w": umbel.Array("float32", [5], bytes(20))})


@suite.check
def small_reply_counts_and_the_next_round_has_the_mean(kit, stack):
    nodes = [kit.node(stack), kit.node(stack)]
    run = kit.run(stack, 2)
    for node, value in zip(nodes, (1.0, 3.0)):
        equal("Done.counted", answer(node, node.assigned(), value)["counted"], True)
    for node in nodes:
        assign = node.assigned()
        equal("the round", assign["message"]["header"]["round"], 2)
        close_to("the mean", blob_field(assign)["here"], 2.0)
    kit.logged(run, "round 1: 2 replies, 0 failures")


@suite.check
def unknown_fields_of_a_reply_are_ignored(kit, stack):
    node = kit.node(stack)
    kit.run(stack, 1)
    assign = node.assigned()
    reply, _ = reply_of(assign)
    body = umbel.encode("NodeResult", {"instruction": assign["instruction"], "reply": reply}) + FUTURE
    node.session.send(umbel.varint(4 << 3 | 2) + umbel.varint(len(body)) + body + FUTURE)
    done(node, assign, True)


@suite.check
def reply_counts_once(kit, stack):
    nodes = [kit.node(stack), kit.node(stack)]
    run = kit.run(stack, 2)
    assigns = [node.assigned() for node in nodes]
    equal("Done.counted", answer(nodes[0], assigns[0], 1.0)["counted"], True)
    reply, _ = reply_of(assigns[0], 100.0)
    nodes[0].session.tell(result={"instruction": assigns[0]["instruction"], "reply": reply})
    kind = None if nodes[0].session.frames.empty() else nodes[0].session.any_frame()[0]
    require(kind in (None, "cancel"), f"a second reply is answered with {kind}")
    answer(nodes[1], assigns[1], 3.0)
    close_to("the mean", blob_field(nodes[1].assigned())["here"], 2.0)
    kit.logged(run, "round 1: 2 replies, 0 failures")


@suite.check
def reply_to_the_instruction_of_another_is_ignored(kit, stack):
    owner, thief = kit.node(stack), kit.node(stack)
    run = kit.run(stack, 2)
    owned, other = owner.assigned(), thief.assigned()
    for reply in (reply_of(owned, 100.0)[0], failure_of(owned)):
        thief.session.tell(result={"instruction": owned["instruction"], "reply": reply})
    thief.session.quiet()
    answer(owner, owned, 1.0)
    answer(thief, other, 3.0)
    close_to("the mean", blob_field(owner.assigned())["here"], 2.0)
    kit.logged(run, "round 1: 2 replies, 0 failures")


@suite.check
def reply_to_an_unknown_instruction_is_cancelled(kit, stack):
    node = kit.node(stack)
    kit.run(stack, 1)
    reply, _ = reply_of(node.assigned())
    node.session.tell(result={"instruction": 12345, "reply": reply})
    equal("Cancel.instruction", node.session.expect("cancel")["instruction"], 12345)


@suite.check
def replies_that_do_not_fit_fail_with_the_reason(kit, stack):
    node = kit.node(stack)
    run = kit.run(stack, 1)
    changes = {"nan": {"value": float("nan")}, "shape": {"shape": [3]}, "dtype": {"dtype": "float64"},
               "no weight": {"examples": 0}}
    for number, (what, change) in enumerate(changes.items(), 1):
        assign = node.assigned()
        reply, _ = reply_of(assign, **change)
        node.session.tell(result={"instruction": assign["instruction"], "reply": reply})
        done(node, assign, False)
        kit.logged(run, f"round {number}: 0 replies, 1 failures")


@suite.check
def reply_with_the_header_of_another_message_fails(kit, stack):
    node = kit.node(stack)
    kit.run(stack, 1)
    for field in ("reply_to", "source", "run"):
        assign = node.assigned()
        reply, _ = reply_of(assign)
        reply["header"][field] += 77
        node.session.tell(result={"instruction": assign["instruction"], "reply": reply})
        done(node, assign, False)


@suite.check
def failure_is_told_to_the_server_app(kit, stack):
    node = kit.node(stack)
    run = kit.run(stack, 1)
    assign = node.assigned()
    node.session.tell(result={"instruction": assign["instruction"], "reply": failure_of(assign)})
    done(node, assign, False)
    kit.logged(run, "round 1: 0 replies, 1 failures")


@suite.check
def bundle_is_for_nodes_that_were_assigned_its_run(kit, stack):
    node, other = kit.node(stack), kit.node(stack)
    other.session.tell(draining={})
    until(lambda: any(one["status"] == "draining" for one in kit.admin.done("GET", "/v1/nodes")["nodes"]), "not shown")
    kit.run(stack, 1)
    node.assigned()
    code, bundle = node.request("GET", f"/bundles/{kit.bundle}")
    equal("the code", code, 200)
    equal("the bundle's SHA-256", hashlib.sha256(bundle).hexdigest(), kit.bundle)
    equal("another node's code", other.request("GET", f"/bundles/{kit.bundle}")[0], 404)
    equal("the code of no bundle", node.request("GET", f"/bundles/{'0' * 64}")[0], 404)


@suite.check
def blob_comes_in_ranges_with_checksums(kit, stack):
    node, other = kit.node(stack), kit.node(stack)
    other.session.tell(draining={})
    until(lambda: any(one["status"] == "draining" for one in kit.admin.done("GET", "/v1/nodes")["nodes"]), "not shown")
    kit.run(stack, 1, elements=LARGE)
    blob = blob_field(node.assigned())
    equal("Blob", (blob["size"], len(blob["here"]), len(blob["crc32"])), (4 * LARGE, 0, 3))
    path = f"/blobs/{blob['id']}"
    code, whole = node.request("GET", path)
    equal("the whole", (code, len(whole)), (200, blob["size"]))
    equal("the chunks' CRC-32", umbel.chunk_crcs(whole), blob["crc32"])
    for asked, first, end in (("1048576-2097151", 1 << 20, 2 << 20), ("2097152-", 2 << 20, len(whole)), ("0-0", 0, 1)):
        code, part = node.request("GET", path, headers={"Range": f"bytes={asked}"})
        equal(f"bytes={asked}", (code, zlib.crc32(part), len(part)), (206, zlib.crc32(whole[first:end]), end - first))
    equal("a range beyond the end", node.request("GET", path, headers={"Range": f"bytes={len(whole)}-"})[0], 416)
    equal("another node's code", other.request("GET", path)[0], 404)


@suite.check
def large_reply_is_asked_for_and_counts(kit, stack):
    node = kit.node(stack)
    run = kit.run(stack, 1, elements=LARGE)
    assign = node.assigned()
    blob = offered(node, assign, 1.5)
    equal("the offset before", node.offset(assign["instruction"]), 0)
    code, body = node.put(assign["instruction"], 0, blob)
    equal("the PUT", (code, b'"offset"' in body), (200, True))
    done(node, assign, True)
    code, model = node.request("GET", f"/blobs/{blob_field(node.assigned())['id']}")
    equal("the next model", (code, model), (200, struct.pack("<f", 1.5) * LARGE))
    kit.logged(run, "round 1: 1 replies, 0 failures")


@suite.check
def upload_may_come_in_parts_and_only_from_where_it_is(kit, stack):
    node = kit.node(stack)
    kit.run(stack, 1, elements=LARGE)
    assign = node.assigned()
    instruction, blob = assign["instruction"], offered(node, assign)
    equal("a PUT from 5", node.put(instruction, 5, blob[5:])[0], 412)
    equal("a part", node.put(instruction, 0, blob[:1_500_000])[0], 200)
    equal("the offset", node.offset(instruction), 1_500_000)
    equal("a PUT from 0 again", node.put(instruction, 0, blob)[0], 412)
    equal("a PUT without ?offset", node.request("PUT", f"/replies/{instruction}", b"x")[0], 400)
    equal("the rest", node.put(instruction, 1_500_000, blob[1_500_000:])[0], 200)
    done(node, assign, True)


@suite.check
def upload_without_a_length_is_refused(kit, stack):
    node = kit.node(stack)
    kit.run(stack, 1, elements=LARGE)
    assign = node.assigned()
    blob = offered(node, assign)
    try:
        code, _ = node.put(assign["instruction"], 0, iter([blob]), {"Transfer-Encoding": "chunked"})
    except OSError:
        code = 400  # the hub did not wait for the body
    equal("the code", code, 400)
    node.put(assign["instruction"], 0, blob)
    done(node, assign, True)


def torn_put(node, instruction, offset, length, data):
    """A PUT that announces `length` bytes and is cut after `data`."""
    connection = http.client.HTTPConnection(node.hub.host, node.hub.port)
    connection.sock, _ = node.hub.dial()
    connection.putrequest("PUT", f"/v1/fleet/replies/{instruction}?offset={offset}")
    connection.putheader("Authorization", f"Bearer {node.token}")
    connection.putheader("Content-Length", str(length))
    connection.endheaders(data)
    return connection


@suite.check
def torn_upload_goes_on_where_it_was(kit, stack):
    node = kit.node(stack)
    kit.run(stack, 1, elements=LARGE)
    assign = node.assigned()
    instruction, blob = assign["instruction"], offered(node, assign)
    connection = torn_put(node, instruction, 0, len(blob), blob[:1_234_567])
    until(lambda: node.offset(instruction) >= 1_000_000, "the bytes before the cut are not taken")
    connection.close()
    time.sleep(0.05)
    offset = node.offset(instruction)
    require(offset <= 1_234_567, f"the offset is {offset}, beyond what was sent")
    equal("the rest", node.put(instruction, offset, blob[offset:])[0], 200)
    done(node, assign, True)


@suite.check
def upload_of_another_nodes_reply_is_not_found(kit, stack):
    owner, thief = kit.node(stack), kit.node(stack)
    kit.run(stack, 2, elements=LARGE)
    assign = owner.assigned()
    thief.assigned()
    blob = offered(owner, assign)
    equal("the thief's PUT", thief.put(assign["instruction"], 0, blob)[0], 404)
    equal("the thief's GET", thief.request("GET", f"/replies/{assign['instruction']}")[0], 404)
    equal("the owner's PUT", owner.put(assign["instruction"], 0, blob)[0], 200)


@suite.check
def upload_that_is_not_wanted_is_refused(kit, stack):
    node = kit.node(stack)
    kit.run(stack, 1, elements=LARGE)
    assign = node.assigned()
    _, blob = reply_of(assign, inline=False)
    equal("a PUT before NodeResult", node.put(assign["instruction"], 0, blob)[0], 412)


@suite.check
def wrong_checksum_fails_the_reply(kit, stack):
    node = kit.node(stack)
    run = kit.run(stack, 1, elements=LARGE)
    assign = node.assigned()
    blob = bytearray(offered(node, assign))
    blob[2_500_000] ^= 1
    code, body = node.put(assign["instruction"], 0, bytes(blob))
    equal("the PUT", (code, b"data-loss" in body), (500, True))
    done(node, assign, False)
    kit.logged(run, "round 1: 0 replies, 1 failures")


@suite.check
def reply_longer_than_announced_fails(kit, stack):
    node = kit.node(stack)
    kit.run(stack, 1, elements=LARGE)
    assign = node.assigned()
    blob = offered(node, assign)
    equal("the PUT", node.put(assign["instruction"], 0, blob + bytes(100))[0], 400)
    done(node, assign, False)


@suite.check
def blob_of_another_size_than_its_arrays_fails(kit, stack):
    node = kit.node(stack)
    kit.run(stack, 1, elements=LARGE)
    assign = node.assigned()
    reply, _ = reply_of(assign, inline=False, shape=[LARGE + 1])
    node.session.tell(result={"instruction": assign["instruction"], "reply": reply})
    done(node, assign, False)


@suite.check
def torn_reply_costs_nobody_else_theirs(kit, stack):
    sound, torn = kit.node(stack), kit.node(stack)
    run = kit.run(stack, 2, elements=TOO_LARGE_TO_KEEP)
    good, bad = sound.assigned(), torn.assigned()
    blob = offered(sound, good, 2.0)
    broken = bytearray(offered(torn, bad, 100.0))
    equal("the first PUT", sound.put(good["instruction"], 0, blob)[0], 200)
    broken[4_500_000] ^= 1  # after four good chunks
    equal("the broken PUT", torn.put(bad["instruction"], 0, bytes(broken))[0], 500)
    done(torn, bad, False)
    kind, fields = sound.session.any_frame()
    if kind == "upload":  # the hub folds as the bytes arrive: it wants them again
        equal("Upload.offset", fields["offset"], 0)
        equal("the second PUT", sound.put(good["instruction"], 0, blob)[0], 200)
        kind, fields = sound.session.any_frame()
    equal("the frame after", (kind, fields["counted"]), ("done", True))
    code, model = sound.request("GET", f"/blobs/{blob_field(sound.assigned())['id']}")
    equal("the next model", (code, model), (200, struct.pack("<f", 2.0) * TOO_LARGE_TO_KEEP))
    kit.logged(run, "round 1: 1 replies, 1 failures")


@suite.check
def node_that_lost_its_work_is_assigned_it_again(kit, stack):
    node = kit.node(stack)
    kit.run(stack, 1)
    first = node.assigned()
    node.leave()
    node.join(holding=[])
    equal("Welcome.keep", node.welcome["keep"], [])
    again = node.assigned()
    equal("the instruction", again["instruction"], first["instruction"])
    equal("the message", again["message"], first["message"])
    equal("Done.counted", answer(node, again)["counted"], True)


@suite.check
def work_that_is_held_is_kept(kit, stack):
    node = kit.node(stack)
    kit.run(stack, 1)
    assign = node.assigned()
    node.leave()
    node.join(holding=[assign["instruction"], 4711])
    equal("Welcome.keep", node.welcome["keep"], [assign["instruction"]])
    node.session.quiet()
    equal("Done.counted", answer(node, assign)["counted"], True)


@suite.check
def instruction_of_another_is_not_kept(kit, stack):
    owner, thief = kit.node(stack), kit.node(stack)
    kit.run(stack, 2)
    owned, other = owner.assigned(), thief.assigned()
    thief.leave()
    thief.join(holding=[owned["instruction"], other["instruction"]])
    equal("Welcome.keep", thief.welcome["keep"], [other["instruction"]])


@suite.check
def reply_offered_again_after_a_cut_goes_on(kit, stack):
    node = kit.node(stack)
    kit.run(stack, 1, elements=LARGE)
    assign = node.assigned()
    blob = offered(node, assign)
    equal("a part", node.put(assign["instruction"], 0, blob[:1 << 20])[0], 200)
    node.leave()
    node.join(holding=[assign["instruction"]])
    reply, _ = reply_of(assign, inline=False)
    node.session.tell(result={"instruction": assign["instruction"], "reply": reply})
    equal("Upload.offset", node.session.later("upload")["offset"], 1 << 20)
    equal("the rest", node.put(assign["instruction"], 1 << 20, blob[1 << 20:])[0], 200)
    done(node, assign, True)


@suite.check
def wrap_up_comes_before_the_deadline_and_cancel_after(kit, stack):
    node = kit.node(stack)
    run = kit.run(stack, 1, deadline=1.0, wrap_up=0.6)
    assign = node.assigned()
    wrap_up = node.session.later("wrap_up")
    require(wrap_up["instruction"] == assign["instruction"] and 0 <= wrap_up["seconds"] <= 0.7, f"WrapUp is {wrap_up}")
    kind, fields = node.session.any_frame()
    equal("the next frame", (kind, fields["instruction"]), ("cancel", assign["instruction"]))
    kit.logged(run, "round 1: 0 replies, 1 failures")
    reply, _ = reply_of(assign, 100.0)
    node.session.tell(result={"instruction": assign["instruction"], "reply": reply})
    next_round = node.session.later("assign")
    close_to("the model after a late reply", blob_field(next_round)["here"], 0.0)


@suite.check
def stopped_run_cancels_and_ends(kit, stack):
    node = kit.node(stack)
    run = kit.run(stack, 1)
    assign = node.assigned()
    kit.stop(run)
    equal("Cancel.instruction", node.session.later("cancel")["instruction"], assign["instruction"])
    equal("RunEnded.run", node.session.later("run_ended")["run"], run)


@suite.check
def completed_run_ends_and_has_its_model(kit, stack):
    node = kit.node(stack)
    run = kit.run(stack, 1, rounds=2)
    for value in (0.5, 0.75):
        answer(node, node.assigned(), value)
    equal("RunEnded.run", node.session.later("run_ended")["run"], run)
    until(lambda: kit.status(run) == "completed", "the run does not complete")
    _, artifacts = kit.admin.call("GET", f"/v1/runs/{run}/artifacts")
    equal("the artifacts", [one["name"] for one in artifacts["artifacts"]], ["model.safetensors"])
    _, model = kit.hub.request("GET", f"/v1/runs/{run}/artifacts/model.safetensors", kit.admin.token)
    equal("its SHA-256", hashlib.sha256(model).hexdigest(), artifacts["artifacts"][0]["sha256"])
    equal("its last weights", model[-16:], struct.pack("<f", 0.75) * 4)


@suite.check
def log_lines_are_taken(kit, stack):
    node = kit.node(stack)
    run = kit.run(stack, 1)
    node.assigned()
    node.session.tell(log={"run": run, "level": "info", "message": "said by a scripted node"})
    kit.logged(run, "said by a scripted node")


@suite.check
def many_nodes_may_upload_at_once(kit, stack):
    nodes = [kit.node(stack) for _ in range(4)]
    run = kit.run(stack, 4, elements=TOO_LARGE_TO_KEEP)
    assigns = [node.assigned() for node in nodes]
    blobs = [offered(node, assign, float(i)) for i, (node, assign) in enumerate(zip(nodes, assigns))]
    codes = []
    threads = [threading.Thread(target=lambda n=node, a=assign, b=blob: codes.append(n.put(a["instruction"], 0, b)[0]))
               for node, assign, blob in zip(nodes, assigns, blobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal("the codes", codes, [200] * 4)
    kit.logged(run, "round 1: 4 replies, 0 failures")


@suite.check
def connection_that_says_nothing_is_closed(kit, stack):
    require(kit.silent.closed.wait(max(0, 15 - (time.monotonic() - kit.silent_since))), "it is open after 15 s")

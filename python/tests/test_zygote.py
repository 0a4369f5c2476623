"""The zygote by itself: what it promises to whoever holds its control socket."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import signal
import socket
import subprocess
import sys
import textwrap
import time

import pytest

ZYGOTE = pathlib.Path(__file__).parent.parent / "umbel" / "_process" / "zygote.py"


def _load():
    spec = importlib.util.spec_from_file_location("zygote_alone", ZYGOTE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def is_alive(pid: int) -> bool:
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return fields[0] not in "ZX"


def await_end(*pids: int, seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < until, [pid for pid in pids if is_alive(pid)]
        time.sleep(0.005)


class Zygote:
    """A process that is a zygote, and its control socket.  `serve` is the body of its workers."""

    def __init__(self, serve: str, before: str = "", **options) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(20)
        script = (
            "import os, signal, socket, subprocess, sys, time\n"
            f"sys.path.insert(0, {str(ZYGOTE.parent)!r})\n"
            "import zygote\n"
            f"{textwrap.dedent(before)}\n"
            "def serve(fd):\n"
            "    channel = socket.socket(fileno=fd)\n"
            f"{textwrap.indent(textwrap.dedent(serve), '    ')}\n"
            "sys.exit(zygote.run_zygote(int(os.environ['UMBEL_CONTROL_FD']), serve))\n"
        )
        environment = dict(os.environ, UMBEL_CONTROL_FD=str(theirs.fileno()))
        environment.update(options.pop("environment", {}))
        descriptors = (theirs.fileno(), *options.pop("descriptors", ()))
        self.process = subprocess.Popen(
            [sys.executable, "-B", "-c", script],
            pass_fds=descriptors,
            env=environment,
            **options,
        )
        theirs.close()

    def __enter__(self) -> Zygote:
        return self

    def __exit__(self, *_) -> None:
        self.control.close()
        try:
            self.process.wait(20)
        finally:
            self.process.kill()

    def spawn(self) -> tuple[int, socket.socket]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.settimeout(20)
        socket.send_fds(self.control, [b"spawn"], [theirs.fileno()])
        theirs.close()
        word, pid = self.hear()
        assert word == "started"
        return int(pid), ours

    def hear(self) -> list[str]:
        return self.control.recv(8192).decode().split()

    def ended(self) -> tuple[int, int]:
        word, pid, status = self.hear()
        assert word == "ended"
        return int(pid), int(status)


def test_workers_serve_their_channel_and_their_ends_are_told() -> None:
    with Zygote("number = int(channel.recv(10)); channel.send(b'ok'); return number") as zygote:
        workers = [zygote.spawn() for _ in range(3)]
        for number, (pid, channel) in enumerate(workers):
            channel.send(str(number).encode())
            assert channel.recv(10) == b"ok"
            assert zygote.ended() == (pid, number << 8)


def test_a_worker_is_killed_at_a_word_with_what_it_started() -> None:
    serve = """
    child = subprocess.Popen(['sleep', '1000'])
    channel.send(str(child.pid).encode())
    time.sleep(1000)
    """
    with Zygote(serve) as zygote:
        (one, channel), (other, _) = zygote.spawn(), zygote.spawn()
        started = int(channel.recv(20))
        zygote.control.send(b"kill %d" % one)
        assert zygote.ended() == (one, signal.SIGKILL)
        await_end(one, started)
        assert is_alive(other)
        zygote.control.send(b"kill 1")  # not a worker
        zygote.control.send(b"kill %d" % one)  # not any more


def test_what_a_worker_leaves_running_ends_with_it() -> None:
    serve = """
    channel.send(str(subprocess.Popen(['sleep', '1000']).pid).encode())
    os._exit(3)
    """
    with Zygote(serve) as zygote:
        pid, channel = zygote.spawn()
        left = int(channel.recv(20))
        assert zygote.ended() == (pid, 3 << 8)
        await_end(left)


@pytest.mark.parametrize("how", ["control closes", "SIGTERM", "SIGKILL"])
def test_no_worker_outlives_its_zygote(how: str) -> None:
    with Zygote("time.sleep(1000)") as zygote:
        pids = [zygote.spawn()[0] for _ in range(2)]
        if how == "control closes":
            zygote.control.shutdown(socket.SHUT_WR)
            assert {zygote.ended()[0] for _ in pids} == set(pids)
        else:
            zygote.process.send_signal(getattr(signal, how))
        zygote.process.wait(20)
        await_end(*pids)


def test_what_goes_wrong_in_a_worker_is_its_exit_code() -> None:
    serve = "exec(channel.recv(100))"
    with Zygote(serve, stderr=subprocess.PIPE) as zygote:
        for code, expected in [
            ("raise ValueError('told')", 1),
            ("sys.exit(7)", 7),
            ("sys.exit()", 0),
            ("os._exit(9)", 9),
        ]:
            pid, channel = zygote.spawn()
            channel.send(code.encode())
            assert zygote.ended() == (pid, expected << 8)
        zygote.control.close()
        assert b"ValueError: told" in zygote.process.stderr.read()
        zygote.process.stderr.close()


def test_workers_hold_nothing_whose_end_another_waits_for() -> None:
    read, write = os.pipe()
    kept_read, kept_write = os.pipe()
    serve = """
    channel.send(repr([os.readlink(f'/proc/self/fd/{n}') for n in (0, 1)]).encode())
    os.write(int(os.environ['KEPT']), b'x')
    channel.recv(10)
    """
    with Zygote(
        serve,
        environment={"UMBEL_EVENTS_FD": str(write), "KEPT": str(kept_write)},
        descriptors=(write, kept_write),
        stdout=subprocess.DEVNULL,
    ) as zygote:
        os.close(write)
        (_, first), (_, second) = zygote.spawn(), zygote.spawn()
        for channel in (first, second):
            assert eval(channel.recv(1000)) == [os.devnull, os.devnull]
        assert os.read(read, 1) == b""  # neither the zygote nor a worker has the other end
        assert os.read(kept_read, 2) != b""  # but what the app itself opened is there
        first.send(b"end")
        assert zygote.ended()[1] == 0
        # A worker does not hold another's channel: the second's end is seen at once.
        second.send(b"end")
        assert zygote.ended()[1] == 0
        assert second.recv(10) == b""
    for descriptor in (read, kept_read, kept_write):
        os.close(descriptor)


def test_a_channel_that_is_closed_here_is_closed_there() -> None:
    with Zygote("channel.recv(10); return 5") as zygote:
        (pid, channel), (_, _other) = zygote.spawn(), zygote.spawn()
        channel.close()
        assert zygote.ended() == (pid, 5 << 8)


def test_a_refusal_is_told_in_words() -> None:
    before = "zygote.refuse(int(os.environ['UMBEL_CONTROL_FD']), 'no module é'); sys.exit(4)"
    with Zygote("pass", before) as zygote:
        assert zygote.control.recv(8192).decode() == "refused no module é"
        assert zygote.control.recv(8192) == b""
        assert zygote.process.wait(20) == 4


def test_what_was_printed_is_not_printed_twice() -> None:
    with Zygote(
        "print('from a worker')", "print('before', end=' ')", stdout=subprocess.PIPE
    ) as zygote:
        for _ in range(2):
            zygote.spawn()
            zygote.ended()
        zygote.control.close()
        assert zygote.process.stdout.read() == b"before from a worker\nfrom a worker\n"
        zygote.process.stdout.close()


FORKING = f"""
import os, socket, sys, time
sys.path.insert(0, {str(ZYGOTE.parent)!r})
import zygote
extra = os.pipe()
def serve(channel):
    assert not os.path.exists(f'/proc/self/fd/{{extra[1]}}')
    time.sleep(1000)
control, pid = zygote.fork_zygote(serve, close=extra)
ours = socket.socket(fileno=control)
worker_side, _ = socket.socketpair()
socket.send_fds(ours, [b'spawn'], [worker_side.fileno()])
print(pid, ours.recv(100).split()[1].decode(), flush=True)
sys.stdin.read()
ours.close()
os.waitpid(pid, 0)
"""


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "end"])
def test_a_forked_zygote_does_not_outlive_the_process_it_is_of(how: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-B", "-c", FORKING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    zygote, worker = map(int, parent.stdout.readline().split())
    assert is_alive(zygote) and is_alive(worker)
    if how == "end":
        parent.stdin.close()
        assert parent.wait(20) == 0
    else:
        parent.send_signal(getattr(signal, how))
        parent.wait(20)
    await_end(zygote, worker)
    for stream in (parent.stdin, parent.stdout):
        stream.close()


def test_a_terminals_interrupt_does_not_reach_workers() -> None:
    """Ctrl-C goes to the foreground's process group, which zygote and workers are not of."""
    module = _load()
    control, pid = module.fork_zygote(lambda channel: time.sleep(1000))
    with socket.socket(fileno=control) as ours:
        assert os.getpgid(pid) == pid != os.getpgid(0)
        worker_side, _ = socket.socketpair()
        socket.send_fds(ours, [b"spawn"], [worker_side.fileno()])
        worker = int(ours.recv(100).split()[1])
        assert os.getpgid(worker) == worker
    os.waitpid(pid, 0)
    await_end(worker)

"""The zygote: a process that has imported the app once, and forks a worker whenever it is asked to.

Its control socket carries text packets (AF_UNIX, SOCK_SEQPACKET).  To it: ``spawn`` with one
descriptor beside it, the worker's end of its channel; ``kill PID``.  From it: ``started PID`` or
``failed WHY`` after each ``spawn``; ``ended PID STATUS`` once a worker ended, with the status that
waitpid gave; ``refused WHY`` before it ends because the app cannot be imported.  When the control
socket closes, or the process that made it dies, or on SIGTERM, it kills its workers with all that
they started, and ends.

The zygote has one thread.  Each worker leads a process group, has the null device as standard input
and the zygote's output, and dies with the zygote.
"""

from __future__ import annotations

import ctypes
import gc
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterable

Serve = Callable[[int], "int | None"]

_PACKET_BYTES_MAX = 8192
_WHY_CHARACTERS_MAX = 1000
_PR_SET_PDEATHSIG = 1
# Descriptors of the process that is forked which must not live on in a zygote or a worker: whoever
# waits for their end would wait for all workers.
_NOT_INHERITED = ("UMBEL_EVENTS_FD", "UMBEL_CHANNEL_FD", "UMBEL_CONTROL_FD")


def _die_with_parent(with_signal: int, parent: int) -> None:
    """Has the kernel send this process a signal when its parent dies; ends at once if it has."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(with_signal), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _lead_group(pid: int) -> None:
    """Called by parent and child, whichever comes first."""
    try:
        os.setpgid(pid, pid)
    except OSError:
        pass  # it is one already, or has ended


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass


def _close_all(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        try:
            os.close(descriptor)
        except OSError:
            pass


def refuse(control_fd: int, why: str) -> None:
    """Tells whoever holds the control socket that the app cannot be loaded: there are no workers.

    The caller ends the process afterwards.
    """
    with socket.socket(fileno=os.dup(control_fd)) as control:
        try:
            control.send(b"refused " + why[:_WHY_CHARACTERS_MAX].encode("utf-8", "replace"))
        except OSError:
            pass


def fork_zygote(serve: Serve, close: Iterable[int] = ()) -> tuple[int, int]:
    """Forks a zygote from this process, which has no other threads at work.

    Args:
        serve: what a worker does: it is given its end of the channel, and returns its exit code.
        close: descriptors of this process that neither the zygote nor a worker may hold.

    Returns:
        Our end of its control socket, for ``runner::zygote_workers()``, and its process id, which
        the caller waits for some time after closing that.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    _flush()
    parent = os.getpid()
    pid = os.fork()
    if pid != 0:
        theirs.close()
        _lead_group(pid)
        return ours.detach(), pid
    code = 1
    try:
        _lead_group(0)
        _die_with_parent(signal.SIGTERM, parent)
        ours.close()
        _close_all(close)
        code = run_zygote(theirs.detach(), serve)
    except BaseException:
        traceback.print_exc()
    finally:
        _flush()
        os._exit(code)


def run_zygote(control_fd: int, serve: Serve) -> int:
    """Serves a control socket on this thread until it closes; returns this process's exit code.

    Args:
        control_fd: the zygote's end; closed at the end.
        serve: what a worker does: it is given its end of the channel, and returns its exit code.
    """
    zygote = _Zygote(control_fd, serve)
    try:
        zygote.run()
    finally:
        zygote.end()
    return 0


class _Zygote:
    def __init__(self, control_fd: int, serve: Serve) -> None:
        _close_all(
            number
            for number in (_descriptor_named(name) for name in _NOT_INHERITED)
            if number is not None and number != control_fd
        )
        self.control = socket.socket(fileno=control_fd)
        self.serve = serve
        self.workers: set[int] = set()
        self.ending = False
        # A signal's handler only has to wake us: what is due is looked up then.
        self.wake_read, self.wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, self._heard)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.set_wakeup_fd(self.wake_write, warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        gc.collect()
        gc.freeze()  # so that collecting in a worker does not write to pages that all share

    def _heard(self, number: int, frame: object) -> None:
        if number == signal.SIGTERM:
            self.ending = True

    def run(self) -> None:
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        poll.register(self.wake_read, select.POLLIN)
        while not self.ending:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self.wake_read in ready:
                self._drain()
                self.reap()
            if self.control.fileno() in ready and not self.take():
                return

    def _drain(self) -> None:
        try:
            while os.read(self.wake_read, 512):
                pass
        except BlockingIOError:
            pass

    def take(self) -> bool:
        """Does what one packet asks for; false once the control socket has closed."""
        try:
            packet, descriptors, _, _ = socket.recv_fds(self.control, _PACKET_BYTES_MAX, 1)
        except ConnectionError:
            return False
        if not packet:
            return False
        if packet == b"spawn" and len(descriptors) == 1:
            self.spawn(descriptors[0])
        elif packet.startswith(b"kill ") and packet[5:].isdigit():
            self.kill(int(packet[5:]))
        return True

    def say(self, text: str) -> None:
        try:
            self.control.send(text[:_WHY_CHARACTERS_MAX].encode("utf-8", "replace"))
        except OSError:
            pass  # who closed it hears nothing

    def spawn(self, channel: int) -> None:
        _flush()
        zygote = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            os.close(channel)
            self.say(f"failed {error}")
            return
        if pid == 0:
            self._work(channel, zygote)
        os.close(channel)
        _lead_group(pid)
        self.workers.add(pid)
        self.say(f"started {pid}")

    def _work(self, channel: int, zygote: int) -> None:
        """A worker, from its start to its end."""
        code = 1
        try:
            _lead_group(0)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            _die_with_parent(signal.SIGKILL, zygote)
            self.control.close()
            _close_all((self.wake_read, self.wake_write))
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            os.close(nothing)
            code = self.serve(channel) or 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            _flush()
            os._exit(code)

    def kill(self, pid: int) -> None:
        if pid not in self.workers:
            return
        for kill in (os.killpg, os.kill):
            try:
                kill(pid, signal.SIGKILL)
            except OSError:
                pass

    def reap(self) -> None:
        """Takes the ends of children; what a worker left running in its group is killed."""
        flags = os.WEXITED | os.WNOWAIT | os.WNOHANG
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, flags)
            except ChildProcessError:
                return
            if ended is None:
                return
            # Before it is reaped: until then nobody else can have its group's number.
            self.kill(ended.si_pid)
            _, status = os.waitpid(ended.si_pid, 0)
            if ended.si_pid in self.workers:
                self.workers.discard(ended.si_pid)
                self.say(f"ended {ended.si_pid} {status}")

    def end(self) -> None:
        """Kills all workers, waits for them, and closes the control socket."""
        for pid in list(self.workers):
            self.kill(pid)
        while self.workers:
            ended, status = os.waitpid(self.workers.pop(), 0)
            self.say(f"ended {ended} {status}")
        self.control.close()


def _descriptor_named(variable: str) -> int | None:
    text = os.environ.pop(variable, "")
    return int(text) if text.isdigit() else None

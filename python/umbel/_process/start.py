"""What `python -m umbel` does with its arguments; see docs/app-process.md."""

from __future__ import annotations

import argparse
import functools
import json
import os
import select
import signal
import sys
from typing import Any, NoReturn

from umbel import _core
from umbel._errors import FailedPrecondition
from umbel._process import threads, zygote
from umbel._process.client import Answers
from umbel._process.load import LoadError, add_app_folder, load_object, report
from umbel._process.serve import serve_client
from umbel._process.server import Main
from umbel._process.where import app_folder
from umbel.clientapp import ClientApp
from umbel.serverapp import ServerApp

_ARGUMENTS = 4  # the exit code of what is wrong with arguments or configuration
_ZYGOTE_SECONDS = 5.0  # that one has to end in

# As `python -m umbel`, but for what is in the working directory: an app may have a types.py.
COMMAND = [
    sys.executable,
    "-c",
    "import sys\nif sys.path[:1] == ['']: del sys.path[0]\n"
    "from umbel.__main__ import main\nsys.exit(main(sys.argv[1:]))",
]


def main(arguments: list[str]) -> int:
    """Carries out one of the modes; the exit code."""
    options = _parsed(arguments)
    print_whole_lines()
    if os.environ.get("UMBEL_DEBUG") != "1":
        sys.breakpointhook = _no_breakpoint
    if options.flower:
        from umbel.compat import install

        install()
    add_app_folder()
    if options.umbel_run is not None:
        return _run(options)
    if options.umbel_zygote:
        return _zygote(options)
    return _client(options)


def print_whole_lines() -> None:
    """Has what is printed come out line by line, also from a process that is killed.

    PYTHONUNBUFFERED writes each word by itself: lines of several processes would mix.
    """
    streams: list[Any] = [sys.stdout, sys.stderr]
    for stream in streams:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True, write_through=False, errors="backslashreplace")


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m umbel",
        description="An app's process.  `umbel run` in the app's folder starts it.",
        allow_abbrev=False,
    )
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--umbel-run", metavar="SPEC.json", help="the ServerApp's process")
    mode.add_argument("--umbel-client", action="store_true", help="a process of clients")
    mode.add_argument("--umbel-zygote", action="store_true", help="what makes those by forking")
    parser.add_argument("--server", metavar="MODULE:OBJECT", help="the ServerApp")
    parser.add_argument("--client", metavar="MODULE:OBJECT", help="the ClientApp")
    parser.add_argument("--flower", action="store_true", help="the app is written for flwr")
    try:
        options = parser.parse_args(arguments)
    except SystemExit as error:
        sys.exit(_ARGUMENTS if error.code else 0)
    if options.umbel_run is None and options.client is None:
        parser.print_usage(sys.stderr)
        sys.exit(_ARGUMENTS)
    if options.umbel_run is not None and options.server is None:
        parser.print_usage(sys.stderr)
        sys.exit(_ARGUMENTS)
    return options


def _no_breakpoint(*_: Any, **__: Any) -> NoReturn:
    raise FailedPrecondition(
        "breakpoint(): this process has no terminal; `umbel run --debug` gives the app one"
    )


def _run(options: argparse.Namespace) -> int:
    try:
        server = load_object(options.server, ServerApp)
        client = load_object(options.client, ClientApp) if options.client else None
    except LoadError as error:
        report(error)
        _tell_finished(str(error))
        return _ARGUMENTS
    answer = None if client is None else Answers(client, one_at_a_time=True)
    if answer is not None:
        answer.stop = functools.partial(os.kill, os.getpid(), signal.SIGTERM)
    control, child = -1, 0
    command: list[str] = []
    folder = ""
    if client is not None and not _in_process():
        if not threads.only_thread():
            command = [*COMMAND, "--umbel-client", "--client", options.client]
            command += ["--flower"] if options.flower else []
            folder = app_folder()
        else:
            control, child = zygote.fork_zygote(lambda channel: serve_client(channel, client))
    main = Main(server, lambda: answer is not None and answer.left is not None)
    code = _core.host_app(options.umbel_run, main, answer, control, command, folder)
    if child:
        await_end(child)
    return code


def _in_process() -> bool:
    """Whether clients, if any are served here at all, are served by this very process."""
    if "UMBEL_CHANNEL_FD" in os.environ:
        return True  # at a SuperLink: they are elsewhere
    return os.environ.get("UMBEL_DEBUG") == "1" or os.environ.get("UMBEL_WORKERS") == "in-process"


def await_end(child: int) -> None:
    """Ends a zygote whose control socket we have closed; kills it if it does not end."""
    try:
        _await_end(child)
    except ProcessLookupError:
        pass
    except ChildProcessError:
        pass  # this process has its children reaped by others: signal(SIGCHLD, SIG_IGN)


def _await_end(child: int) -> None:
    # Another process may hold the socket too: one that the app forked in the meantime.
    os.kill(child, signal.SIGTERM)
    descriptor = os.pidfd_open(child)
    try:
        if not select.select([descriptor], [], [], _ZYGOTE_SECONDS)[0]:
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    finally:
        os.close(descriptor)


def _tell_finished(error: str) -> None:
    """The run's last event, where nobody else can write it."""
    descriptor = os.environ.get("UMBEL_EVENTS_FD", "")
    if not descriptor.isdigit():
        return
    event = {"event": "finished", "status": "failed", "error": error, "exit-code": _ARGUMENTS}
    try:
        os.write(int(descriptor), (json.dumps(event) + "\n").encode())
    except OSError:
        pass  # nobody reads them any more


def _client(options: argparse.Namespace) -> int:
    try:
        client = load_object(options.client, ClientApp)
    except LoadError as error:
        report(error)
        return _ARGUMENTS
    return serve_client(-1, client)


def _zygote(options: argparse.Namespace) -> int:
    descriptor = os.environ.get("UMBEL_CONTROL_FD", "")
    if not descriptor.isdigit():
        sys.stderr.write("--umbel-zygote: a simulation starts this, with UMBEL_CONTROL_FD\n")
        return _ARGUMENTS
    control = int(descriptor)
    try:
        client = load_object(options.client, ClientApp)
    except LoadError as error:
        report(error)
        zygote.refuse(control, str(error))
        return _ARGUMENTS
    if not threads.only_thread():
        return zygote.run_zygote(control, lambda channel: _become_client(channel, options))
    return zygote.run_zygote(control, lambda channel: serve_client(channel, client))


def _become_client(channel: int, options: argparse.Namespace) -> int:
    """For an app whose import starts threads, which no fork takes along: each worker imports it."""
    os.set_inheritable(channel, True)
    os.environ["UMBEL_CHANNEL_FD"] = str(channel)
    command = [*COMMAND, "--umbel-client", "--client", options.client]
    os.chdir(app_folder())
    os.execv(sys.executable, command + (["--flower"] if options.flower else []))

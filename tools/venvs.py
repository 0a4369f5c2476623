"""Virtual environments for tests and benchmarks that need packages from PyPI: made on first use, then kept.

    python = venvs.venv("torch", ["torch==2.13.0", "numpy"])   # a path, or Skip with the reason
    python = venvs.venv("flwr", [...], no_deps=["flwr==1.42.0"])

They lie in $UMBEL_TEST_CACHE, by default ${XDG_CACHE_HOME:-~/.cache}/umbel-tests, each in a folder
venv-NAME-HASH; the hash is of the requirements and of the interpreter's version, so that a changed
list makes another environment.  What pip said is kept beside it, in venv-NAME-HASH.log.

From a shell: venvs.py NAME REQUIREMENT... [--no-deps REQUIREMENT...] prints the interpreter's path;
exit code 77 and the reason if it cannot be had.
"""
from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import venv as standard_venv
from collections.abc import Iterator, Sequence

SKIPPED = 77  # the exit code by which ctest knows a skipped test
_INSTALL_SECONDS_MAX = 900
# How pip words that it got nothing from the registry, or nothing of that name.
_REGISTRY_FAILS = re.compile(
    r"NewConnectionError|ConnectTimeout|ReadTimeout|Read timed out|ProxyError|SSLError|"
    r"Connection refused|Connection reset|name resolution|Network is unreachable|"
    r"No matching distribution found|Could not fetch URL|Max retries exceeded|HTTP error 5\d\d",
    re.IGNORECASE)


class Skip(Exception):
    """The environment cannot be had here; the message says why."""


def cache_folder() -> pathlib.Path:
    chosen = os.environ.get("UMBEL_TEST_CACHE")
    if chosen:
        return pathlib.Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "umbel-tests"


def venv(name: str, requirements: Sequence[str], no_deps: Sequence[str] = ()) -> str:
    """The interpreter of environment `name` with these requirements.

    Those in `no_deps` are installed after the others, without what they ask for themselves.
    Processes that want the same environment at the same time wait for the one that makes it; one
    that was left half-made is made anew.  Skip if the registry cannot be reached or does not have
    a package; RuntimeError with pip's words if an installation fails otherwise.
    """
    identity = "\n".join([*requirements, "--no-deps", *no_deps, sys.version,
                          os.path.realpath(sys.executable)])
    digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
    folder = cache_folder() / f"venv-{name}-{digest}"
    python, done = folder / "bin" / "python", folder / "made"
    try:
        with _locked(folder.with_suffix(".lock")):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                standard_venv.create(folder, with_pip=True)
                log = folder.with_suffix(".log")
                log.write_text("")
                _install(python, requirements, log)
                if no_deps:
                    _install(python, ["--no-deps", *no_deps], log)
                done.write_text(identity)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Skip(f"cannot make the environment {folder}: {error}") from error
    return str(python)


@contextlib.contextmanager
def _locked(path: pathlib.Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _install(python: pathlib.Path, arguments: Sequence[str], log: pathlib.Path) -> None:
    print(f"installing {' '.join(arguments)} in {python.parent.parent}", file=sys.stderr,
          flush=True)
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check",
               "--no-input", "--retries", "2", *arguments]
    try:
        ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             timeout=_INSTALL_SECONDS_MAX, check=False)
    except subprocess.TimeoutExpired as error:
        raise Skip(f"pip needed over {_INSTALL_SECONDS_MAX} s for {' '.join(arguments)}") from error
    with open(log, "a", encoding="utf-8") as file:
        file.write(ran.stdout)
    if ran.returncode == 0:
        return
    said = "\n".join(ran.stdout.strip().splitlines()[-3:])
    if _REGISTRY_FAILS.search(ran.stdout):
        raise Skip(f"no {' '.join(arguments)} from the package index: {said}")
    raise RuntimeError(f"pip install {' '.join(arguments)}: {said}\n(all of it: {log})")


def main() -> int:
    name, *rest = sys.argv[1:]
    split = rest.index("--no-deps") if "--no-deps" in rest else len(rest)
    try:
        print(venv(name, rest[:split], rest[split + 1:]))
    except Skip as reason:
        print(f"skipped: {reason}", file=sys.stderr)
        return SKIPPED
    return 0


if __name__ == "__main__":
    sys.exit(main())

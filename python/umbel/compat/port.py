"""``umbel port APP``: makes an app written for Flower one of Umbel's own.

Imports of flwr become imports of umbel: the tokens alone are replaced, everything else in a file
stays as it is, byte for byte.  umbel.toml is made of [tool.flwr.app] in pyproject.toml, which
stays.
What cannot be rewritten is named by file and line, and then nothing is changed at all.
"""

from __future__ import annotations

import argparse
import difflib
import os
import pathlib
import shutil
import sys
import tempfile
from collections.abc import Sequence

from umbel.compat.port_manifest import manifest_of
from umbel.compat.port_source import Problem, rewritten

SKIPPED = {"__pycache__", "build", "dist", "node_modules", "site-packages", "venv"}
DONE, REFUSED = 0, 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Carries out the command; 0, or 4 if the app cannot be ported."""
    parser = argparse.ArgumentParser(
        prog="umbel port", description="Turn an app for Flower into one for Umbel.")
    parser.add_argument("app", metavar="APP", help="the app's folder")
    parser.add_argument("--dry-run", action="store_true",
                        help="change nothing, and show what would change")
    options = parser.parse_args(arguments)
    folder = pathlib.Path(options.app)
    try:
        changes = planned(folder)
    except Problem as problem:
        sys.stderr.write(f"{problem}\nnothing was changed\n")
        return REFUSED
    if options.dry_run:
        for path, (before, after) in changes.items():
            sys.stdout.write(_diff(path, before, after))
        return DONE
    try:
        _write(folder, changes)
    except OSError as error:
        sys.stderr.write(f"{error}\nnothing was changed\n")
        return REFUSED
    for path, (before, after) in changes.items():
        print(f"{path}: {'new' if before is None else _count(before, after)}")
    count = f"{len(changes)} file{'s' if len(changes) != 1 else ''} changed"
    print(count if changes else "nothing to change")
    return DONE


def planned(folder: pathlib.Path) -> dict[str, tuple[bytes | None, bytes]]:
    """What porting changes: by path in the app, the bytes before (None: no such file) and after.

    Raises:
        Problem: names every place that cannot be rewritten.
    """
    if not folder.is_dir():
        raise Problem(f"{folder}: no such folder")
    changes: dict[str, tuple[bytes | None, bytes]] = {}
    problems: list[str] = []
    try:
        text = manifest_of(folder)
        if text is not None:
            changes["umbel.toml"] = (None, text.encode())
    except Problem as problem:
        problems.append(str(problem))
    for path in _sources(folder):
        shown = str(path.relative_to(folder))
        try:
            if not os.path.realpath(path).startswith(os.path.realpath(folder) + os.sep):
                raise Problem(f"{shown}: a link to a file outside the app")
            before = path.read_bytes()
            after = rewritten(before, shown)
            if after != before:
                changes[shown] = (before, after)
        except Problem as problem:
            problems.append(str(problem))
        except OSError as error:
            problems.append(f"{shown}: {error.strerror}")
    if problems:
        raise Problem("\n".join(problems))
    return changes


def _sources(folder: pathlib.Path) -> list[pathlib.Path]:
    """The app's Python files, not those of environments and builds."""
    found: list[pathlib.Path] = []
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in SKIPPED
                            and not name.startswith(".") and not name.endswith(".egg-info")
                            and not os.path.exists(os.path.join(root, name, "pyvenv.cfg")))
        found += [pathlib.Path(root, name) for name in sorted(files) if name.endswith(".py")]
    return found


def _diff(path: str, before: bytes | None, after: bytes) -> str:
    old = [] if before is None else before.decode(errors="replace").splitlines(keepends=True)
    new = after.decode(errors="replace").splitlines(keepends=True)
    lines = difflib.unified_diff(old, new, "/dev/null" if before is None else f"a/{path}",
                                 f"b/{path}")
    return "".join(line if line.endswith("\n") else line + "\n" for line in lines)


def _count(before: bytes, after: bytes) -> str:
    changed = sum(one != other for one, other in zip(before.splitlines(), after.splitlines()))
    return f"{changed} line{'s' if changed != 1 else ''}"


def _write(folder: pathlib.Path, changes: dict[str, tuple[bytes | None, bytes]]) -> None:
    """All of it or nothing: new files stand beside the old ones before the first is replaced."""
    ready: list[tuple[str, pathlib.Path, bytes | None]] = []
    replaced: list[tuple[pathlib.Path, bytes | None]] = []
    try:
        for path, (before, after) in changes.items():
            target = pathlib.Path(os.path.realpath(folder / path))
            descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
            ready.append((name, target, before))
            with os.fdopen(descriptor, "wb") as file:
                file.write(after)
            if before is None:
                os.chmod(name, 0o666 & ~_umask())
            else:
                shutil.copymode(target, name)
        for name, target, before in ready:
            os.replace(name, target)
            replaced.append((target, before))
    except OSError:
        for target, before in replaced:
            if before is None:
                target.unlink()
            else:
                target.write_bytes(before)
        raise
    finally:
        for name, _, _ in ready:
            if os.path.exists(name):
                os.unlink(name)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


if __name__ == "__main__":
    sys.exit(main())

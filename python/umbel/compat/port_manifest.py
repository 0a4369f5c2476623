"""umbel.toml of a pyproject.toml with [tool.flwr.app]."""

from __future__ import annotations

import json
import pathlib
import re
import sys
from typing import Any

from umbel.compat.flwr.common.config import flatten_dict
from umbel.compat.port_source import Problem

DEFAULT_NODES = 10  # of Flower's default federation


def manifest_of(folder: pathlib.Path) -> str | None:
    """The text of umbel.toml; None if the app has one already.

    Raises:
        Problem: if there is no pyproject.toml with [tool.flwr.app], or something in it has no
            place in umbel.toml.
    """
    if (folder / "umbel.toml").exists():
        return None
    try:
        project = _parsed((folder / "pyproject.toml").read_bytes())
    except FileNotFoundError:
        raise Problem(f"{folder}: no pyproject.toml, so this is no app for Flower") from None
    app = project.get("tool", {}).get("flwr", {}).get("app")
    if not isinstance(app, dict):
        raise Problem("pyproject.toml: no [tool.flwr.app]; only apps with one can be ported")
    about = project.get("project", {})
    components = app.get("components", {})
    lines = [
        "[app]",
        f"name = {_text(_name(about.get('name', folder.resolve().name)))}",
        f"version = {_text(_version(str(about.get('version', '0.0.0'))))}",
        f"publisher = {_text(_name(str(app.get('publisher', ''))) or 'example')}",
        "",
        "[entry]",
        f"python-server = {_text(_component(components, 'serverapp'))}",
        f"python-client = {_text(_component(components, 'clientapp'))}",
        "",
        "[config]",
    ]
    for key, value in flatten_dict(app.get("config", {})).items():
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", key):
            raise Problem(f'pyproject.toml: [tool.flwr.app.config] "{key}": a key has letters, '
                          "digits, -, _ and ., at most 64")
        lines.append(f"{_key(key)} = {_value(key, value)}")
    nodes = _nodes(project["tool"]["flwr"].get("federations", {}))
    return "\n".join([*lines, "", "[simulation]", f"nodes = {nodes}", ""])


def _parsed(text: bytes) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        try:
            import tomli as tomllib
        except ImportError:
            raise Problem("umbel port needs Python 3.11 or newer, or: pip install tomli") from None
    try:
        return tomllib.loads(text.decode())
    except ValueError as error:
        raise Problem(f"pyproject.toml: {error}") from None


def _name(text: str) -> str:
    """"Quick_Start.App" is quick-start-app to whoever installs it."""
    return re.sub(r"[-_.]+", "-", text).lower()


def _version(text: str) -> str:
    """Three numbers, and what a pre-release has: "1.0rc1" is 1.0.0-rc1."""
    numbers = re.match(r"[0-9.]*", text).group()  # type: ignore[union-attr]
    rest = text[len(numbers):]
    if numbers.endswith(".") and rest:
        numbers, rest = numbers[:-1], "-" + rest
    numbers += ".0" * (2 - numbers.count("."))
    return numbers + ("" if not rest or rest[0] in "-+" else "-") + rest


def _component(components: dict[str, Any], kind: str) -> str:
    found = components.get(kind)
    if not isinstance(found, str) or not re.fullmatch(r"[\w.]+:[\w.]+", found):
        raise Problem(f"pyproject.toml: [tool.flwr.app.components] {kind}: "
                      f"{found!r}, expected \"package.module:object\"")
    return found


def _nodes(federations: dict[str, Any]) -> int:
    """Of the default federation, or else of the first that says how many."""
    default = federations.get("default")
    named = [federations.get(default), *federations.values()] if default else federations.values()
    for federation in named:
        if isinstance(federation, dict):
            nodes = federation.get("options", {}).get("num-supernodes")
            if isinstance(nodes, int) and not isinstance(nodes, bool):
                return nodes
    return DEFAULT_NODES


def _key(key: str) -> str:
    return key if "." not in key else _text(key)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return _text(value)
    raise Problem(f'pyproject.toml: [tool.flwr.app.config] "{key}" is of type '
                  f"{type(value).__name__}, expected a truth value, a number or a text")

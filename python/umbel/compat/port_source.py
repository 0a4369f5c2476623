"""A Python file of an app for Flower, with imports of umbel in the place of flwr's."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import io
import re
import tokenize
from typing import Any

from umbel.compat.alias import NAME, TARGET, ours

# Where a name may be in umbel itself, by the module of Flower's that it comes from.
_NATURAL = {
    "flwr": "umbel",
    "flwr.common": "umbel.app",
    "flwr.client": "umbel.clientapp",
    "flwr.client.mod": "umbel.clientapp.mod",
    "flwr.server": "umbel.serverapp",
}
# What is there and only says what to do in its place.
_REFUSED = {"start_client", "start_numpy_client", "start_server", "start_simulation"}


class Problem(Exception):
    """What cannot be ported: file, line, and why; several lines for several."""


class _Edit:
    """Bytes [start, end) of the file become `text`."""

    def __init__(self, start: int, end: int, text: str) -> None:
        self.start, self.end, self.text = start, end, text


def rewritten(source: bytes, shown: str) -> bytes:
    """The file's bytes with imports of flwr rewritten.

    Raises:
        Problem: for every line that cannot be.
    """
    if NAME.encode() not in source:
        return source
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise Problem(f"{shown}:{line}: not Python: {getattr(error, 'msg', error)}") from None
    work = _File(source, shown)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            work.import_(node)
        elif isinstance(node, ast.ImportFrom):
            work.import_from(node)
        elif isinstance(node, ast.Call):
            work.call(node)
    work.forget(_assigned(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            work.attribute(node)
    if work.edits and encoding not in ("utf-8", "utf-8-sig"):
        raise Problem(f"{shown}:1: encoded in {encoding}: save it in UTF-8 first")
    if work.problems:
        raise Problem("\n".join(f"{shown}:{line}: {why}" for line, why in sorted(work.problems)))
    return work.result()


class _File:
    def __init__(self, source: bytes, shown: str) -> None:
        self.source, self.shown = source, shown
        self.edits: list[_Edit] = []
        self.problems: set[tuple[int, str]] = set()
        self.modules: dict[str, str] = {}  # names in the file, and the modules that they are
        bom = 3 if source.startswith(b"\xef\xbb\xbf") else 0
        self.line_starts = [bom] + [match.end() for match in re.finditer(rb"\r\n|\r|\n", source)]

    def result(self) -> bytes:
        out, at = [], 0
        for edit in sorted(self.edits, key=lambda edit: edit.start):
            out += [self.source[at:edit.start], edit.text.encode()]
            at = edit.end
        return b"".join([*out, self.source[at:]])

    def place(self, line: int, column: int) -> int:
        return self.line_starts[line - 1] + column

    def refuse(self, node: Any, why: str) -> None:
        self.problems.add((node.lineno, why))

    def import_(self, node: ast.Import) -> None:
        """import flwr.x [as y]: the module's path, and an alias that keeps the name it binds."""
        for alias in node.names:
            if not _is_flower(alias.name):
                continue
            assert alias.end_lineno is not None and alias.end_col_offset is not None
            start = self.place(alias.lineno, alias.col_offset)
            end = self.place(alias.end_lineno, alias.end_col_offset)
            module = ours(alias.name)
            if module is None:
                self.refuse(alias, f"Umbel has no {alias.name}")
                continue
            if alias.asname is None:  # binds "flwr", whatever module is imported
                self.modules[NAME] = TARGET
                self.edits.append(_Edit(start, end, f"{TARGET} as {NAME}"))
            else:
                self.modules[alias.asname] = module
                self.edits.append(_Edit(start, end, f"{module} as {alias.asname}"))

    def import_from(self, node: ast.ImportFrom) -> None:
        """from flwr.x import y: the module's path."""
        if node.level or not node.module or not _is_flower(node.module):
            return
        names = [alias.name for alias in node.names]
        refused = sorted(_REFUSED.intersection(names))
        if refused:
            self.refuse(node, _why(node.module, refused[0]))
            return
        module = _module_for(node.module, names)
        if module is None:
            for alias in node.names:
                if not _has(ours(node.module), alias.name):
                    self.refuse(alias, _absent(node.module, alias.name))
            return
        for alias in node.names:
            full = f"{module}.{alias.name}"
            if _is_module(full):
                self.modules[alias.asname or alias.name] = full
        start, end = self._module_token(node)
        self.edits.append(_Edit(start, end, module))

    def _module_token(self, node: ast.ImportFrom) -> tuple[int, int]:
        """Where the module's path stands between "from" and "import"."""
        assert node.end_lineno is not None and node.end_col_offset is not None
        first = self.place(node.lineno, node.col_offset)
        text = self.source[first:self.place(node.end_lineno, node.end_col_offset)].decode()
        start = end = 0
        starts = [0] + [match.end() for match in re.finditer(r"\r\n|\r|\n", text)]
        for token in tokenize.generate_tokens(io.StringIO(text, newline="").readline):
            if token.string == "import":
                break
            if token.type in (tokenize.NAME, tokenize.OP) and token.string != "from":
                place = starts[token.start[0] - 1] + token.start[1]
                start = start or place
                end = starts[token.end[0] - 1] + token.end[1]
        return (first + len(text[:start].encode()), first + len(text[:end].encode()))

    def call(self, node: ast.Call) -> None:
        """Imports by name, at run time."""
        function = node.func
        called = function.attr if isinstance(function, ast.Attribute) else getattr(
            function, "id", "")
        if called in ("import_module", "__import__") and node.args:
            name = node.args[0]
            if (isinstance(name, ast.Constant) and isinstance(name.value, str)
                    and _is_flower(name.value)):
                self.refuse(node, f'{called}("{name.value}"): a module that is named in a text; '
                                  "write an import statement")

    def forget(self, names: set[str]) -> None:
        """Names that are more than the modules that were imported under them."""
        for name in names:
            self.modules.pop(name, None)

    def attribute(self, node: ast.Attribute) -> None:
        """fl.server.strategy.X: that it is there."""
        path: list[str] = []
        inner: ast.expr = node
        while isinstance(inner, ast.Attribute):
            path.insert(0, inner.attr)
            inner = inner.value
        if not isinstance(inner, ast.Name) or inner.id not in self.modules:
            return
        found: Any = importlib.import_module(self.modules[inner.id])
        shown = inner.id
        for name in path:
            if not hasattr(found, "__path__") and not hasattr(found, "__spec__"):
                return  # no module any more: a class and its attributes
            if name in _REFUSED:
                self.refuse(node, _why(shown, name))
                return
            try:
                found = getattr(found, name)
            except (ImportError, AttributeError) as error:
                self.refuse(node, str(error) if isinstance(error, ImportError)
                            else f"{shown} has no {name} in Umbel")
                return
            shown += f".{name}"


def _assigned(tree: ast.AST) -> set[str]:
    """Names that something is assigned to, or that are parameters, functions or classes."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
    return names


def _is_flower(module: str) -> bool:
    return module == NAME or module.startswith(NAME + ".")


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _has(module: str | None, name: str) -> bool:
    if module is None:
        return False
    if name == "*":
        return True
    try:
        return hasattr(importlib.import_module(module), name) or _is_module(f"{module}.{name}")
    except ImportError:
        return False


def _module_for(flower: str, names: list[str]) -> str | None:
    """The module that has all the names: umbel's own rather than one of umbel.compat."""
    rest = flower[len(NAME):]
    natural = [_NATURAL[flower]] if flower in _NATURAL else []
    if flower == NAME and "simulation" in names:
        natural = []  # its run_simulation() takes other arguments
    if rest.startswith((".app", ".clientapp", ".serverapp")):
        natural.insert(0, "umbel" + rest)
    for module in [*natural, ours(flower)]:
        if module is not None and _is_module(module) and "*" not in names and all(
                _has(module, name) for name in names):
            return module
    found = ours(flower)
    return found if found is not None and names == ["*"] else None


def _absent(module: str, name: str) -> str:
    found = ours(module)
    if found is None:
        return f"Umbel has no {module}"
    try:
        getattr(importlib.import_module(found), name)
    except ImportError as error:
        return str(error)
    except AttributeError:
        pass
    return f"{module} has no {name} in Umbel"


def _why(module: str, name: str) -> str:
    return (f"{module}.{name}: apps are started by `umbel run`: make it a ClientApp and a "
            "ServerApp (docs/flower.md)")

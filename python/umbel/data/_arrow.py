"""Parquet, Arrow and Feather files, as Hugging Face's data sets are made of them, by way of pyarrow.

A table is written out as JSON lines, a column of pictures as a folder of images, and the core reads
that: what a label is, what a number may be and how large anything may get is said in one place.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import pathlib
import re
import tempfile
from collections.abc import Iterator
from typing import Any

from umbel import _core
from umbel._errors import Error, FailedPrecondition, InvalidArgument

_ENDINGS = (".parquet", ".arrow", ".feather")
_OTHERS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".npz", ".safetensors")
_NO_DATA = ("state.json", "dataset_info.json", "dataset_dict.json")  # that lie beside it
_ROWS_AT_ONCE = 10_000
_CLASSES_MAX = 65_536
_OF_PICTURES = ("height", "width", "channels", "resize")  # options that go on to the core
_OF_NO_PICTURE = ("separator", "by_site", "length", "stride", "vocabulary")


def files_of(path: str, split: str) -> list[pathlib.Path]:
    """The files of a split, in the order of their names; none if something else is there.

    A file; or a folder with SPLIT/*, data/SPLIT-00000-of-00002.parquet, SPLIT.parquet; or what
    `datasets.Dataset.save_to_disk()` and `DatasetDict.save_to_disk()` wrote.
    """
    root = pathlib.Path(path)
    if root.is_file():
        return [root] if root.suffix.lower() in _ENDINGS else []
    if not split or "/" in split:
        return []  # the core has the words for it
    part = re.compile(rf"{re.escape(split)}([-_]\d+(-of-\d+)?)?$")
    for folder in (root / split, root / "data", root):
        if not folder.is_dir():
            continue
        everything = folder == root / split or (folder / "state.json").exists()
        files = [f for f in sorted(folder.iterdir()) if f.is_file() and f.name not in _NO_DATA]
        files = [file for file in files if everything or part.match(file.stem)]
        found = [file for file in files if file.suffix.lower() in _ENDINGS]
        kinds = {file.suffix.lower() for file in files} & {*_ENDINGS, *_OTHERS}
        if found and len(kinds) > 1:
            raise InvalidArgument(
                f"{folder}: files of several kinds ({', '.join(sorted(kinds))}) are there for the "
                f'split "{split}": name one, or leave one kind'
            )
        if found or folder == root / split:
            return found
    return []


def open_files(path: str, files: list[pathlib.Path], options: dict[str, Any]) -> dict[str, Any]:
    """As _core.open_dataset(), with options that the core knows."""
    table = _read(path, files)
    ignored = options.get("ignored", [])
    for name in ignored:
        _require_column(path, table, name)
    if ignored:
        table = table.drop_columns(ignored)
    if table.num_rows == 0:
        raise InvalidArgument(f"{path}: it has no rows")
    options = {key: value for key, value in options.items() if key not in ("split", "ignored")}
    with tempfile.TemporaryDirectory(prefix="umbel-data-") as folder:
        try:
            if picture := _picture_column(table, options):
                parts = _from_pictures(path, table, picture, folder, options)
            else:
                parts = _from_rows(path, table, folder, options)
        except Error as error:
            raise type(error)(_about(path, str(error), folder)) from None
    parts["name"] = os.path.basename(os.path.normpath(path))
    return parts


def _about(path: str, words: str, folder: str) -> str:
    """The core's words name the files that were made for it: they are rows of this one."""

    def of_picture(found: re.Match[str]) -> str:
        return f"{path}: row {int(found[1])}" if found[1] else path

    made = re.escape(folder)
    words, lines = re.subn(rf"{made}/rows\.jsonl", lambda _: path, words)
    if lines:
        return re.sub(r"\bline (\d+)", lambda found: f"row {int(found[1]) - 1}", words, count=1)
    return re.sub(rf"{made}(?:/\d+)*?(?:/(\d{{12}}))?(?=[^/\w]|$)", of_picture, words)


def _require_column(path: str, table: Any, name: str) -> None:
    if name not in table.column_names:
        there = ", ".join(table.column_names)
        raise InvalidArgument(f'{path}: no column "{name}"; there are: {there}')


def _module(name: str) -> Any:
    """One that need not be installed, and that no type checker knows."""
    return importlib.import_module(name)


def _read(path: str, files: list[pathlib.Path]) -> Any:
    try:
        pyarrow, ipc = _module("pyarrow"), _module("pyarrow.ipc")
        parquet, feather = _module("pyarrow.parquet"), _module("pyarrow.feather")
    except ImportError as error:
        raise FailedPrecondition(
            f"{path}: Parquet and Arrow files are read by pyarrow, which is not here: "
            "pip install pyarrow"
        ) from error

    def read(file: pathlib.Path) -> Any:
        if file.suffix.lower() == ".parquet":
            return parquet.read_table(file)
        if file.suffix.lower() == ".feather":
            return feather.read_table(file)
        with pyarrow.memory_map(str(file)) as source:
            try:
                return ipc.open_stream(source).read_all()
            except pyarrow.ArrowInvalid:
                return ipc.open_file(source).read_all()

    tables = []
    for file in files:
        try:
            tables.append(read(file))
        except (pyarrow.ArrowException, OSError) as error:
            raise InvalidArgument(f"{file}: pyarrow cannot read it: {error}") from error
        names = tables[-1].schema.names
        if twice := [name for name in names if names.count(name) > 1]:
            raise InvalidArgument(f'{file}: the name "{twice[0]}" occurs twice')
        if names != tables[0].schema.names:
            raise InvalidArgument(
                f"{file}: its columns are {', '.join(names)}; those of "
                f"{files[0].name} are {', '.join(tables[0].schema.names)}"
            )
    try:
        return pyarrow.concat_tables(tables)
    except pyarrow.ArrowException as error:
        raise InvalidArgument(f"{path}: its parts have columns of other types: {error}") from error


def _class_names(table: Any, column: str) -> list[str]:
    """What Hugging Face's ClassLabel calls the numbers of a column; or nothing."""
    try:
        said = json.loads(table.schema.metadata[b"huggingface"])
        feature = said["info"]["features"][column]
        names = feature["names"] if feature["_type"] == "ClassLabel" else []
    except (TypeError, KeyError, ValueError):
        return []
    return [str(name) for name in names] if isinstance(names, list) else []


# Tables


def _from_rows(path: str, table: Any, folder: str, options: dict[str, Any]) -> dict[str, Any]:
    kinds = _module("pyarrow.types")
    texts = {options.get("label") or "label", options.get("natural_id")}
    for place, field in enumerate(table.schema):
        _require_readable(path, kinds, field, field.name in texts)
        if kinds.is_boolean(field.type):
            table = table.set_column(place, field.name, table.column(place).cast("int8"))
        elif kinds.is_decimal(field.type):
            table = table.set_column(place, field.name, table.column(place).cast("float64"))
    label = options.get("label") or "label"
    names = _class_names(table, label) if label in table.column_names else []
    if names:
        names = _numbers_of(path, table, label, names)[1]
    file = os.path.join(folder, "rows.jsonl")
    with open(file, "w", encoding="utf-8") as out:
        for number, row in enumerate(_rows(table)):
            try:
                out.write(json.dumps(row, allow_nan=False) + "\n")
            except ValueError:
                raise InvalidArgument(f"{path}: row {number}: {_not_finite(row)}") from None
    parts = _core.open_dataset(file, options)
    if names and not parts["class_names"]:
        parts["classes"], parts["class_names"] = len(names), names
    return parts


def _require_readable(path: str, kinds: Any, field: Any, may_be_text: bool) -> None:
    kind = field.type
    if kinds.is_dictionary(kind):
        kind = kind.value_type
    if kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind):
        kind = kind.value_type
    text = kinds.is_string(kind) or kinds.is_large_string(kind)
    number = kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind)
    if number or kinds.is_decimal(kind) or kinds.is_null(kind) or (text and may_be_text):
        return
    raise InvalidArgument(
        f'{path}: column "{field.name}" is of type {field.type}, expected numbers or lists of '
        "numbers, texts for the label and the natural id, or pictures ({bytes, path}); leave it "
        f'out by ignored=["{field.name}"]'
    )


def _not_finite(row: dict[str, Any]) -> str:
    for name, value in row.items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, float) and not math.isfinite(one):
                return f'"{name}" is {one}, expected a finite number'
    return "it has a number that is not finite"


def _rows(table: Any) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches(max_chunksize=_ROWS_AT_ONCE):
        yield from batch.to_pylist()


# Pictures


def _picture_column(table: Any, options: dict[str, Any]) -> str | None:
    """The column of {bytes, path}; the first, or that which `features` names."""
    kinds = _module("pyarrow.types")
    for field in table.schema:
        if kinds.is_struct(field.type) and (options.get("features") or field.name) == field.name:
            parts = {part.name: part.type for part in field.type}
            if "bytes" in parts and (
                kinds.is_binary(parts["bytes"])
                or kinds.is_large_binary(parts["bytes"])
                or kinds.is_null(parts["bytes"])
            ):
                return str(field.name)
    return None


def _from_pictures(
    path: str, table: Any, picture: str, folder: str, options: dict[str, Any]
) -> dict[str, Any]:
    for name in _OF_NO_PICTURE:
        if options.get(name):
            raise InvalidArgument(f"{path}: it has pictures, and {name} is not for those")
    label = options.get("label") or "label"
    owner = options.get("natural_id") or None
    for column in [label] if owner is None else [label, owner]:
        _require_column(path, table, column)
        if column == picture:
            raise InvalidArgument(f'{path}: "{column}" is the column of the pictures')
    numbers, names = _numbers_of(path, table, label, _class_names(table, label))
    owners: dict[str, int] = {}
    kept = [name for name in (picture, label, owner) if name is not None]
    for number, row in enumerate(_rows(table.select(kept))):
        image = row[picture]["bytes"] if row[picture] else None
        if not image:
            raise InvalidArgument(f'{path}: row {number}: "{picture}" has no bytes of a picture')
        where = [folder]
        if owner is not None:
            who = _owner_of(path, row[owner], owner, number)
            where.append(f"{owners.setdefault(who, len(owners)):09}")
        place = os.path.join(*where, f"{numbers[row[label]]:05}")
        os.makedirs(place, exist_ok=True)
        with open(os.path.join(place, f"{number:012}"), "wb") as out:
            out.write(image)
    classes = len(names) or 1 + max(numbers.values())
    first = os.path.join(folder, f"{0:09}") if owner else folder
    for of in range(classes):  # one without pictures keeps its number if it has a folder
        os.makedirs(os.path.join(first, f"{of:05}"), exist_ok=True)
    left = {key: options[key] for key in _OF_PICTURES if key in options}
    parts = _core.open_dataset(folder, left | ({"by_site": True} if owner else {}))
    parts["class_names"] = names
    parts["natural_names"] = list(owners)
    return parts


def _owner_of(path: str, value: Any, column: str, row: int) -> str:
    if isinstance(value, (str, int)) and value != "":
        return str(value)
    raise InvalidArgument(
        f'{path}: row {row}: the natural id "{column}" is {value!r}, expected a text or a number'
    )


def _numbers_of(
    path: str, table: Any, label: str, names: list[str]
) -> tuple[dict[Any, int], list[str]]:
    """The number of each label there is, and the classes' names.

    Whole numbers stand for themselves; texts are numbered as `names` has them, or else sorted.
    """
    values = table.column(label).unique().to_pylist()
    whole = [v for v in values if isinstance(v, int) and not isinstance(v, bool)]
    texts = [v for v in values if isinstance(v, str)]
    if other := [v for v in values if not isinstance(v, (int, str)) or isinstance(v, bool)]:
        raise InvalidArgument(f"{path}: a label is {other[0]!r}, expected a number or a text")
    most = len(names) or _CLASSES_MAX
    for value in whole:
        if not 0 <= value < most:
            named = f"one of the {most} classes' numbers, " if names else ""
            raise InvalidArgument(f"{path}: a label is {value}, expected {named}0 to {most - 1}")
    if not texts:
        return {value: value for value in whole}, names
    if names and all(value in names for value in texts):
        return {value: names.index(value) for value in texts}, names
    ordered = sorted(texts, key=str.encode)
    return {value: i for i, value in enumerate(ordered)}, ordered

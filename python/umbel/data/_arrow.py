"""Parquet, Arrow and Feather files, as Hugging Face's data sets are made of them, by way of pyarrow.

A table is written out as JSON lines, a column of pictures as a folder of images, and the core reads
that: what a label is, what a number may be and how large anything may get is said in one place.
"""

from __future__ import annotations

import importlib
import json
import os
import pathlib
import re
import tempfile
import urllib.parse
from collections.abc import Iterator
from typing import Any, NoReturn

from umbel import _core
from umbel._errors import Error, FailedPrecondition, InvalidArgument

_ENDINGS = (".parquet", ".arrow", ".feather")
_ROWS_AT_ONCE = 10_000
_CLASSES_MAX = 65_536


def files_of(path: str, split: str) -> list[pathlib.Path]:
    """The files of a split, in the order of their names; none if something else is there.

    A file; or a folder with SPLIT/*, data/SPLIT-00000-of-00002.parquet, SPLIT.parquet; or what
    `datasets.Dataset.save_to_disk()` and `DatasetDict.save_to_disk()` wrote.
    """
    root = pathlib.Path(path)
    if root.is_file():
        return [root] if root.suffix in _ENDINGS else []
    named = re.compile(rf"{re.escape(split)}([-_.].*)?$")
    for folder, wanted in ((root / split, None), (root / "data", named), (root, named)):
        if not folder.is_dir():
            continue
        files = sorted(file for file in folder.iterdir() if file.suffix in _ENDINGS)
        saved = (folder / "state.json").exists()
        if found := [f for f in files if wanted is None or saved or wanted.match(f.name)]:
            return found
    return []


def open_files(path: str, files: list[pathlib.Path], options: dict[str, Any]) -> dict[str, Any]:
    """As _core.open_dataset()."""
    table = _read(path, files)
    options = {key: value for key, value in options.items() if key != "split"}
    with tempfile.TemporaryDirectory(prefix="umbel-data-") as folder:
        try:
            if picture := _picture_column(table, options):
                parts = _from_pictures(path, table, picture, folder, options)
            else:
                parts = _from_rows(path, table, folder, options)
        except Error as error:
            _raise_about(path, error, folder)
    parts["name"] = os.path.basename(os.path.normpath(path))
    return parts


def _raise_about(path: str, error: Error, folder: str) -> NoReturn:
    """The core's words name the file that was made for it, whose lines are rows."""
    words = re.sub(rf"{re.escape(folder)}/[^:\s]*", path, str(error))
    raise type(error)(words) from None


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
        if file.suffix == ".parquet":
            return parquet.read_table(file)
        if file.suffix == ".feather":
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
        if tables[-1].schema.names != tables[0].schema.names:
            raise InvalidArgument(
                f"{file}: its columns are {', '.join(tables[-1].schema.names)}; those of "
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
    return [str(name) for name in names]


# Tables


def _from_rows(path: str, table: Any, folder: str, options: dict[str, Any]) -> dict[str, Any]:
    kinds = _module("pyarrow.types")
    if ignored := [name for name in options.get("ignored", []) if name in table.column_names]:
        table = table.drop_columns(ignored)
    for place, field in enumerate(table.schema):
        if kinds.is_boolean(field.type):
            table = table.set_column(place, field.name, table.column(place).cast("int8"))
        elif kinds.is_decimal(field.type):
            table = table.set_column(place, field.name, table.column(place).cast("float64"))
        elif kinds.is_binary(field.type) or kinds.is_large_binary(field.type):
            raise InvalidArgument(
                f'{path}: column "{field.name}" has bytes, expected numbers, lists of numbers, '
                "texts for the label, or pictures ({bytes, path}); leave it out by "
                f'ignored=["{field.name}"]'
            )
    file = os.path.join(folder, "rows.jsonl")
    with open(file, "w", encoding="utf-8") as out:
        for row in _rows(table):
            out.write(json.dumps(row, default=str) + "\n")
    left = {key: value for key, value in options.items() if key != "ignored"}
    parts = _core.open_dataset(file, left)
    names = _class_names(table, options.get("label", "label"))
    if names and not parts["class_names"] and parts["classes"] <= len(names):
        parts["classes"], parts["class_names"] = len(names), names
    return parts


def _rows(table: Any) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches(max_chunksize=_ROWS_AT_ONCE):
        yield from batch.to_pylist()


# Pictures


def _picture_column(table: Any, options: dict[str, Any]) -> str | None:
    """The column of {bytes, path}; the first, or that which `features` names."""
    kinds = _module("pyarrow.types")
    for field in table.schema:
        if kinds.is_struct(field.type) and options.get("features", field.name) == field.name:
            if "bytes" in {part.name for part in field.type}:
                return str(field.name)
    return None


def _from_pictures(
    path: str, table: Any, picture: str, folder: str, options: dict[str, Any]
) -> dict[str, Any]:
    label = options.get("label", "label")
    owner = options.get("natural_id")
    for name in (label, owner):
        if name is not None and name not in table.column_names:
            raise InvalidArgument(
                f'{path}: no column "{name}"; there are: {", ".join(table.column_names)}'
            )
    names = _class_names(table, label)
    numbers = _numbers_of(path, table, label, len(names))
    kept = [name for name in (picture, label, owner) if name is not None]
    for number, row in enumerate(_rows(table.select(kept))):
        image = row[picture]["bytes"] if row[picture] else None
        if not image:
            raise InvalidArgument(f'{path}: row {number}: "{picture}" has no bytes of a picture')
        where = [folder] if owner is None else [folder, _quoted(row[owner])]
        place = os.path.join(*where, f"{numbers[row[label]]:05}")
        os.makedirs(place, exist_ok=True)
        with open(os.path.join(place, f"{number:012}"), "wb") as out:
            out.write(image)
    _fill_up(folder, owner is not None, max(len(names), 1 + max(numbers.values(), default=0)))
    given = ("height", "width", "channels", "resize")
    left = {key: options[key] for key in given if key in options}
    parts = _core.open_dataset(folder, left | ({"by_site": True} if owner else {}))
    parts["class_names"] = names or [name for name in numbers if isinstance(name, str)]
    parts["natural_names"] = [urllib.parse.unquote(name) for name in parts["natural_names"]]
    return parts


def _numbers_of(path: str, table: Any, label: str, named: int) -> dict[Any, int]:
    """The number of each label there is: whole numbers stand for themselves, texts are sorted."""
    values = table.column(label).unique().to_pylist()
    most = named or _CLASSES_MAX
    for value in values:
        if isinstance(value, int) and not isinstance(value, bool) and not 0 <= value < most:
            raise InvalidArgument(f"{path}: a label is {value}, expected 0 to {most - 1}")
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return {value: value for value in values}
    for value in values:
        if not isinstance(value, str):
            raise InvalidArgument(f"{path}: a label is {value!r}, expected a number or a text")
    return {value: i for i, value in enumerate(sorted(values, key=str.encode))}


def _quoted(value: Any) -> str:
    return urllib.parse.quote(str(value), safe=" ").replace(".", "%2E") or "%"


def _fill_up(folder: str, by_site: bool, classes: int) -> None:
    """A class without pictures keeps its number if it has a folder."""
    root = os.path.join(folder, min(os.listdir(folder), default="")) if by_site else folder
    for number in range(classes):
        os.makedirs(os.path.join(root, f"{number:05}"), exist_ok=True)

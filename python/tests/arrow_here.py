"""What test_arrow.py has done where pyarrow is: makes files and reads them; prints `fine`."""

import json
import os
import pathlib
import struct
import sys
import zlib

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather, ipc, parquet

import umbel
from umbel import data


def table() -> pa.Table:
    return pa.table({
        "length": pa.array([5.1, 7.0, 4.9, 6.4], pa.float32()),
        "big": [True, False, False, True],
        "series": pa.array([[1, 2], [3, 4], [5, 6], [7, 8]], pa.list_(pa.int16())),
        "garden": ["north", "north", "south", "south"],
        "label": pa.array(["setosa", "versicolor", "setosa", "versicolor"]).dictionary_encode(),
        "note": ["", "new", None, ""],
    })  # fmt: skip


OPTIONS = {"natural_id": "garden", "ignored": ["note"]}


def expect_flowers(flowers: data.Dataset) -> None:
    assert flowers.features.tolist() == [
        [np.float32(5.1), 1, 1, 2], [7, 0, 3, 4], [np.float32(4.9), 0, 5, 6],
        [np.float32(6.4), 1, 7, 8]]  # fmt: skip
    assert flowers.labels.tolist() == [0, 1, 0, 1] and flowers.classes == 2
    assert flowers.class_names == ["setosa", "versicolor"]
    assert flowers.natural_names == ["north", "south"]
    assert flowers.natural_ids.tolist() == [0, 0, 1, 1]


def write_stream(path: pathlib.Path, what: pa.Table) -> None:
    with ipc.new_stream(path, what.schema) as sink:
        sink.write_table(what)


def tables(folder: pathlib.Path) -> None:
    parquet.write_table(table(), folder / "a.parquet")
    feather.write_feather(table(), folder / "a.feather")
    write_stream(folder / "stream.arrow", table())
    with ipc.new_file(folder / "file.arrow", table().schema) as sink:
        sink.write_table(table())
    for name in ("a.parquet", "a.feather", "stream.arrow", "file.arrow"):
        found = data.open(folder / name, **OPTIONS)
        expect_flowers(found)
        assert found.name == name

    hub = folder / "hub" / "data"  # as on Hugging Face's hub
    hub.mkdir(parents=True)
    parquet.write_table(table().slice(0, 2), hub / "train-00000-of-00002.parquet")
    parquet.write_table(table().slice(2), hub / "train-00001-of-00002.parquet")
    parquet.write_table(table().slice(1, 1), hub / "test-00000-of-00001.parquet")
    expect_flowers(data.open(hub.parent, **OPTIONS))
    assert len(data.open(hub.parent, split="test", **OPTIONS)) == 1

    saved = folder / "saved"  # as DatasetDict.save_to_disk() writes it
    for split, part in (("train", table()), ("test", table().slice(3))):
        (saved / split).mkdir(parents=True)
        write_stream(saved / split / "data-00000-of-00001.arrow", part)
        (saved / split / "state.json").write_text("{}")
    expect_flowers(data.open(saved, **OPTIONS))
    assert len(data.open(saved, split="test", **OPTIONS)) == 1
    expect_flowers(data.open(saved / "train", **OPTIONS))


def with_names(what: pa.Table, names: list[str]) -> pa.Table:
    """As Hugging Face notes what the numbers of a column are called."""
    said = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
    return what.replace_schema_metadata({b"huggingface": json.dumps(said).encode()})


def numbers(folder: pathlib.Path) -> None:
    what = pa.table({"x": [0.5, 1.5], "label": [2, 0]})
    parquet.write_table(with_names(what, ["cat", "ant", "bee"]), folder / "named.parquet")
    named = data.open(folder / "named.parquet")
    assert named.labels.tolist() == [2, 0] and named.class_names == ["cat", "ant", "bee"]
    assert named.classes == 3
    parquet.write_table(what, folder / "plain.parquet")
    plain = data.open(folder / "plain.parquet")
    assert plain.labels.tolist() == [2, 0] and plain.classes == 3


def png(pixels: np.ndarray) -> bytes:
    """A grey picture."""
    height, width = pixels.shape

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows))
            + chunk(b"IEND", b""))  # fmt: skip


def pictures(folder: pathlib.Path) -> None:
    grey = [np.full((2, 3), 10 * i, np.uint8) for i in range(4)]
    struct_of = [{"bytes": png(pixels), "path": f"{i}.png"} for i, pixels in enumerate(grey)]
    what = pa.table({"image": struct_of, "label": [3, 1, 1, 0], "writer": ["b/ü", "a.", "b/ü", "a."]})
    parquet.write_table(with_names(what, ["0", "1", "2", "3", "4"]), folder / "p.parquet")
    found = data.open(folder / "p.parquet")
    assert (found.features.shape, found.features.dtype) == ((4, 2, 3), np.uint8)
    assert found.labels.tolist() == [0, 1, 1, 3] and found.features[:, 0, 0].tolist() == [30, 10, 20, 0]
    assert found.classes == 5 and found.class_names == ["0", "1", "2", "3", "4"]
    owned = data.open(folder / "p.parquet", natural_id="writer")
    by_owner = {owned.natural_names[i]: sorted(owned.features[owned.natural_ids == i][:, 0, 0].tolist())
                for i in range(2)}  # fmt: skip
    assert by_owner == {"b/ü": [0, 20], "a.": [10, 30]}

    words = what.set_column(1, "label", pa.array(["dog", "cat", "cat", "ape"]))
    parquet.write_table(words, folder / "w.parquet")
    found = data.open(folder / "w.parquet")
    assert found.class_names == ["ape", "cat", "dog"] and found.labels.tolist() == [0, 1, 1, 2]


def folders(folder: pathlib.Path) -> None:
    """What else may lie beside a split."""
    what = pa.table({"x": [1.0, 2.0], "label": [0, 1]})
    both = folder / "both"
    both.mkdir()
    parquet.write_table(what, both / "train.parquet")
    parquet.write_table(what, both / "train-metadata.parquet")
    parquet.write_table(what, both / "training.parquet")
    (both / "data").mkdir()
    assert len(data.open(both)) == 2
    feather.write_feather(what, both / "train.feather")
    with pytest.raises(umbel.InvalidArgument, match=r"several kinds \(.feather, .parquet\)"):
        data.open(both)
    (both / "train.feather").unlink()
    (both / "train.csv").write_text("x,label\n1,0\n")
    with pytest.raises(umbel.InvalidArgument, match="several kinds"):
        data.open(both)
    for split in ("", "../both", "/"):
        with pytest.raises(umbel.Error):
            data.open(both, split=split)

    images = folder / "images"
    for name in ("cat", "dog"):
        (images / "train" / name).mkdir(parents=True)
        (images / "train" / name / "1.png").write_bytes(png(np.zeros((2, 2), np.uint8)))
    parquet.write_table(what, images / "train.parquet")
    assert data.open(images / "train").class_names == ["cat", "dog"]
    assert data.open(str(both / "train.csv").encode()).classes == 1
    (both / "train.csv").rename(both / "b.csv")
    parquet.write_table(what, both / "UPPER.PARQUET")
    assert len(data.open(os.fsencode(both / "UPPER.PARQUET"))) == 2

    owned = pa.table({"image": [{"bytes": png(np.full((2, 2), i, np.uint8)), "path": ""} for i in range(4)],
                      "label": [0, 1, 0, 1], "w": ["train", "a/../b", "é" * 200, "train"],
                      "s": [{"bytes": b"", "path": ""}] * 4})  # fmt: skip
    parquet.write_table(owned, folder / "owned.parquet")
    found = data.open(folder / "owned.parquet", natural_id="w", features="image")
    assert found.natural_names == ["train", "a/../b", "é" * 200]
    assert sorted(zip(found.features[:, 0, 0].tolist(), found.natural_ids.tolist())) == [(0, 0), (1, 1), (2, 2), (3, 0)]
    parquet.write_table(owned.select(["s", "image", "label"]), folder / "order.parquet")
    assert len(data.open(folder / "order.parquet", ignored=["s"])) == 4
    words = with_names(owned.set_column(1, "label", pa.array(["r", "s", "r", "s"])), ["q", "r", "s"])
    parquet.write_table(words.drop_columns(["s", "w"]), folder / "words.parquet")
    named = data.open(folder / "words.parquet")
    assert sorted(named.labels.tolist()) == [1, 1, 2, 2] and named.class_names == ["q", "r", "s"]


def errors(folder: pathlib.Path) -> None:
    def refused(name: str, what: object, words: str, kind: type = umbel.InvalidArgument,
                **options: object) -> None:  # fmt: skip
        path = folder / name
        if isinstance(what, bytes):
            path.write_bytes(what)
        elif what is not None:
            parquet.write_table(pa.table(what), path)
        with pytest.raises(kind, match=words) as raised:
            data.open(path, **options)
        assert "umbel-data-" not in str(raised.value), raised.value

    refused("bad.parquet", b"PAR1 and no more", "bad.parquet: pyarrow cannot read it")
    refused("bad.arrow", b"nothing", "bad.arrow: pyarrow cannot read it")
    refused("null.parquet", {"x": [1.0], "label": [None]}, "null.parquet: row 0")
    refused("text.parquet", {"x": ["a"], "label": [0]}, 'text.parquet: column "x" is of type string')
    refused("bytes.parquet", {"x": [b"a"], "label": [0]}, 'column "x" is of type binary')
    refused("none.parquet", {"x": [1.0]}, "none.parquet.*label")
    refused("picture.parquet", {"image": [{"bytes": b"GIF89a", "path": ""}], "label": [0]}, "picture.parquet")
    refused("hole.parquet", {"image": [{"bytes": None, "path": ""}], "label": [0]}, "row 0")
    refused("below.parquet", {"image": [{"bytes": b"x", "path": ""}], "label": [-1]}, "a label is -1")
    refused("owner.parquet", {"image": [{"bytes": b"x", "path": ""}], "label": [0]}, 'no column "w"', natural_id="w")
    refused("no_rows.parquet", {"x": pa.array([], pa.float64()), "label": pa.array([], pa.int8())}, "no rows")
    refused("nan.parquet", {"x": [1.0, float("nan")], "label": [0, 1]}, 'row 1: "x" is nan')
    refused("hole.parquet", {"x": [1.0, None], "label": [0, 1]}, "hole.parquet: row 1")
    refused("a\\1b.parquet", {"x": [1.0, None], "label": [0, 1]}, "row 1")
    for name, values in (("time", pa.array([1], pa.time64("us"))), ("span", pa.array([1], pa.duration("s"))),
                         ("fixed", pa.array([b"ab"], pa.binary(2))), ("struct", pa.array([{"a": 1}]))):
        refused(f"{name}.parquet", {"x": values, "label": [0]}, 'column "x" is of type')
    refused("not.parquet", {"image": [{"bytes": "text", "path": ""}], "label": [0]}, 'column "image" is of type')
    refused("kind.parquet", {"x": [1.0], "label": [0]}, "it has no lable", umbel.WrongType, lable="x")
    refused("kind.parquet", None, "ignored", umbel.WrongType, ignored="x")
    refused("kind.parquet", None, 'no column "y"', ignored=["y"])
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([0])], ["x", "x", "label"])
    with ipc.new_file(folder / "twice.arrow", twice.schema) as sink:
        sink.write_table(twice)
    refused("twice.arrow", None, 'the name "x" occurs twice')
    hidden = with_names(pa.table({"x": [1.0, 2.0], "label": [0, -1]}), ["a", "b"])
    parquet.write_table(hidden, folder / "hidden.parquet")
    refused("hidden.parquet", None, "a label is -1, expected one of the 2 classes' numbers, 0 to 1")

    picture = [{"bytes": png(np.zeros((2, 2), np.uint8)), "path": ""}] * 2
    refused("p.parquet", {"image": picture, "label": [0, 1]}, "it has no lable", umbel.WrongType, lable="x")
    refused("p.parquet", None, "separator is not for those", separator=";")
    refused("p.parquet", None, '"image" is the column of the pictures', label="image")
    refused("bad_row.parquet", {"image": [picture[0], {"bytes": b"x", "path": ""}], "label": [0, 0]}, "row 1:")
    refused("holes.parquet", {"image": picture, "label": [0, None]}, "a label is None")
    for value in (None, ""):
        refused("o.parquet", {"image": picture, "label": [0, 0], "w": ["a", value]}, "row 1: the natural id",
                natural_id="w")
    (folder / "parts").mkdir()
    parquet.write_table(pa.table({"x": [1], "label": [0]}), folder / "parts" / "train-0.parquet")
    parquet.write_table(pa.table({"y": [1], "label": [0]}), folder / "parts" / "train-1.parquet")
    refused("parts", None, "train-1.parquet: its columns are y, label; those of train-0.parquet")


if __name__ == "__main__":
    globals()[sys.argv[1]](pathlib.Path(sys.argv[2]))
    print("fine")

"""What test_arrow.py has done where pyarrow is: makes files and reads them; prints `fine`."""

import json
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
    refused("empty.parquet", {"x": [1.0], "label": [None]}, "empty.parquet: line 1")
    refused("text.parquet", {"x": ["a"], "label": [0]}, 'text.parquet: line 1.*"x"')
    refused("bytes.parquet", {"x": [b"a"], "label": [0]}, 'column "x" has bytes')
    refused("none.parquet", {"x": [1.0]}, "none.parquet.*label")
    refused("picture.parquet", {"image": [{"bytes": b"GIF89a", "path": ""}], "label": [0]}, "picture.parquet")
    refused("hole.parquet", {"image": [{"bytes": None, "path": ""}], "label": [0]}, "row 0")
    refused("below.parquet", {"image": [{"bytes": b"x", "path": ""}], "label": [-1]}, "a label is -1")
    refused("owner.parquet", {"image": [{"bytes": b"x", "path": ""}], "label": [0]}, 'no column "w"', natural_id="w")
    (folder / "parts").mkdir()
    parquet.write_table(pa.table({"x": [1], "label": [0]}), folder / "parts" / "train-0.parquet")
    parquet.write_table(pa.table({"y": [1], "label": [0]}), folder / "parts" / "train-1.parquet")
    refused("parts", None, "train-1.parquet: its columns are y, label; those of train-0.parquet")


if __name__ == "__main__":
    globals()[sys.argv[1]](pathlib.Path(sys.argv[2]))
    print("fine")

#!/usr/bin/env python3
"""Holds our readers and writers of .npy, .npz and .safetensors to NumPy and safetensors themselves.

check_npy.py ARRAY_TOOL [--cases N] [--seed N]

Runs in a virtual environment of its own with the packages below, which it makes on first use under
$UMBEL_TEST_CACHE (by default ~/.cache/umbel-tests).  Exit code 77, and a line that says so, where
the packages cannot be had.
"""
import argparse
import hashlib
import io
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import warnings

REQUIREMENTS = ["numpy==2.2.6", "safetensors==0.6.2", "ml_dtypes==0.5.1"]


def enter_environment():
    """Goes on in the environment's Python; returns there."""
    if os.environ.get("UMBEL_IN_VENV_NUMPY"):
        return
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
    import venvs
    try:
        python = venvs.venv("numpy", REQUIREMENTS)
    except venvs.Skip as error:
        print(f"numpy differential: {error}", file=sys.stderr)
        print("SKIPPED: numpy differential (no package registry)")
        sys.exit(77)
    os.environ["UMBEL_IN_VENV_NUMPY"] = "1"
    os.execv(python, [python, *sys.argv])


OURS = ("bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 "
        "complex64 complex128").split()


def known_descrs():
    """Every spelling of our element types that NumPy knows."""
    codes = "? b1 b i1 h i2 i i4 l q n p i8 B u1 H u2 I u4 L Q N P u8 e f2 f f4 d f8 F c8 D c16"
    known = {order + code for code in codes.split() for order in ["", "<", ">", "=", "|"]}
    for name in np._core.numerictypes.sctypeDict:
        if isinstance(name, str) and len(name) > 1 and np.dtype(name).name in OURS:
            known.add(name)
    return known


def grammar(version):
    """The spellings of a header that npy_header.h promises to read, as a regular expression."""
    s = r"[ \t\f\r\n]*"
    suffix = r"(?:[ \t\f]*L(?!\w))*" if version < 3 else ""
    integer = rf"(?:[+-]{s})?(?:0(?:_?0)*|[1-9](?:_?[0-9])*){suffix}{s}"
    shape = rf"\({s}(?:({integer}),{s}(?:{integer},{s})*(?:{integer})?)?\)"
    key = lambda name: rf"(?:'{name}'|\"{name}\"){s}:{s}"
    descr = r"(?:'(?P<one>[ -&(-\[\]-~]*)'|\"(?P<two>[ !#-\[\]-~]*)\")"
    pairs = [key("descr") + descr, key("fortran_order") + "(?:True|False)", key("shape") + shape]
    orders = []
    for a, b, c in [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]:
        text = rf"[ \t]*\{{{s}{pairs[a]}{s},{s}{pairs[b]}{s},{s}{pairs[c]}{s}(?:,{s})?\}}"
        text += r"(?:[ \t\f]*|[ \t\f\r\n]*[\r\n])"
        orders.append(re.compile(text))
    return orders


class Differential:
    def __init__(self, tool, folder, seed):
        self.tool = tool
        self.folder = pathlib.Path(folder)
        self.random = random.Random(seed)
        self.known = known_descrs()
        self.grammars = {version: grammar(version) for version in (1, 2, 3)}
        self.failures = []

    def ask(self, orders):
        text = "".join("\t".join(map(str, order)) + "\n" for order in orders)
        done = subprocess.run([self.tool], input=text.encode(), capture_output=True, check=True)
        answers = done.stdout.decode("utf8", "replace").split("\n")[:-1]
        assert len(answers) == len(orders), "an answer for every order"
        return [answer.split("\t") for answer in answers]

    def expect(self, condition, message):
        if not condition:
            self.failures.append(message if len(message) < 600 else message[:600] + " ...")

    # What NumPy makes of a file, in the words of array_tool.
    def numpy_answer(self, data):
        try:
            return ["accept", *described("-", np.load(io.BytesIO(data), allow_pickle=False))]
        except Exception as error:  # NumPy raises a dozen kinds
            return ["reject", f"{type(error).__name__}: {error}"]

    # Whether we promise to read what NumPy reads there.
    def promised(self, version, text, answer):
        match = next(filter(None, (g.fullmatch(text) for g in self.grammars[version])), None)
        if not match or (match["one"] or match["two"] or "") not in self.known:
            return False
        product = 1
        for extent in filter(None, answer[3][1:-1].split(",")):
            product *= max(1, int(extent))
        return product <= 2**48

    def compare(self, cases):
        """cases: (version, header text, file's bytes); counts of what both sides said."""
        paths = [self.folder / f"{i}.npy" for i in range(len(cases))]
        for path, (_, _, data) in zip(paths, cases):
            path.write_bytes(data)
        counts = {"both accept": 0, "both reject": 0, "only NumPy accepts": 0}
        for (version, text, data), ours in zip(cases, self.ask([("read", p) for p in paths])):
            numpys = self.numpy_answer(data)
            if numpys[0] == "reject":
                counts["both reject"] += 1
                self.expect(ours[0] == "reject",
                            f"{data[:200]!r}: NumPy says {numpys[1]}, we accept")
            elif self.promised(version, text, numpys):
                counts["both accept"] += 1
                self.expect(ours == numpys, f"{data[:200]!r}: NumPy reads {numpys}, we {ours}")
            else:
                counts["only NumPy accepts"] += 1
                self.expect(ours[0] == "reject",
                            f"{data[:200]!r}: beyond the promise, yet we accept")
        return counts

    def header_text(self):
        r = self.random
        descr = r.choice(sorted(self.known) + ["|O", "|V4", "<V2", "|S3", "<U2", "<M8[s]", "<f16",
                                               "f4,f4", "<f3", "3f4"])
        shape = [r.choice([0, 1, 1, 2, 3, 5]) for _ in range(r.choice([0, 1, 1, 2, 2, 3, 5]))]
        if r.random() < 0.05:
            shape.append(r.choice([2**31, 2**40, 2**63 - 1, 2**63, -1]))
        extents = [str(x) + ("L" if r.random() < 0.03 else "") for x in shape]
        quote = r.choice("''\"")
        tuple_text = "(" + ", ".join(extents) + ("," if len(shape) == 1 else "") + ")"
        pairs = [("descr", quote + descr + quote), ("fortran_order", str(r.random() < 0.5)),
                 ("shape", tuple_text)]
        if r.random() < 0.3:
            r.shuffle(pairs)
        space = r.choice(["", " ", " ", "\n"])
        body = f",{space}".join(f"{quote}{key}{quote}:{space}{value}" for key, value in pairs)
        tail = r.choice(["", ",", ", "])
        return "{" + body + tail + "}" + r.choice(["", " " * 20 + "\n", "\n"])

    def mutated(self, text):
        r = self.random
        for _ in range(r.choice([0, 0, 1, 1, 1, 2, 3])):
            at = r.randrange(len(text) + 1)
            piece = r.choice(list("'\"(){}[]:,+-_0129LTrue<>=|?fiub8 \t\n\r\f\\#xX.*\0\xa0\xe9"))
            kind = r.randrange(4)
            if kind == 0:
                text = text[:at] + piece + text[at:]
            elif kind == 1:
                text = text[:at] + piece + text[at + 1:]
            elif kind == 2:
                text = text[:at] + text[at + r.randrange(1, 4):]
            else:
                end = at + r.randrange(1, 12)
                text = text[:end] + text[at:end] + text[end:]
        return text

    def case(self):
        r = self.random
        text = self.mutated(self.header_text())
        version = r.choice([1, 1, 1, 2, 3])
        head = text.encode("utf8" if version == 3 else "latin1")
        length = max(0, len(head) + (r.choice([-1, 1, 300]) if r.random() < 0.02 else 0))
        numbers = [int(x) for x in re.findall(r"\d+", text.partition("(")[2].partition(")")[0])]
        count = int(np.prod([n for n in numbers if n < 100] or [1]))
        size = count * 16 if r.random() < 0.9 else r.randrange(count * 16 + 1)
        prefix = b"\x93NUMPY" + bytes([version if r.random() < 0.99 else r.randrange(6), 0])
        start = len(prefix) + (2 if version == 1 else 4)
        data = prefix + length.to_bytes(start - len(prefix), "little") + head + r.randbytes(size)
        return version, data[start:start + length].decode("latin1"), data

    def mutated_headers(self, count):
        counts = self.compare([self.case() for _ in range(count)])
        print(f"  {count} mutated headers: {counts}")
        self.expect(counts["both accept"] >= count // 4, "too few accepted to mean anything")
        self.expect(counts["both reject"] >= count // 8, "too few rejected to mean anything")
        self.expect(counts["only NumPy accepts"] <= count // 6, "too much that only NumPy reads")

    def all_descrs(self):
        names = set(self.known) | {n for n in np._core.numerictypes.sctypeDict
                                   if isinstance(n, str) and n.isprintable()}
        letters = [chr(c) for c in range(33, 127) if chr(c) not in "'\\"]
        codes = letters + [a + n for a in letters for n in "0 1 2 3 4 8 12 16 32".split()]
        names |= {order + code for code in codes for order in ["", "<", ">"]}
        cases = []
        for name in sorted(names):
            text = f"{{'descr': '{name}', 'fortran_order': False, 'shape': (2,), }}"
            head = text.encode()
            cases.append((1, text, b"\x93NUMPY\1\0" + len(head).to_bytes(2, "little") + head +
                          bytes(range(40, 200))))
        print(f"  {len(cases)} element types: {self.compare(cases)}")

    def arrays(self):
        for dtype in OURS:
            for shape in [(), (0, 3), (5,), (2, 3, 4)]:
                bits = self.random.randbytes(int(np.prod(shape)) * np.dtype(dtype).itemsize)
                if dtype == "bool":
                    bits = bytes(b & 1 for b in bits)
                yield np.frombuffer(bits, dtype).reshape(shape)

    def numpy_files(self):
        """numpy.save's files, read and written again by us, are the same to the byte."""
        orders, wanted = [], []
        for i, array in enumerate(self.arrays()):
            source, copy = self.folder / f"n{i}.npy", self.folder / f"c{i}.npy"
            np.save(source, array)
            orders.append(("copy", source, copy))
            wanted.append((source.read_bytes(), copy))
        for order, answer in zip(orders, self.ask(orders)):
            self.expect(answer == ["done"], f"{order}: {answer}")
        for data, copy in wanted:
            self.expect(copy.exists() and copy.read_bytes() == data, f"{copy}: other bytes")
        print(f"  {len(orders)} files of numpy.save: rewritten")

    def records(self):
        """Archives and tensors travel from the other library to us and back."""
        model = {f"array/{i}": array for i, array in enumerate(self.arrays())}
        real = {k: v for k, v in model.items() if v.dtype.kind != "c"}
        brain = {"brain": np.arange(6, dtype=np.float32).astype(ml_dtypes.bfloat16).reshape(2, 3)}
        np.savez(self.folder / "a.npz", **model)
        np.savez_compressed(self.folder / "b.npz", **model)
        safetensors.numpy.save_file({**real, **brain}, self.folder / "c.safetensors")
        names = [("a.npz", "a2.npz"), ("b.npz", "b2.npz"), ("c.safetensors", "c2.safetensors")]
        paths = [(self.folder / a, self.folder / b) for a, b in names]
        reads = self.ask([("read", a) for a, _ in paths])
        copies = self.ask([("copy", a, b) for a, b in paths])
        for (_, copy), read, copied, wanted in zip(paths, reads, copies,
                                                   [model, model, {**real, **brain}]):
            expected = sorted(described(k, v) for k, v in wanted.items())
            found = sorted(read[i:i + 4] for i in range(1, len(read), 4))
            self.expect(read[0] == "accept" and found == expected, f"{copy}: we read {read[:2]}")
            self.expect(copied == ["done"], f"{copy}: {copied}")
            load = np.load if copy.suffix == ".npz" else safetensors.numpy.load_file
            back = load(copy)
            same = sorted(described(k, back[k]) for k in back) == expected
            self.expect(same, f"{copy}: the other library reads it otherwise")
        print(f"  {len(paths)} archives: there and back")


def described(name, array):
    """Name, dtype, shape and SHA-256 of the elements in C order, little-endian."""
    plain = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    extents = ",".join(map(str, array.shape))
    digest = hashlib.sha256(plain.tobytes()).hexdigest()
    return [name, array.dtype.name, f"[{extents}]", digest]


def main():
    global ml_dtypes, np, safetensors
    parser = argparse.ArgumentParser()
    parser.add_argument("tool")
    parser.add_argument("--cases", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    enter_environment()
    import ml_dtypes
    import numpy as np
    import safetensors.numpy
    warnings.simplefilter("ignore")
    print(f"numpy differential: {' '.join(REQUIREMENTS)}, seed {options.seed}")
    with tempfile.TemporaryDirectory() as folder:
        run = Differential(options.tool, folder, options.seed)
        run.mutated_headers(options.cases)
        run.all_descrs()
        run.numpy_files()
        run.records()
    for failure in run.failures[:20]:
        print(f"FAILED: {failure}")
    print(f"numpy differential: {len(run.failures)} disagreements")
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main())

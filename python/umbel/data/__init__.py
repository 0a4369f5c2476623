"""Data sets, and how they are shared out among clients.

The elements are NumPy arrays over the core's memory, which is mapped from a file where that can be:
read-only, and shared by all processes of a run.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from umbel import _core
from umbel._errors import InvalidArgument, WrongType
from umbel.data import _arrow, generate

if TYPE_CHECKING:
    import numpy
    import numpy.typing

    NDArray = numpy.typing.NDArray[Any]

__all__ = ["Dataset", "Partition", "fashion_mnist", "generate", "open", "partition"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples and their labels.

    Attributes:
        features: [n, ...], uint8, int32 or float32.
        labels: [n], int32, each 0 to classes - 1.
        classes: how many there are.
        name: for people: "fashion-mnist/train".
        class_names, feature_names: of each class, of each column of a table; or empty.
        natural_ids: [n], int32: whose an example is by nature (a writer, a hospital); or None.
        natural_names: of each natural id, or empty.
    """

    features: NDArray
    labels: NDArray
    classes: int
    name: str
    class_names: list[str] = field(default_factory=list)
    feature_names: list[str] = field(default_factory=list)
    natural_ids: NDArray | None = None
    natural_names: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        features = f"{self.features.dtype}{list(self.features.shape)}"
        return f"Dataset({self.name!r}, features={features}, {self.classes} classes)"


def _dataset(parts: dict[str, Any]) -> Dataset:
    for name in ("features", "labels", "natural_ids"):
        if parts[name] is not None:
            parts[name] = parts[name].numpy(copy=False)
    return Dataset(**parts)


class Partition:
    """Which examples each client holds: a pure function of the client's number."""

    __slots__ = ("_native",)

    def __init__(self, native: _core.Partition) -> None:
        self._native = native

    @property
    def clients(self) -> int:
        """How many there are."""
        return self._native.clients

    @property
    def disjoint(self) -> bool:
        """Whether every example belongs to exactly one client."""
        return self._native.disjoint

    def examples(self, client: int) -> NDArray:
        """The indices of a client's examples, uint32 [m], in random order.

        Raises:
            umbel.Error: unless client is 0 to clients - 1.
        """
        return self._native.examples(int(client)).numpy()

    def __repr__(self) -> str:
        return f"Partition(clients={self.clients}, disjoint={self.disjoint})"


@functools.cache
def fashion_mnist(split: Literal["train", "test"] = "train") -> Dataset:
    """Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): 60,000 or 10,000 images of 28 x 28 pixels.

    Features are uint8 [n, 28, 28], 0 to 255; there are 10 classes.  The files are those of Debian's
    package dataset-fashion-mnist, or of the folder that UMBEL_FASHION_MNIST names; they are read
    once in a process, and unpacked once on a machine.

    Raises:
        umbel.NotFound: says how to install them.
    """
    if split not in ("train", "test"):
        raise InvalidArgument(f'fashion_mnist: split = {split!r}, expected "train" or "test"')
    return _dataset(_core.fashion_mnist(split == "test"))


def open(path: str | bytes | os.PathLike[str], **options: Any) -> Dataset:
    """Reads a data set: finds out by content and name what there is at a path.

    .npz, .safetensors, CSV, TSV, JSON and JSON lines, IDX, text; a folder of images by class, of
    texts, or of several parts of one of these.  With pyarrow installed also .parquet, .arrow and
    .feather: tables, and pictures as Hugging Face's data sets have them, in their folders.

    Args:
        path: of the file or folder.
        options: split ("train"), features, label, natural_id (names of arrays, columns or keys),
            ignored (columns), separator (of CSV); of images height, width, channels, resize and
            by_site; of text length, stride and vocabulary.

    Raises:
        umbel.NotFound: if there is nothing.
        umbel.InvalidArgument: names file and place of what cannot be read.
        umbel.FailedPrecondition: if it takes pyarrow, which is not there.
    """
    _core.check_open_options(options)
    name = os.fsdecode(path)
    if files := _arrow.files_of(name, options.get("split", "train")):
        return _dataset(_arrow.open_files(name, files, options))
    return _dataset(_core.open_dataset(os.fspath(path), options))


def partition(
    data: Dataset | Any,
    kind: str = "dirichlet",
    clients: int = 1000,
    *,
    seed: int = 0,
    natural_ids: Any = None,
    axis: Any = None,
    **options: Any,
) -> Partition:
    """Shares examples out among clients.

    With at least 10 examples for each client, each example belongs to one; for more clients than
    that, each draws its own from its seed, and nothing is stored for it.

    Args:
        data: a Dataset, or labels: integers [n], 0 or more.
        kind: "dirichlet" (label skew: Hsu, Qi and Brown 2019), "iid", "shards" (McMahan et al.
            2017), "linear", "square", "exponential" (sizes), "inner-dirichlet", "natural-id",
            "grouped-natural-id", "continuous" or "temporal".
        clients: how many.
        seed: the same one everywhere: context.run_seed.
        natural_ids: int32 [n]; those of the Dataset by default.
        axis: [n], what "continuous" and "temporal" order examples by.
        options: alpha (0.3), examples_per_client (60), shards_per_client (2), size_sigma (0.5),
            strictness (1), windows, examples_min (1).

    Raises:
        umbel.InvalidArgument: names the option for a partition that cannot be made.
    """
    labels = data.labels if isinstance(data, Dataset) else data
    if natural_ids is None and isinstance(data, Dataset):
        natural_ids = data.natural_ids
    options.update(kind=kind, clients=clients, seed=seed)
    return Partition(
        _core.partition(
            _integers(labels, "labels"),
            None if natural_ids is None else _integers(natural_ids, "natural_ids"),
            None if axis is None else _core.array_value("axis", axis),
            options,
        )
    )


def _integers(values: Any, name: str) -> _core.Array:
    """int32 [n] of anything that is whole numbers."""
    import numpy

    array = numpy.asarray(values)
    if array.dtype == numpy.int32:
        return _core.Array(array)
    if array.dtype.kind not in "iub":
        raise WrongType(f"partition: {name} of type {array.dtype}, expected integers")
    if array.size and (array.min() < 0 or array.max() > 2**31 - 1):
        raise InvalidArgument(
            f"partition: {name} from {array.min()} to {array.max()}, expected 0 to 2**31 - 1"
        )
    return _core.Array(array.astype(numpy.int32))

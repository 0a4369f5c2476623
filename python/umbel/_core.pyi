"""The native core.  Use umbel's modules; this one's names may change."""

from collections.abc import Sequence
from typing import Any

import numpy.typing


version: str = '0.1.0'

interface: int = 2

class Memory:
    """Bytes that belong to one NumPy array."""

class Array:
    """
    A tensor: a dtype, a shape, and elements that do not change.

    Made of a NumPy array, a tensor of PyTorch, JAX or TensorFlow, or anything
    with the buffer protocol or ``__dlpack__``, without a copy: the elements are
    those of the object, which stays alive with them.  A copy is made only where
    they do not lie in C order, or in another machine's byte order.

    Raises umbel.WrongType for elements that are no numbers, or lie in the
    memory of a device.
    """

    def __init__(self, *args: object, dtype: str | None = None, shape: tuple[int, ...] | None = None, stype: str | None = None, data: bytes | None = None, ndarray: object = None, torch_tensor: object = None) -> None: ...

    @staticmethod
    def from_numpy_ndarray(ndarray: object | None) -> Array:
        """Array(ndarray)."""

    @staticmethod
    def from_torch_tensor(tensor: object | None) -> Array:
        """Array(tensor)."""

    @property
    def dtype(self) -> str:
        """NumPy's name of the elements' type: ``"float32"``."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents, outermost first."""

    @property
    def ndim(self) -> int: ...

    @property
    def size(self) -> int:
        """The number of elements."""

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""

    @property
    def stype(self) -> str:
        """How ``data`` says the elements."""

    @property
    def data(self) -> bytes:
        """The elements as a .npy file's bytes: a copy."""

    def numpy(self, copy: bool | None = None) -> numpy.typing.NDArray[Any]:
        """
        An ndarray of one's own, to write to; with ``copy=False`` a view that is read-only.

        Raises umbel.WrongType for bfloat16, which NumPy has not, unless ml_dtypes is imported.
        """

    def __array__(self, dtype: object = None, copy: bool | None = None) -> Any: ...

    def __dlpack__(self, *, stream: object = None, max_version: tuple[int, int] | None = None, dl_device: tuple[int, int] | None = None, copy: bool | None = None) -> Any: ...

    def __dlpack_device__(self) -> tuple[int, int]: ...

    def __eq__(self, other: object) -> bool:
        """Same dtype, shape and bytes: so NaN equals itself."""

    def __hash__(self) -> int: ...

    def __reduce__(self) -> tuple[Any, ...]: ...

    def __repr__(self) -> str: ...

def metric_value(name: str, value: object) -> Any: ...

def setting_value(name: str, value: object) -> Any: ...

def array_value(name: str, value: object) -> Array: ...

class Context:
    """The core's side of umbel.app.Context."""

    def run_config(self) -> Any: ...

    def node_config(self) -> Any: ...

    def state(self) -> Any: ...

    def partition_id(self) -> int: ...

    def num_partitions(self) -> int: ...

    def run_seed(self) -> int: ...

    def seed(self) -> int: ...

    def is_twin(self) -> bool: ...

    def stop_requested(self) -> bool: ...

    def wrap_up(self) -> bool: ...

    def time_left(self) -> float | None: ...

    def log(self, message: object | None, level: str) -> None: ...

    def publish(self, name: str, metrics: object | None) -> None: ...

    def save(self, name: str, arrays: object | None) -> None: ...

class Grid:
    """The core's side of umbel.serverapp.Grid."""

    def node_count(self) -> int: ...

    def attribute(self, client: int, name: str) -> str: ...

    def push(self, messages: object) -> list[str]: ...

    def pull(self, ids: object, timeout: float | None) -> list[Any]: ...

    def send_and_receive(self, messages: object, timeout: float | None) -> list[Any]: ...

    def forget(self, ids: object) -> None: ...

def evaluate_sites(grid: object, arrays: object, config: object, node_ids: list[int], action: str, weight: str, confidence: float, timeout: float | None, sites_min: int) -> dict[str, Any]:
    """umbel.serverapp.evaluate_sites, as plain values."""

def host_app(spec: str, main: object, answer: object | None, control: int, command: Sequence[str], folder: str) -> int:
    """--umbel-run: a run from its spec to its end; the exit code."""

def serve_clients(answer: object, channel: int = -1) -> int:
    """Answers the messages of a channel until it closes; the exit code."""

def load_arrays(path: object) -> Any:
    """The arrays of a .safetensors or .npz file, mapped where that can be."""

class OwnRun:
    """A run in a process that is the user's own."""

    def __init__(self, spec: str, main: object, answer: object | None, control: int, events: int) -> None: ...

    def run(self) -> int:
        """Runs it on the calling thread; the exit code."""

    def close(self) -> None:
        """Ends what it has: threads, workers; after run()."""

    def request_stop(self) -> None:
        """Asks it to stop; any thread."""

class Partition:
    """Which examples each client holds."""

    @property
    def clients(self) -> int: ...

    @property
    def disjoint(self) -> bool: ...

    def examples(self, client: int) -> Array: ...

def partition(labels: Array, natural_ids: Array | None, axis: Array | None, options: dict[str, Any]) -> Partition: ...

def fashion_mnist(test: bool) -> dict[str, Any]: ...

def open_dataset(path: object, options: dict[str, Any]) -> dict[str, Any]: ...

def check_open_options(options: dict[str, Any]) -> None:
    """
    Raises for an option that open_dataset() does not have, or of another type.
    """

def blobs(options: dict[str, Any]) -> dict[str, Any]: ...

def linear_classes(options: dict[str, Any]) -> dict[str, Any]: ...

def linear_regression(options: dict[str, Any]) -> dict[str, Any]: ...

def pattern_images(options: dict[str, Any]) -> dict[str, Any]: ...

def markov_text(options: dict[str, Any]) -> dict[str, Any]: ...

class ServerOptimizer:
    """Makes the next model from this one and the mean of the replies."""

    @staticmethod
    def average(learning_rate: float) -> ServerOptimizer: ...

    @staticmethod
    def momentum(learning_rate: float, beta: float) -> ServerOptimizer: ...

    @staticmethod
    def adam(learning_rate: float, beta_1: float, beta_2: float, tau: float) -> ServerOptimizer: ...

    @staticmethod
    def yogi(learning_rate: float, beta_1: float, beta_2: float, tau: float) -> ServerOptimizer: ...

    @staticmethod
    def adagrad(learning_rate: float, beta_1: float, tau: float) -> ServerOptimizer: ...

    def apply(self, arrays: Any, mean: Any) -> Any: ...

    def state(self) -> Any: ...

def fold(contents: Sequence[Any], nodes: Sequence[int], weight_key: str, layout: Any) -> dict[str, Any]:
    """
    Folds replies' contents as the core does in a round; layout None: metrics alone.
    """

def check_replies(contents: Sequence[Any], weight_key: str, layout: Any) -> list[str | None]: ...

def weigh(messages: Sequence[Any]) -> tuple[int, list[tuple[int, str, str]]]: ...

class Stopping:
    """Decides after each round whether the run is over."""

    def __init__(self, rounds: int, targets: object, plateaus: object) -> None: ...

    def after_round(self, round: int, metrics: object, evaluated: bool) -> str | None: ...

def draw_clients(grid: object, context: object, round: int, training: bool, count: int) -> list[int]: ...

def has_population(grid: object) -> bool: ...

def rounds_begin(context: object, rounds: int) -> int: ...

def twin_examples(context: object) -> int: ...

def round_finished(context: Any, report: dict[str, Any]) -> Any: ...

def round_model(context: object, round: int, arrays: object) -> None: ...

def ended_early(context: object, reason: str) -> None: ...

def run_rounds(grid: Any, context: Any, strategy: dict[str, Any], initial: Any, options: dict[str, Any]) -> dict[str, Any]:
    """
    Runs a strategy's rounds in the core; umbel.serverapp.strategy.Strategy.start().
    """

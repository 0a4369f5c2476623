"""The threads of a process: what a fork would lose, and what a worker should not start."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

# Their threads hold locks and queues that a forked process would wait for.
_UNSAFE_TO_FORK = ("tensorflow", "jax", "grpc")

# What sets a library's number of threads, and what says it.
_SETTERS = {
    "openblas_set_num_threads": "openblas_get_num_threads",
    "openblas_set_num_threads64_": "openblas_get_num_threads64_",
    "scipy_openblas_set_num_threads": "scipy_openblas_get_num_threads",
    "scipy_openblas_set_num_threads64_": "scipy_openblas_get_num_threads64_",
    "omp_set_num_threads": "omp_get_max_threads",
}
# What they go by when they are loaded.
_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
              "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")  # fmt: skip
_LIBRARY = re.compile(r"/[^/]*(openblas|gomp|libomp|iomp)[^/]*\.so[^/]*$")


def only_thread() -> bool:
    """Whether this process has no other thread, so that nothing is lost by a fork."""
    return len(os.listdir("/proc/self/task")) == 1


def may_fork() -> bool:
    """Whether a fork of this process makes a sound one, as far as can be known.

    Threads of Python's own (a notebook's kernel has some) only are not there in the child, and
    OpenBLAS and OpenMP start theirs anew; libraries with threads of another kind do not.
    """
    if only_thread():
        return True
    return not any(name in sys.modules for name in _UNSAFE_TO_FORK)


def use_one_thread() -> None:
    """Has numerical libraries compute on one thread from now on: the workers are many."""
    for name in _VARIABLES:
        os.environ.setdefault(name, "1")  # those that are loaded later
    for setter, _ in _loaded_with(len(sys.modules)):
        setter(1)
    torch: Any = sys.modules.get("torch")
    if hasattr(torch, "set_num_threads"):
        torch.set_num_threads(1)


@contextlib.contextmanager
def loaded_for_one_thread() -> Iterator[None]:
    """Libraries that are loaded meanwhile compute on one thread, also later.

    Where those of one that is loaded can no longer be changed, a warning says once what to set.
    """
    _warn_of_tensorflow()
    added = [name for name in _VARIABLES if name not in os.environ]
    os.environ.update(dict.fromkeys(added, "1"))
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """As use_one_thread(), on the calling thread and until the end of the block.

    So that a client's sums are rounded here as they are in a worker.
    """
    torch: Any = sys.modules.get("torch")
    had = torch.get_num_threads() if hasattr(torch, "set_num_threads") else None
    libraries = _loaded_with(len(sys.modules))
    before = [get() for _, get in libraries]
    for setter, _ in libraries:
        setter(1)
    if had is not None:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if had is not None:
            torch.set_num_threads(had)
        for (setter, _), count in zip(libraries, before):
            setter(count)


_warned = False


def _warn_of_tensorflow() -> None:
    global _warned
    module = sys.modules.get("tensorflow.python.eager.context")
    context = getattr(module, "_context", None)
    begun = getattr(context, "_context_handle", context) is not None
    if _warned or not begun or os.environ.get("TF_NUM_INTRAOP_THREADS") == "1":
        return
    if 1 in (sys.modules["tensorflow"].config.threading.get_intra_op_parallelism_threads(),
             os.cpu_count()):  # fmt: skip
        return
    _warned = True
    logging.getLogger("umbel").warning(
        "clients are served in this process, where TensorFlow computes on many threads: the "
        "model's last bits may differ from those of a run with workers.  For the same bits set "
        "TF_NUM_INTRAOP_THREADS=1 in the environment before TensorFlow is imported"
    )


@functools.lru_cache(maxsize=1)
def _loaded_with(modules: int) -> list[tuple[Callable[[int], Any], Callable[[], int]]]:
    """How to set and get the threads of each loaded library; `modules`: are imported, by number."""
    found = []
    for path in _loaded():
        try:
            library = ctypes.CDLL(path)
        except OSError:
            continue
        for name, getter in _SETTERS.items():
            if not hasattr(library, name) or not hasattr(library, getter):
                continue
            if name != "omp_set_num_threads" or "openblas" not in path:
                found.append((getattr(library, name), getattr(library, getter)))
    return found


def _loaded() -> Iterator[str]:
    """The paths of the loaded libraries that start threads to compute."""
    seen = set()
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        for line in maps:
            path = line.rstrip("\n").partition("/")[2]
            if path and _LIBRARY.search("/" + path) and path not in seen:
                seen.add(path)
                yield "/" + path


def is_main() -> bool:
    """Whether this is the thread that Python runs signal handlers on."""
    return threading.current_thread() is threading.main_thread()

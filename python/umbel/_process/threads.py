"""The threads of a process: what a fork would lose, and what a worker should not start."""

from __future__ import annotations

import ctypes
import os
import re
import sys
import threading
from collections.abc import Iterator

# Their threads hold locks and queues that a forked process would wait for.
_UNSAFE_TO_FORK = ("tensorflow", "jax", "grpc")

_SETTERS = (
    "openblas_set_num_threads",
    "openblas_set_num_threads64_",
    "scipy_openblas_set_num_threads",
    "scipy_openblas_set_num_threads64_",
    "omp_set_num_threads",
)
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
    """Has numerical libraries that are loaded compute on one thread: the workers are many."""
    for path in _loaded():
        try:
            library = ctypes.CDLL(path)
        except OSError:
            continue
        for name in _SETTERS:
            setter = getattr(library, name, None)
            if setter is not None and (name != "omp_set_num_threads" or "openblas" not in path):
                setter(ctypes.c_int(1))
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "set_num_threads"):
        torch.set_num_threads(1)


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

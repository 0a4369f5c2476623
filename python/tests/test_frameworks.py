"""PyTorch's, JAX's and TensorFlow's tensors cross bit by bit; each in an environment of its own."""

from __future__ import annotations

import pathlib
import subprocess

import environments
import pytest

HERE = pathlib.Path(__file__).parent


def run_here(framework: str, what: str) -> None:
    try:
        python = environments.interpreter(framework)
    except environments.Skip as reason:
        pytest.skip(str(reason))
    command = [python, str(HERE / "frameworks_here.py"), what]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert ran.returncode == 0 and ran.stdout.strip() == "equal", ran.stdout + ran.stderr


@pytest.mark.parametrize("framework", ["torch", "jax", "tensorflow"])
def test_every_dtype_crosses_bit_by_bit(framework: str) -> None:
    run_here(framework, framework)


def test_a_client_computes_on_one_thread_in_this_process_as_in_workers() -> None:
    run_here("torch", "threads")


def test_threads_of_tensorflow_that_are_at_work_are_told_of() -> None:
    run_here("tensorflow", "warning")

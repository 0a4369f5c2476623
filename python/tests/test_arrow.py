"""Parquet, Arrow and Feather files, in an environment that has pyarrow; and what one without it says."""

from __future__ import annotations

import importlib.util
import pathlib
import subprocess

import environments
import pytest

import umbel
from umbel import data

HERE = pathlib.Path(__file__).parent


@pytest.mark.parametrize("what", ["tables", "numbers", "pictures", "folders", "errors"])
def test_they_are_read_as_the_core_reads_tables_and_pictures(what: str, tmp_path: pathlib.Path) -> None:
    try:
        python = environments.interpreter("arrow")
    except environments.Skip as reason:
        pytest.skip(str(reason))
    command = [python, str(HERE / "arrow_here.py"), what, str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert ran.returncode == 0 and ran.stdout == "fine\n", ran.stdout + ran.stderr


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is not None, reason="pyarrow is here")
def test_without_pyarrow_an_error_says_what_to_install(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(umbel.FailedPrecondition, match="a.parquet: .*pip install pyarrow"):
        data.open(tmp_path / "a.parquet")

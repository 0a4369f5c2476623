"""Virtual environments for tests and benchmarks that need packages from PyPI.

They lie under $UMBEL_TEST_CACHE (by default ~/.cache/umbel-tests) and are made on first use.
"""
import os
import pathlib
import subprocess
import venv


class Unavailable(Exception):
    """The packages cannot be had; the message says why."""


def python_with(name, requirements):
    """The Python of environment `name` with just these requirements ("numpy==2.2.6", ...)."""
    cache = os.environ.get("UMBEL_TEST_CACHE") or pathlib.Path.home() / ".cache" / "umbel-tests"
    folder = pathlib.Path(cache) / f"venv-{name}"
    done = folder / "umbel-requirements.txt"
    try:
        if not done.exists() or done.read_text().split() != requirements:
            print(f"installing {' '.join(requirements)} in {folder}", flush=True)
            venv.create(folder, clear=True, with_pip=True)
            command = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", *requirements]
            subprocess.run(command, check=True, timeout=300)
            done.write_text("\n".join(requirements))
    except (subprocess.SubprocessError, OSError) as error:
        raise Unavailable(str(error)) from error
    return str(folder / "bin" / "python")

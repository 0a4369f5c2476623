"""The environments that apps in Python are tested in: what is installed, by name (tools/venvs.py)."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import venvs  # noqa: E402

Skip = venvs.Skip
REQUIREMENTS = {
    "sklearn": ["scikit-learn==1.9.1", "pandas==3.1.1", "numpy"],
    "torch": ["torch==2.13.0", "numpy"],
    "opacus": ["torch==2.13.0", "opacus==1.6.0", "numpy"],
    "tensorflow": ["tensorflow-cpu==2.21.0", "numpy"],
    "jax": ["jax==0.10.2", "numpy"],
    "xgboost": ["xgboost==3.2.0", "numpy==2.4.0"],
    "arrow": ["pyarrow==26.0.1", "numpy", "pytest>=8,<10"],
    "notebook": ["nbclient==0.11.0", "ipykernel==7.4.0", "matplotlib==3.11.2", "numpy"],
}
# Of the templates that need one.
TEMPLATES = {"sklearn": "sklearn", "pytorch": "torch", "tensorflow": "tensorflow", "jax": "jax",
             "xgboost": "xgboost"}


def interpreter(name):
    """The environment's; Skip if it cannot be had."""
    return venvs.venv(name, REQUIREMENTS[name])

"""Data made from a seed: for trying an idea before there are data.

The same options give the same bytes on every machine.  Example i belongs to client i % clients, its
natural id, and does not depend on how many examples there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from umbel import _core

if TYPE_CHECKING:
    import numpy.typing

    from umbel.data import Dataset

    NDArray = numpy.typing.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Regression:
    """Examples with a number each to predict.

    Attributes:
        features: float32 [n, features].
        targets: float32 [n].
        natural_ids: int32 [n].
        coefficients: float32 [features + 1], what the clients have in common, the offset last.
        name: for people.
    """

    features: NDArray
    targets: NDArray
    natural_ids: NDArray
    coefficients: NDArray
    name: str


def _made(parts: dict[str, Any]) -> Dataset:
    from umbel.data import _dataset

    return _dataset(parts)


def blobs(**options: Any) -> Dataset:
    """A cloud of points for each class, its centre uniform in the cube from -1 to 1.

    Args:
        options: examples (10,000), features (2), classes (3), clients (10), spread (0.2),
            client_spread (0), seed (0).
    """
    return _made(_core.blobs(options))


def linear_classes(**options: Any) -> Dataset:
    """Classes by the highest of linear scores, and clients who depart from them: Synthetic(a, b)
    of Li et al. 2020.

    Args:
        options: examples (10,000), features (20), classes (2), clients (10), noise (0.1),
            model_spread (0), feature_spread (0), seed (0).
    """
    return _made(_core.linear_classes(options))


def linear_regression(**options: Any) -> Regression:
    """A linear model with noise, and clients who depart from it; options as linear_classes()."""
    parts = _core.linear_regression(options)
    for name in ("features", "targets", "natural_ids", "coefficients"):
        parts[name] = parts[name].numpy(copy=False)
    return Regression(**parts)


def pattern_images(**options: Any) -> Dataset:
    """Grey images, uint8 [n, side, side]; each class has a pattern of light and dark spots.

    Args:
        options: examples (10,000), side (28), classes (10), clients (10), shift_max (4),
            noise (16), brightness (24), client_spread (0), seed (0).
    """
    return _made(_core.pattern_images(options))


def markov_text(**options: Any) -> Dataset:
    """Text of a Markov source: uint8 [n, length], and the symbol that follows as label.

    Args:
        options: examples (10,000), length (32), alphabet (27), clients (10), own (0), seed (0).
    """
    return _made(_core.markov_text(options))

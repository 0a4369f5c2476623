"""Data sets and partitions are the core's, whose tests hold them to their papers; here, the way."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

import umbel
from umbel import data


def test_each_example_of_a_shared_out_set_belongs_to_one_client() -> None:
    labels = np.arange(1000) % 10
    parts = data.partition(labels, kind="dirichlet", clients=20, alpha=0.1, seed=3)
    assert parts.clients == 20 and parts.disjoint
    held = np.concatenate([parts.examples(client) for client in range(20)])
    assert held.dtype == np.uint32 and np.array_equal(np.sort(held), np.arange(1000))
    again = data.partition(labels, kind="dirichlet", clients=20, alpha=0.1, seed=3)
    assert np.array_equal(parts.examples(7), again.examples(7))
    other = data.partition(labels, kind="dirichlet", clients=20, alpha=0.1, seed=4)
    assert not np.array_equal(parts.examples(7), other.examples(7))


def test_a_small_alpha_gives_few_labels() -> None:
    labels = np.arange(10_000) % 10

    def mean_labels(alpha: float) -> float:
        parts = data.partition(labels, clients=50, alpha=alpha, seed=1)
        return float(np.mean([len(set(labels[parts.examples(c)])) for c in range(50)]))

    assert mean_labels(0.01) < 4 < 9.5 < mean_labels(100)


def test_more_clients_than_examples_draw_their_own() -> None:
    parts = data.partition(np.arange(100) % 2, kind="iid", clients=10**9, examples_per_client=7)
    assert not parts.disjoint and parts.clients == 10**9
    assert len(set(parts.examples(10**9 - 1))) == 7


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: data.partition([0, 1], alpa=1), umbel.WrongType, "no alpa.*alpha"),
        (lambda: data.partition([0, 1], clients="2"), umbel.WrongType, "clients = '2'"),
        (lambda: data.partition([0, 1], clients=0), umbel.InvalidArgument, "clients is 0"),
        (lambda: data.partition([0, 1], kind="even"), umbel.InvalidArgument, 'kind is "even"'),
        (lambda: data.partition([0.5, 1]), umbel.WrongType, "float64, expected integers"),
        (lambda: data.partition([-1, 1]), umbel.InvalidArgument, "labels from -1"),
        (lambda: data.partition([0] * 20, clients=1).examples(1), umbel.Error, "client 1"),
        (lambda: data.open("/nowhere.csv"), umbel.NotFound, "/nowhere.csv"),
        (lambda: data.fashion_mnist("validation"), umbel.InvalidArgument, "split"),
        (lambda: data.generate.blobs(classes=0), umbel.InvalidArgument, "classes is 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named(call: object, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        call()  # type: ignore[operator]


def test_a_table_is_opened_as_views(tmp_path: pathlib.Path) -> None:
    rows = "a,b,site,label\n" + "".join(f"{i},{i * i},s{i % 3},{i % 2}\n" for i in range(12))
    path = tmp_path / "table.csv"
    path.write_text(rows)
    table = data.open(path, natural_id="site")
    assert len(table) == 12 and table.classes == 2 and table.feature_names == ["a", "b"]
    assert np.array_equal(table.features[:, 1], np.arange(12) ** 2)
    assert not table.features.flags.writeable and table.natural_names == ["s0", "s1", "s2"]
    parts = data.partition(table, kind="natural-id", clients=3)
    assert {frozenset(parts.examples(c)) for c in range(3)} == {
        frozenset(range(s, 12, 3)) for s in range(3)
    }


def test_generated_data_learnable_by_their_own_coefficients() -> None:
    made = data.generate.linear_regression(examples=500, features=4, noise=0, seed=5)
    weights, offset = made.coefficients[:-1], made.coefficients[-1]
    assert np.allclose(made.features @ weights + offset, made.targets, atol=1e-5)
    images = data.generate.pattern_images(examples=6, side=16)
    assert images.features.shape == (6, 16, 16) and images.features.dtype == np.uint8
    assert data.generate.markov_text(examples=3, length=5).features.shape == (3, 5)
    assert data.generate.linear_classes(examples=9, classes=3).classes == 3


def test_fashion_mnist_is_the_published_one() -> None:
    try:
        images = data.fashion_mnist("test")
    except umbel.NotFound as error:
        pytest.skip(str(error))
    assert images.features.shape == (10_000, 28, 28) and images.features.dtype == np.uint8
    assert np.array_equal(np.bincount(images.labels), [1000] * 10)
    assert data.fashion_mnist("test") is images

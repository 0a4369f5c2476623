"""Loans, and whether they were paid back: made up from a seed.  Put your own table here."""

from __future__ import annotations

import numpy as np

FEATURES = ["income", "debt", "age", "years-employed", "late-payments", "amount"]


def loans(examples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A table [n, 6] of FEATURES (money in thousands), and labels [n]: 1 where a loan failed.

    Whether one fails hangs on ratios, steps and what comes together, as trees find; one label in
    twenty is turned around, so that nobody can be right more than 95 times of 100.
    """
    rng = np.random.default_rng(seed)
    income = rng.lognormal(3.6, 0.5, examples)
    debt = income * rng.gamma(2, 0.4, examples)
    age = rng.uniform(20, 70, examples)
    employed = rng.uniform(0, 1, examples) * (age - 18)
    late = rng.poisson(0.8, examples)
    amount = rng.lognormal(2.5, 0.7, examples)
    burden = (debt + amount) / income
    risk = (burden - 1.1) + 0.7 * (late >= 2) - 0.5 * (employed > 6) + 0.6 * (age < 28) * (late > 0)
    failed = (risk > 0) ^ (rng.uniform(size=examples) < 0.05)
    table = np.stack([income, debt, age, employed, late, amount], axis=1)
    return table.astype(np.float32), failed.astype(np.int32)

"""The table of a hospital, made up from a seed.  Put `pandas.read_csv` of yours here."""

from __future__ import annotations

import numpy as np
import pandas as pd

WARDS = ["cardiology", "surgery", "maternity"]


def patients_of(hospital: int) -> pd.DataFrame:
    """A row for each patient: ward, age in years, days of stay; some stays are not known yet."""
    rng = np.random.default_rng([2026, hospital])
    count = int(rng.integers(80, 200))
    table = pd.DataFrame({"ward": rng.choice(WARDS, count, p=[0.3, 0.5, 0.2]),
                          "age": rng.normal(55 + hospital, 15, count).clip(0, 110).round(),
                          "days": rng.gamma(2, 2, count).round(1)})
    table.loc[rng.uniform(size=count) < 0.05, "days"] = np.nan
    return table

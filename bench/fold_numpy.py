"""The peer of bench_fold: NumPy's weighted mean of the same updates.

fold_numpy.py FILE K N: makes K updates of N float32 (seed 1), writes them to FILE, prints "ready";
then for each line "list" or "gemv" folds them and prints the seconds it took.  At the end of the
input: the first and last elements of the mean in double precision.
"""
import functools
import sys
import time

import numpy as np

path, k, n = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
matrix = np.random.default_rng(1).standard_normal((k, n), dtype=np.float32)
matrix.tofile(path)
updates = [row.copy() for row in matrix]
weights = list(range(1, k + 1))
total = sum(weights)
shares = (np.array(weights) / total).astype(np.float32)


def fold_list():
    weighted = [update * weight for update, weight in zip(updates, weights)]
    return functools.reduce(np.add, weighted) / total


def fold_gemv():
    return shares @ matrix


print("ready", flush=True)
for line in sys.stdin:
    fold = {"list": fold_list, "gemv": fold_gemv}[line.strip()]
    start = time.perf_counter()
    result = fold()
    print(time.perf_counter() - start, flush=True)
    del result
exact = np.array(weights, dtype=np.float64) @ matrix[:, [0, -1]].astype(np.float64) / total
print(exact[0], exact[1])

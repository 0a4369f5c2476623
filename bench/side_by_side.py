"""The same work on Umbel, on flwr (with its Ray) and on pfl, in turn; bench/run calls this.

Every side reads the same files (bench_work.py), trains the same model with the same numbers, and says in
a line RESULT how long a round took after its warm-up and what accuracy the last model has.  First each
side's settings are swept, then the best of each are measured in turn: A B C D D C B A, and so on.
"""
from __future__ import annotations

from side_rounds import Work, kinds, population
from side_starts import aggregation, first_line, starts
from sides import ACCURACY_APART, FLWR, NUMPY, PFL, RAY, TORCH, Missing, Sides

ABOUT = f"""## Beside flwr and pfl

The same work, from the same files, on Umbel, on {FLWR} with {RAY} and on {PFL} (with {TORCH} and
{NUMPY}): Fashion-MNIST, 50 examples a client, one epoch, batches of 10, the rate 0.01 (S3 0.1, S4 0.05); final models'
accuracies may not be more than {100 * ACCURACY_APART:.1f} points apart.  Settings of each side are swept (threads and
processes; what a client asks of Ray's processors; both of flwr's engines), and the best of each measured
in turn, every time in a new process, without its start.  "C++" and "Python" train by Eigen and by NumPy;
rows with "PyTorch" train by it on all sides.  pfl has no NumPy model of its own: "pfl, NumPy" is one
written for this, with the training that the other sides have.  Limits are those of two processors'
multiplications and additions in float32, for S0 those of adding the updates.

* **S0**: no training.  **S1** to **S4**: models of growing size.  **S5**: many clients, of whom 1,000 take part.
* **A1**: the weighted mean of replies that lie in memory, by each package's own functions.
* **F1**: from a program's start to its first line with an accuracy.  **F2**: other starts.
"""

ALL = ("S0", "S1", "S2", "S3", "S4", "S5", "F1", "F2", "A1")


def measure(bench, wanted):
    try:
        sides = Sides(bench)
    except Missing as reason:
        bench.skip(str(reason))
        return
    with sides.folder:
        for row, kind in kinds(sides, wanted):
            bench.attempt(row, Work(sides, row, kind).run)
        for row, run in (("S5", population), ("A1", aggregation), ("F1", first_line), ("F2", starts)):
            if row in wanted:
                bench.attempt(row, lambda run=run: run(sides))

"""umbel_side.py TASK: runs app.py in the simulation of umbel and says how long a round took."""
import os
import sys

os.environ["BENCH_FRAMEWORK"] = "umbel"
os.environ["BENCH_TASK"] = sys.argv[1]

import app  # noqa: E402  (reads the environment)
import bench_work  # noqa: E402
from umbel.simulation import run_simulation  # noqa: E402

if __name__ == "__main__":
    task = bench_work.task()
    run_simulation(app.server, app.client, num_supernodes=task["pool"], seed=task.get("seed", 1),
                   workers=task["workers"])

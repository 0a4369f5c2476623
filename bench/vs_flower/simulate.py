"""simulate.py TASK: runs app.py in the simulation of flwr (on Ray) and says how long a round took.

The task's "num_cpus" is what a client asks of Ray's processors: 1 for as many clients at once as there
are processors, 2 for half of them, 0.5 for twice as many.
"""
import os
import sys

os.environ["BENCH_FRAMEWORK"] = "flwr"
os.environ["BENCH_TASK"] = sys.argv[1]
os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import app  # noqa: E402  (reads the environment)
import bench_work  # noqa: E402
from flwr.simulation import run_simulation  # noqa: E402

if __name__ == "__main__":
    task = bench_work.task()
    run_simulation(app.server, app.client, num_supernodes=task["pool"], backend_config={
        "client_resources": {"num_cpus": task["num_cpus"], "num_gpus": 0.0},
        "init_args": {"log_to_driver": False}})

"""legacy.py TASK: the same work on flwr's older engine, start_simulation with a NumPyClient.

It is deprecated, and does not poll: where it is the faster of the two, it is what counts.
"""
from __future__ import annotations

import json
import os
import sys

os.environ["BENCH_TASK"] = sys.argv[1]
os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import bench_work  # noqa: E402  (after the environment is set)
import legacy_client  # noqa: E402
from flwr.common import FitIns, ndarrays_to_parameters, parameters_to_ndarrays  # noqa: E402
from flwr.server import ServerConfig  # noqa: E402
from flwr.server.strategy import FedAvg  # noqa: E402
from flwr.simulation import start_simulation  # noqa: E402


class Timed(FedAvg):
    """FedAvg that reads the clock where the model could be evaluated, and trains the clients of a file, if there is one."""

    def __init__(self, task, **arguments):
        super().__init__(**arguments)
        self.task, self.clock, self.result = task, bench_work.Clock(task), {}
        self.cohorts = None
        if task.get("cohorts"):
            with open(task["cohorts"], encoding="utf-8") as file:
                self.cohorts = [json.loads(line) for line in file]

    def configure_fit(self, server_round, parameters, client_manager):
        if self.cohorts is None:
            return super().configure_fit(server_round, parameters, client_manager)
        client_manager.wait_for(self.task["pool"])
        clients = {proxy.partition_id: proxy for proxy in client_manager.all().values()}
        fit = FitIns(parameters, {})
        return [(clients[client], fit) for client in self.cohorts[server_round - 1]]

    def evaluate(self, server_round, parameters):
        self.clock.round_ended(server_round)
        if self.clock.wants_accuracy(server_round):
            arrays = parameters_to_ndarrays(parameters)
            self.result["accuracy"] = legacy_client.model().accuracy(arrays)
            self.clock.announce(self.result["accuracy"])
        if server_round == self.clock.last:
            self.clock.report(**self.result)


if __name__ == "__main__":
    task = bench_work.task()
    strategy = Timed(task, fraction_fit=1e-9, fraction_evaluate=0.0, min_fit_clients=task["cohort"],
                     min_available_clients=task["cohort"],
                     initial_parameters=ndarrays_to_parameters(legacy_client.model().initial()))
    start_simulation(client_fn=legacy_client.client_fn, num_clients=task["pool"],
                     client_resources={"num_cpus": task["num_cpus"], "num_gpus": 0.0},
                     config=ServerConfig(num_rounds=strategy.clock.last), strategy=strategy,
                     ray_init_args={"include_dashboard": False, "log_to_driver": False})

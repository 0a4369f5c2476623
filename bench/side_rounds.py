"""S0 to S5: rounds of simulations beside those of flwr and pfl."""
from __future__ import annotations

import json
import statistics
import subprocess

from sides import ACCURACY_APART, FLWR, PFL, RAY, Failed, spread

FLWR_SIDES = ("flwr run_simulation", "flwr start_simulation")
PEERS = {"flwr": FLWR_SIDES, "pfl, NumPy": ("pfl numpy", "pfl numpy-gloo"), "pfl, PyTorch": ("pfl torch",)}
# Multiplications and additions that training one client takes (50 examples, one epoch).
FLOPS = {"softmax": 1.57e6, "perceptron": 44e6, "niid-cnn": 76e6, "mcmahan-cnn": 3620e6}
WORKS = {  # id: (what it is called, the task, whether with NumPy and C++, whether with PyTorch)
    "S0": ("no training, 7,850 floats sent back, 1,000 of 100,000 clients",
           {"work": "noop", "pool": 100_000, "cohort": 1000, "rounds": 20, "warm_up": 2}, True, False),
    "S1": ("softmax regression, 50 of 1,200 clients",
           {"work": "softmax", "pool": 1200, "cohort": 50, "rounds": 100, "warm_up": 3}, True, True),
    "S2": ("perceptron 784-200-200-10, 50 of 1,200 clients",
           {"work": "perceptron", "pool": 1200, "cohort": 50, "rounds": 30, "warm_up": 2}, True, True),
    "S3": ("CNN of NIID-Bench, 50 of 1,200 clients",
           {"work": "niid-cnn", "pool": 1200, "cohort": 50, "rounds": 30, "warm_up": 2, "rate": 0.1}, False, True),
    "S4": ("CNN of McMahan et al., 20 of 1,200 clients",
           {"work": "mcmahan-cnn", "pool": 1200, "cohort": 20, "rounds": 20, "warm_up": 1, "rate": 0.05}, False, True),
}


class Work:
    """One row's work on all sides."""

    def __init__(self, sides, row, native):
        self.sides, self.bench, self.row = sides, sides.bench, row
        name, task, _, _ = WORKS[row]
        self.case = name if native else f"{name}, PyTorch"
        self.native = native
        self.task = {"rate": 0.01, **task, "data": sides.data, "torch": not native}
        self.rounds = {}  # of sides that are too slow for the task's
        self.swept = {}
        if sides.smoke:
            self.task.update(pool=40, cohort=8, rounds=1, warm_up=1)
        elif row == "S0":
            self.rounds = dict.fromkeys(FLWR_SIDES, 3)

    def groups(self):
        """The names under which rows show sides: ours, and each peer's ways of doing the work."""
        ours = {"C++": ("umbel, C++",), "Python": ("umbel, Python",)} if self.native else {
            "PyTorch": ("umbel, Python",)}
        peers = dict(PEERS) if self.native else {"flwr": PEERS["flwr"], "pfl": ("pfl torch",)}
        if self.row in ("S0", "S4") or (self.row in ("S1", "S2") and not self.native):
            # S0: see newer_engine(); of S1 and S2 the rows with NumPy show which of the engines is the faster.
            peers["flwr"] = ("flwr start_simulation",)
        if self.sides.smoke and self.row != "S1":  # Ray and PyTorch take their seconds to start
            peers = {"pfl, PyTorch": ("pfl torch",)} if self.row == "S3" else {"pfl, NumPy": ("pfl numpy",)}
        return ours, peers

    def run(self):
        ours, peers = ({name: self.sides.pick(*members) for name, members in group.items()}
                       for group in self.groups())
        if not any(ours.values()):
            return
        if self.row == "S0" and not self.sides.smoke:
            self.newer_engine()
        chosen = {name: self.best_of(members) for name, members in {**ours, **peers}.items() if members}
        if self.sides.smoke:
            results = self.swept
        else:
            self.draw_cohorts()
            results = self.sides.in_turn([chosen[n] for n in ours if n in chosen],
                                         [chosen[n] for n in peers if n in chosen], self.task, self.rounds)
        self.hold_to_accuracy(results)
        for our_name in ours:
            for peer_name in peers:
                if our_name in chosen and peer_name in chosen:
                    self.emit(our_name, chosen[our_name], peer_name, chosen[peer_name], results)

    def best_of(self, members):
        """The fastest of a peer's ways, each with its best setting."""
        few = max(1, self.task["rounds"] // 5)
        for member in members:
            self.swept[member.name] = [self.sides.sweep(
                self.row, member, {**self.task, "rounds": min(few, self.rounds.get(member.name, few))})]
        return min(members, key=lambda member: self.swept[member.name][0]["seconds"])

    def newer_engine(self):
        """flwr's run_simulation looks at each client for each message: too slow for a large pool."""
        for side in self.sides.pick("flwr run_simulation"):
            side.best = {"num_cpus": 1}
            seconds = side.measure({**self.task, "pool": 10_000, "rounds": 1, "warm_up": 0})["seconds"]
            self.bench.note(f"S0: flwr run_simulation, num_cpus 1: {seconds:.3g} s a round with 1,000 of only "
                            "10,000 clients; the time grows with the number of clients, so the rows are of "
                            "start_simulation")

    def draw_cohorts(self):
        """Who trains in which round of which seed, in files: with Umbel it depends on nothing else."""
        if self.task["work"] == "noop":
            return
        for side in self.sides.pick("umbel, C++"):
            for seed in (1, 2, 3):
                path = f"{self.sides.data}/cohorts-{self.task['work']}-{seed}"
                side.measure({**self.task, "work": "softmax", "seed": seed, "cohorts": path})

    def hold_to_accuracy(self, results):
        accuracies = {name: statistics.mean(one["accuracy"] for one in runs)
                      for name, runs in results.items() if runs and "accuracy" in runs[0]}
        if not accuracies:
            return
        self.bench.note(f"{self.row}: {self.case}: accuracy after {self.task['rounds'] + self.task['warm_up']} "
                        "rounds, mean of the seeds: " +
                        "; ".join(f"{name}: {100 * value:.2f} %" for name, value in accuracies.items()))
        apart = max(accuracies.values()) - min(accuracies.values())
        if apart > ACCURACY_APART and not self.sides.smoke:
            raise Failed(f"{self.row}: accuracies are {100 * apart:.2f} points apart: {accuracies}")

    def emit(self, our_name, ours, peer_name, peer, results):
        clients = self.task["cohort"]
        mine = [one["seconds"] for one in results[ours.name]]
        theirs = [one["seconds"] for one in results[peer.name]]
        row = {"id": self.row, "case": f"{self.case}: {our_name}", "ours": clients / statistics.median(mine),
               "unit": "clients/s", "peer": f"{peer_name} ({peer.name.split()[1]})",
               "peer-value": clients / statistics.median(theirs), "peer-version": f"{FLWR}, {RAY}, {PFL}",
               "ours-settings": ours.best, "peer-settings": peer.best, "runs": len(mine),
               **spread([b / a for a, b in zip(mine, theirs)])}
        used, peer_used = (statistics.median(one["processor"] for one in results[side.name]) for side in (ours, peer))
        if used * self.task["rounds"] > 0.1:  # of a clock of hundredths; what a busy machine does to the ratio, it does not to this
            row["processor-ratio"] = peer_used / used
        floor = self.bench.floor(self.task["work"])
        if floor:
            row.update({"floor": floor, "share-of-floor": row["ours"] / floor})
        self.bench.emit({**row, "beside": True})


class Floors:
    """What this machine's processors allow, in clients a second."""

    def __init__(self, program):
        answer = subprocess.run([program, '{"work": "floor"}'], check=True, stdout=subprocess.PIPE, text=True).stdout
        self.constants = json.loads(answer.removeprefix("RESULT "))

    def __call__(self, work):
        if work == "noop":
            return self.constants["updates"]
        return self.constants["flops"] / FLOPS[work]


def population(sides):
    """S5: a round's time and the memory of all processes, by the number of clients there are."""
    sizes = {"umbel, C++": (10**4, 10**6, 10**8), "umbel, Python": (10**4, 10**6, 10**8),
             "pfl numpy": (10**4, 10**6, 10**8), "flwr start_simulation": (10**4, 10**5, 10**6),
             "flwr run_simulation": (10**3, 10**4)}
    for side in sides.pick(*sizes):
        side.best = side.settings[min(1, len(side.settings) - 1)]
        flwr = side.name in FLWR_SIDES
        if sides.smoke and flwr:
            continue
        task = {"work": "softmax", "data": sides.data, "rate": 0.01, "cohort": 8 if sides.smoke else 1000,
                "rounds": 1 if flwr or sides.smoke else 5, "warm_up": int(side.name != "flwr run_simulation"),
                "seed": 1}
        repeat = 1 if sides.smoke or flwr else 5
        few = sizes[side.name][0]
        times = {}
        for clients in sizes[side.name][:2] if sides.smoke else sizes[side.name]:
            case = f"{side.name}: {clients:,} clients, softmax regression, {task['cohort']:,} a round"
            times[clients] = [side.measure({**task, "pool": clients})["seconds"] for _ in range(repeat)]
            row = {"id": "S5", "case": case, "ours": statistics.median(times[clients]) * 1e3, "unit": "ms a round",
                   "runs": repeat}
            if clients != few:
                row.update({"peer": f"{few:,} clients", "peer-value": statistics.median(times[few]) * 1e3,
                            **spread([a / b for a, b in zip(times[few], times[clients])])})
            sides.bench.emit({**row, "beside": True})
            memory = side.measure({**task, "pool": clients}, memory=True)["mebibytes"]
            sides.bench.emit({"beside": True, "id": "S5", "case": f"{case}: memory of all processes",
                              "ours": memory, "unit": "MiB", "runs": 1})


def kinds(sides, wanted):
    """Rows to measure: (id, whether with NumPy and C++ or else with PyTorch); few in a smoke test."""
    for row, (_, _, native, with_torch) in WORKS.items():
        if row in wanted and not (sides.smoke and row == "S4"):
            if native:
                yield row, True
            if with_torch and not (sides.smoke and native):
                yield row, False

"""A published risk score, held against the patients of twelve hospitals that it was not made at."""

import numpy as np
from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp
from umbel.serverapp import Grid, ServerApp, evaluate_sites

from patients import patients_of

client = ClientApp()
server = ServerApp()

# As it stands in the paper: log odds of coming back within thirty days.
SCORE = {
    "weights": np.array([0.8, 0.5, 1.1, -0.4]),  # age, days in hospital, earlier stays, lives with others
    "bias": np.array([-1.2]),
}


@client.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """How right the score is about this hospital's patients, who stay here."""
    score = message.content["arrays"]
    features, came_back = patients_of(context.partition_id)
    odds = features @ np.asarray(score["weights"]) + np.asarray(score["bias"])
    risk = 1 / (1 + np.exp(-odds))
    metrics = MetricRecord({
        "num-examples": len(came_back),
        "accuracy": float(np.mean((risk > 0.5) == came_back)),
        "brier": float(np.mean((risk - came_back) ** 2)),
        "observed-to-expected": float(came_back.sum() / risk.sum()),
    })
    return Message(RecordDict({"metrics": metrics}), reply_to=message)


@server.main()
def main(grid: Grid, context: Context) -> None:
    found = evaluate_sites(grid, ArrayRecord(SCORE), confidence=context.run_config["confidence"],
                           sites_min=2)
    for name, estimate in found.estimates.items():
        print(f"{name}: {estimate}, from {estimate.least:.3f} to {estimate.greatest:.3f}")
    for site, error in found.failures.items():
        print(f"hospital {site} is not in these figures: {error.reason}")
    context.publish("external-validation", found.metrics)

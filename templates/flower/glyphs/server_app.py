"""What the server does."""

from flwr.app import Array, ArrayRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from glyphs import task

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    images, labels = task.load_test()

    def evaluate(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        weights = {name: array.numpy() for name, array in arrays.items()}
        loss, accuracy = task.test(weights, images, labels)
        return MetricRecord({"loss": loss, "accuracy": accuracy})

    arrays = ArrayRecord({name: Array(array) for name, array in task.initial_weights().items()})
    result = FedAvg(fraction_train=context.run_config["fraction-train"]).start(
        grid=grid, initial_arrays=arrays, num_rounds=context.run_config["num-server-rounds"],
        evaluate_fn=evaluate)
    last = result.evaluate_metrics_serverapp[context.run_config["num-server-rounds"]]
    print(f"accuracy {last['accuracy']:.3f}")

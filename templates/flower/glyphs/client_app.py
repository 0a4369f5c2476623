"""What a client does."""

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from glyphs import task

app = ClientApp()


def weights_of(msg: Message) -> dict[str, np.ndarray]:
    return {name: array.numpy().copy() for name, array in msg.content["arrays"].items()}


@app.train()
def train(msg: Message, context: Context) -> Message:
    images, labels = task.load_data(context.node_config["partition-id"])
    weights, config = weights_of(msg), context.run_config
    rng = np.random.default_rng([context.node_config["partition-id"],
                                 msg.content["config"]["server-round"]])
    loss = task.train(weights, images, labels, config["local-epochs"], config["batch-size"],
                      config["learning-rate"], rng)
    content = RecordDict({
        "arrays": ArrayRecord({name: Array(array) for name, array in weights.items()}),
        "metrics": MetricRecord({"train_loss": loss, "num-examples": len(labels)})})
    return Message(content=content, reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context) -> Message:
    images, labels = task.load_data(context.node_config["partition-id"])
    loss, accuracy = task.test(weights_of(msg), images, labels)
    metrics = MetricRecord({"eval_loss": loss, "eval_acc": accuracy, "num-examples": len(labels)})
    return Message(content=RecordDict({"metrics": metrics}), reply_to=msg)

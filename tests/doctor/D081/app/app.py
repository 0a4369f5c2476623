"""A participant has a number, and the model moves towards it."""

from umbel.app import ArrayRecord, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp
from umbel.serverapp import ServerApp
from umbel.serverapp.strategy import FedAvg

clients = ClientApp()
server = ServerApp()


@clients.train()
def train(message, context):
    x = message.content["arrays"]["x"].numpy()
    x += context.run_config["learning-rate"] * context.rng().normal(size=x.shape)
    reply = {"arrays": ArrayRecord({"x": x}), "metrics": MetricRecord({"num-examples": 1})}
    return Message(RecordDict(reply), reply_to=message)


@server.main()
def serve(grid, context):
    share = context.run_config["clients-per-round"] / len(grid.get_node_ids())
    FedAvg(fraction_train=share).start(grid, ArrayRecord(), num_rounds=context.run_config["rounds"])

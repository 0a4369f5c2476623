"""Plants adapt a language model to their reports; of the model, low-rank adapters alone travel."""

from __future__ import annotations

import torch
from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import FedAvg

import text
from model import Transformer, adapted, adapters, fit, perplexity

client = ClientApp()
server = ServerApp()


def pretrained() -> Transformer:
    """The model that everybody has: trained here on everyday sentences.  Load yours from a file."""
    torch.manual_seed(0)
    base = Transformer()
    fit(base, text.sentences(text.EVERYDAY, 2000, seed=0), steps=200, size=32, rate=0.003)
    return base


# Once, before clients' processes are forked: they share it.
BASE = pretrained()


@client.train()
def train(message: Message, context: Context) -> Message:
    config = context.run_config
    model = adapted(BASE, config["rank"])
    model.load_state_dict(message.content["arrays"].to_torch_state_dict(), strict=False)
    reports = text.report(context.partition_id)  # put your own text here
    loss = fit(model, reports, config["local-steps"], config["batch-size"], config["learning-rate"])
    metrics = MetricRecord({"num-examples": len(reports), "loss": loss})
    arrays = ArrayRecord(adapters(model))
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)


@server.main()
def serve(grid: Grid, context: Context) -> None:
    torch.manual_seed(context.run_seed)
    model = adapted(BASE, context.run_config["rank"])
    test = torch.cat([text.report(site + 100, 20) for site in range(6)])

    def evaluate(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        model.load_state_dict(arrays.to_torch_state_dict(), strict=False)
        return MetricRecord({"perplexity": perplexity(model, test)})

    sizes = {name: sum(tensor.numel() * 4 for tensor in tensors.values())
             for name, tensors in (("model", BASE.state_dict()), ("adapters", adapters(model)))}
    context.publish("sizes", MetricRecord({**sizes, "base-perplexity": perplexity(BASE, test)}))
    result = FedAvg(fraction_evaluate=0).start(
        grid, ArrayRecord(adapters(model)), num_rounds=context.run_config["rounds"],
        evaluate_fn=evaluate)
    context.save("adapters.safetensors", result.arrays)

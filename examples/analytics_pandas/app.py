"""Counts, means and a histogram over the tables of hospitals, none of which shows its rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
from umbel.app import (ArrayRecord, ConfigRecord, Context, Message, MessageType, MetricRecord,
                       RecordDict)
from umbel.clientapp import ClientApp
from umbel.serverapp import Grid, ServerApp

from patients import WARDS, patients_of

client = ClientApp()
server = ServerApp()


def summary(table: pd.DataFrame, edges: np.ndarray, least: int) -> dict[str, np.ndarray]:
    """What can be summed up over hospitals: by ward, patients, known stays, and their days; ages.

    Groups of fewer than `least` patients count as empty.
    """
    wards = table.groupby("ward")["days"].agg(["size", "count", "sum"]).reindex(WARDS, fill_value=0)
    wards[wards["size"] < least] = 0
    ages = np.histogram(table["age"], edges)[0]
    return {"patients": wards["size"].to_numpy(np.int64),
            "stays": wards["count"].to_numpy(np.int64),
            "days": wards["sum"].to_numpy(np.float64), "ages": np.where(ages < least, 0, ages)}


@client.query()
def answer(message: Message, context: Context) -> Message:
    edges = message.content["question"]["age-edges"]
    table = patients_of(context.partition_id)
    sums = summary(table, np.array(edges), context.run_config["patients-min"])
    return Message(RecordDict({"sums": ArrayRecord(sums)}), reply_to=message)


def by_hospital(reply: Message) -> int:
    """Replies come in any order; sums of real numbers are the same in one order alone."""
    return reply.metadata.src_node_id


@server.main()
def serve(grid: Grid, context: Context) -> None:
    edges = list(range(0, 121, 20))
    question = RecordDict({"question": ConfigRecord({"age-edges": edges})})
    replies = grid.send_and_receive([
        Message(question, dst_node_id=node, message_type=MessageType.QUERY)
        for node in grid.get_node_ids()])
    answered = [reply.content["sums"] for reply in sorted(replies, key=by_hospital)
                if reply.has_content()]
    total = {name: sum(sums[name].numpy() for sums in answered)
             for name in ("patients", "stays", "days", "ages")}
    for ward, patients, stays, days in zip(WARDS, total["patients"], total["stays"], total["days"]):
        mean = float(days / stays)
        context.log(f"{ward}: {patients} patients, {mean:.4f} days on average")
        context.publish(ward, MetricRecord({"patients": int(patients), "mean-days": mean}))
    context.log("ages: " + ", ".join(str(count) for count in total["ages"]))
    context.publish("ages", MetricRecord({"edges": edges, "counts": total["ages"].tolist(),
                                          "hospitals": len(answered)}))

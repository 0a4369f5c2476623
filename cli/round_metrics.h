#pragma once

#include <string>
#include <vector>

#include "event.h"

namespace umbel::cli {

// All of a round's metrics in one record, by the names that apps know them by: the server's own
// as NAME, federated evaluation's as federated-NAME (and as NAME where the server has none),
// training's as train-NAME; in this order.
MetricRecord all_metrics(const RoundEvent& round);

// True for a federated-NAME whose value NAME has too: nothing that people have to read twice.
bool is_repeated(const MetricRecord& metrics, std::string_view name);

}  // namespace umbel::cli

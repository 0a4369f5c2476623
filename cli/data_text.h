#pragma once

#include <string>

#include "json_records.h"
#include "umbel/data/open_dataset.h"
#include "umbel/data/skew.h"
#include "umbel/data/summary.h"

namespace umbel::cli {

inline constexpr size_t kClassesShown = 20;
inline constexpr size_t kClientsShown = 10;

// What `umbel data inspect` says, for people and as JSON (docs/cli.md).
std::string dataset_text(const data::DatasetPlace& place, const data::Dataset& dataset,
                         const data::Summary& summary);
Json dataset_json(const data::DatasetPlace& place, const data::Dataset& dataset,
                  const data::Summary& summary);

std::string skew_text(const std::string& partition, const data::Skew& skew);
Json skew_json(const std::string& partition, const data::Skew& skew);

// A client's shares of labels as one character each, from blank (none) to @ (all); of many labels
// several share a character, the largest of them shown.
std::string shares_picture(const double* shares, size_t labels);

}  // namespace umbel::cli

#include <algorithm>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "data_text.h"
#include "umbel/data/open_dataset.h"
#include "umbel/data/partition.h"

namespace umbel::cli {

namespace {

data::OpenOptions reader_options(const DataOptions& options) {
  data::OpenOptions open;
  open.split = options.split;
  open.features = options.features;
  open.label = options.label;
  open.natural_id = options.natural_id;
  open.ignored = options.ignored;
  open.images = {options.height, options.width, static_cast<int>(options.channels), options.resize,
                 options.by_site};
  open.text.length = options.length;
  open.text.token = options.bytes ? data::TextToken::kByte : data::TextToken::kCharacter;
  if (options.owner == "line") open.text.owner = data::TextOwner::kLine;
  if (options.owner == "speaker") open.text.owner = data::TextOwner::kSpeaker;
  return open;
}

Result<data::Skew> skew_of(const data::Dataset& dataset, const data::Summary& summary,
                           const DataOptions& options) {
  constexpr int64_t kClients = 100;
  const bool natural = options.partition == "natural-id";
  data::PartitionOptions partition;
  partition.kind = options.partition;
  partition.clients =
      static_cast<uint64_t>(options.clients.value_or(natural ? summary.owners : kClients));
  partition.alpha = options.alpha;
  partition.seed = static_cast<uint64_t>(options.seed);
  // The default is for data sets of some size; a smaller one has only so many.
  const int64_t each = options.examples_per_client;
  const bool is_default = each == DataOptions().examples_per_client;
  partition.examples_per_client =
      static_cast<uint64_t>(is_default ? std::min(each, dataset.size()) : each);
  partition.shards_per_client = static_cast<uint64_t>(options.shards_per_client);
  if (summary.owners == 0 && options.partition.ends_with("natural-id")) {
    return invalid_argument(
        "partition {}: the data set says of no example whose it is; --natural-id names the column, "
        "--by-site the folders",
        options.partition);
  }
  UMBEL_ASSIGN_OR_RETURN(const data::Partition made, data::make_partition(dataset, partition));
  return data::measure_skew(made, dataset, partition.seed);
}

}  // namespace

int run_data(const DataOptions& options, const Output& output) {
  const data::OpenOptions open = reader_options(options);
  const auto place = data::find_dataset(options.path, open);
  if (!place.ok()) return output.fail(place.status());
  const auto dataset = data::open_dataset(options.path, open);
  if (!dataset.ok()) return output.fail(dataset.status());
  const data::Summary summary = data::summarize(*dataset);
  if (output.format() == Format::kText) output.say(dataset_text(*place, *dataset, summary));
  Json object = dataset_json(*place, *dataset, summary);
  if (!options.partition.empty()) {
    const auto skew = skew_of(*dataset, summary, options);
    if (!skew.ok()) return output.fail(skew.status());
    if (output.format() == Format::kText) output.say(skew_text(options.partition, *skew));
    object["partition"] = skew_json(options.partition, *skew);
  }
  output.result(object);
  return kDone;
}

}  // namespace umbel::cli

#include "umbel/app/context.h"

namespace umbel {

namespace {
constexpr char kPartitionId[] = "partition-id";
constexpr char kNumPartitions[] = "num-partitions";
}  // namespace

uint64_t client_seed(uint64_t run_seed, const Metadata& message) {
  const uint64_t purpose = derive_seed(run_seed, message.type);
  const uint64_t client = message.destination.value();
  return message.round ? derive_seed(purpose, {message.round, client})
                       : derive_seed(purpose, {0, client, message.id.value()});
}

const ConfigRecord& Context::node_config() const {
  if (node_config_.empty() && !is_server()) {
    if (configured_) node_config_ = *configured_;
    if (!node_config_.contains(kPartitionId)) node_config_.set(kPartitionId, node_.value());
    if (!node_config_.contains(kNumPartitions)) node_config_.set(kNumPartitions, run_.nodes);
  }
  return node_config_;
}

uint64_t Context::count_of(std::string_view key) const {
  const int64_t count = node_config().integer(key);
  if (count >= 0) return static_cast<uint64_t>(count);
  throw Error(invalid_argument("node config \"{}\" = {}, expected 0 or more", key, count));
}

uint64_t Context::partition_id() const {
  return configured_ ? count_of(kPartitionId) : node_.value();
}
uint64_t Context::num_partitions() const {
  return configured_ ? count_of(kNumPartitions) : run_.nodes;
}

void Context::log(LogLevel level, std::string_view message) const {
  run_.runtime->log(level, is_server() ? std::nullopt : std::optional(node_), message);
}

void Context::publish(std::string_view name, const MetricRecord& metrics) const {
  require_server("publish");
  if (name.empty() || name.size() > kRecordNameMax) {
    throw Error(invalid_argument("publish: the name has {} bytes, expected 1 to {}", name.size(),
                                 kRecordNameMax));
  }
  or_throw(annotate(check_metric_count(metrics), fmt::format("publish: \"{}\"", name)));
  run_.runtime->publish(name, metrics);
}

void Context::save(std::string_view name, const ArrayRecord& arrays) const {
  require_server("save");
  or_throw(run_.runtime->save(name, arrays));
}

void Context::require_server(std::string_view call) const {
  if (is_server()) return;
  throw Error(failed_precondition(
      "{} was called by a client: what one client has is not kept; reply with it, "
      "or put it in state()",
      call));
}

Parallel& Context::parallel() const {
  static thread_local Serial serial;
  if (!is_server()) return serial;
  return run_.runtime->parallel();
}

bool Context::stop_requested() const { return run_.runtime->stop_requested(); }

}  // namespace umbel

#include "umbel/app/context.h"

namespace umbel {

const ConfigRecord& Context::node_config() const {
  if (node_config_.empty() && !is_server()) {
    node_config_ = {{"partition-id", partition_id()}, {"num-partitions", num_partitions()}};
  }
  return node_config_;
}

void Context::log(LogLevel level, std::string_view message) const {
  run_.runtime->log(level, is_server() ? std::nullopt : std::optional(node_), message);
}

void Context::publish(std::string_view name, const MetricRecord& metrics) const {
  run_.runtime->publish(name, metrics);
}

void Context::save(std::string_view name, const ArrayRecord& arrays) const {
  or_throw(run_.runtime->save(name, arrays));
}

Parallel& Context::parallel() const {
  static thread_local Serial serial;
  if (!is_server()) return serial;
  return run_.runtime->parallel();
}

bool Context::stop_requested() const { return run_.runtime->stop_requested(); }

}  // namespace umbel

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

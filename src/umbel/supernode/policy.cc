#include "umbel/supernode/policy.h"

#include <fmt/format.h>

#include <algorithm>

namespace umbel::supernode {

namespace {

template <class... Args>
Status forbidden(fmt::format_string<Args...> format, Args&&... args) {
  return absl::PermissionDeniedError("the policy of the node's owner: " +
                                     fmt::format(format, std::forward<Args>(args)...));
}

constexpr size_t kListMax = 1'000;  // of one metric, where metrics are named

size_t length_of(const MetricValue& value) {
  if (const auto* integers = std::get_if<std::vector<int64_t>>(&value.base()))
    return integers->size();
  if (const auto* reals = std::get_if<std::vector<double>>(&value.base())) return reals->size();
  return 1;
}

std::string list_of(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

Result<ClientLogs> parse_client_logs(std::string_view text) {
  if (text == "off") return ClientLogs::kOff;
  if (text == "errors") return ClientLogs::kErrors;
  if (text == "full") return ClientLogs::kFull;
  return invalid_argument("client logs \"{}\": expected off, errors or full", text);
}

Status Policy::may_run(const bundle::Bundle& bundle) const {
  const auto& trusted = options_.trust_publishers;
  if (options_.allow_any_app) return absl::OkStatus();
  if (std::find(trusted.begin(), trusted.end(), bundle.signer) != trusted.end()) {
    return absl::OkStatus();
  }
  return forbidden("{} is signed by {}, whose apps may not run here (--trust-publisher allows it)",
                   bundle.description.id(), bundle.signer.text());
}

Status Policy::may_handle(const Metadata& message) const {
  const auto& allowed = options_.message_types;
  if (allowed.empty()) return absl::OkStatus();
  const std::string kind = message.type.substr(0, message.type.find('.'));
  for (const std::string& type : allowed) {
    if (type == message.type || type == kind) return absl::OkStatus();
  }
  return forbidden("messages of type \"{}\" are not answered here, only: {}", message.type,
                   list_of(allowed));
}

Status Policy::may_leave(const wire::ContentHead& head) const {
  for (const auto& [name, part] : head.records) {
    const auto* layout = std::get_if<Layout>(&part);
    if (layout != nullptr && !layout->empty() && !options_.arrays) {
      return forbidden("no arrays leave this node, and the reply has some in \"{}\"", name);
    }
    if (options_.metrics.empty()) continue;
    if (std::holds_alternative<ConfigRecord>(part)) {
      return forbidden("settings do not leave this node, and the reply has some in \"{}\"", name);
    }
    const auto* metrics = std::get_if<MetricRecord>(&part);
    if (metrics == nullptr) continue;
    for (const auto& [metric, value] : *metrics) {
      const auto& allowed = options_.metrics;
      if (std::find(allowed.begin(), allowed.end(), metric) == allowed.end()) {
        return forbidden("the metric \"{}\" does not leave this node, only: {}", metric,
                         list_of(allowed));
      }
      if (length_of(value) > kListMax) {
        return forbidden("a list has at most {} numbers, the metric \"{}\" has more", kListMax,
                         metric);
      }
    }
  }
  return absl::OkStatus();
}

MessageError Policy::outgoing(const MessageError& error) const {
  if (options_.client_logs != ClientLogs::kOff) return error;
  return {error.code,
          "the app's own words stay at the node, in its log (its owner lets them out by "
          "--client-logs errors)"};
}

Status Policy::may_leave(const wire::Envelope& reply, Time now) {
  constexpr Time kHour{3'600'000};
  if (!reply.error) UMBEL_RETURN_IF_ERROR(may_leave(reply.head));
  if (reply.blob.size > options_.reply_bytes_max) {
    return forbidden("a reply has at most {} bytes of arrays, this one has {}",
                     options_.reply_bytes_max, reply.blob.size);
  }
  if (options_.replies_per_hour == 0) return absl::OkStatus();
  while (!sent_.empty() && now - sent_.front() >= kHour) sent_.pop_front();
  if (sent_.size() >= options_.replies_per_hour) {
    return forbidden("at most {} replies an hour leave this node", options_.replies_per_hour);
  }
  sent_.push_back(now);
  return absl::OkStatus();
}

bool Policy::may_log(std::string_view level) const {
  if (options_.client_logs == ClientLogs::kFull) return true;
  return options_.client_logs == ClientLogs::kErrors && level == "error";
}

}  // namespace umbel::supernode

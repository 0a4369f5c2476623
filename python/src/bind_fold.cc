#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <utility>

#include "bind_strategy.h"
#include "convert.h"
#include "gil.h"
#include "umbel/aggregate/fold.h"
#include "umbel/aggregate/weighted_mean.h"

namespace umbel::python {

namespace {

constexpr size_t kThreadedBytes = size_t{8} << 20;  // below, a second thread does not pay

// One reply's content as the fold sees it.
struct Reply {
  NodeId node;
  std::shared_ptr<const RecordDict> content;
};

Message message_of_reply(const Reply& reply) {
  Metadata metadata;
  metadata.source = reply.node;
  return Message(std::move(metadata), reply.content);
}

std::vector<Reply> replies_from(nb::handle contents, nb::handle nodes) {
  std::vector<Reply> replies;
  for (const nb::handle content : contents) {
    replies.push_back({NodeId(nb::cast<uint64_t>(nodes[replies.size()])),
                       std::make_shared<const RecordDict>(content_from(content))});
  }
  return replies;
}

std::shared_ptr<const ArrayRecord> layout_from(nb::handle layout) {
  if (layout.is_none()) return nullptr;
  return std::make_shared<const ArrayRecord>(arrays_from(layout));
}

// Why this reply cannot count; nothing if it can.
std::optional<MessageError> fault(const Reply& reply,
                                  const std::shared_ptr<const ArrayRecord>& layout,
                                  const FoldOptions& options) {
  aggregate::Fold fold(layout, options);
  fold.add(message_of_reply(reply));
  Serial serial;
  const aggregate::FoldResult result = fold.finish(serial);
  if (result.failure_samples.empty()) return std::nullopt;
  return result.failure_samples.front().error;
}

template <class Kind>
const Kind* first_record(const RecordDict& content) {
  for (const auto& [name, record] : content) {
    if (const auto* found = std::get_if<Kind>(&record)) return found;
  }
  return nullptr;
}

// The arrays' mean in one pass over memory, where every reply counts; nothing where one does not.
std::optional<ArrayRecord> mean_of_all(const std::vector<Reply>& replies, const ArrayRecord& layout,
                                       const FoldOptions& options) {
  std::vector<aggregate::Addend> addends;
  size_t bytes = 0;
  for (const Reply& reply : replies) {
    const auto* arrays = first_record<ArrayRecord>(*reply.content);
    const auto* metrics = first_record<MetricRecord>(*reply.content);
    if (!arrays || !metrics || !require_layout(*arrays, layout).ok()) return std::nullopt;
    const Result<double> weight = aggregate::reply_weight(*metrics, options);
    if (!weight.ok()) return std::nullopt;
    addends.push_back({arrays, *weight});
    bytes += reply.content->byte_size();
  }
  ThreadTeam team(bytes < kThreadedBytes ? 1 : available_processors());
  Result<ArrayRecord> mean = aggregate::weighted_mean(addends, team);
  if (!mean.ok()) return std::nullopt;
  return *std::move(mean);
}

struct Folded {
  aggregate::FoldResult result;
  std::vector<size_t> counted;  // places among the replies
};

Folded fold_replies(const std::vector<Reply>& replies,
                    const std::shared_ptr<const ArrayRecord>& layout, const FoldOptions& options) {
  Folded folded;
  std::optional<ArrayRecord> mean;
  if (layout && !replies.empty()) mean = mean_of_all(replies, *layout, options);
  // With a mean, or without arrays, metrics are left; otherwise some reply has a fault.
  aggregate::Fold fold(mean ? nullptr : layout, options);
  for (size_t i = 0; i != replies.size(); ++i) {
    fold.add(message_of_reply(replies[i]));
    if (mean || !fault(replies[i], layout, options)) folded.counted.push_back(i);
  }
  Serial serial;
  folded.result = fold.finish(serial);
  if (mean) folded.result.arrays = *std::move(mean);
  return folded;
}

// As reports have it: the reason without the client's number, with which error replies begin.
nb::tuple failure(NodeId node, const MessageError& error) {
  const std::string number = fmt::format("client {}: ", node.value());
  const size_t from = error.reason.starts_with(number) ? number.size() : 0;
  return nb::make_tuple(node.value(), std::string(name_of(error.code)), error.reason.substr(from));
}

nb::dict fold(nb::handle contents, nb::handle nodes, const std::string& weight_key,
              nb::handle layout_handle) {
  const std::vector<Reply> replies = replies_from(contents, nodes);
  const auto layout = layout_from(layout_handle);
  const Folded folded = [&] {
    const WithoutGil without_gil;
    return fold_replies(replies, layout, {.weight_key = weight_key});
  }();
  nb::dict answer;
  const ArrayRecord& arrays = folded.result.arrays;
  answer["arrays"] = arrays.empty() ? nb::none() : to_python(arrays);
  answer["metrics"] = to_python(folded.result.metrics);
  answer["counted"] = folded.counted;
  nb::list failures;
  for (const auto& sample : folded.result.failure_samples) {
    failures.append(failure(sample.node, sample.error));
  }
  answer["failures"] = failures;
  return answer;
}

// For each content why it cannot count, or None.
nb::list check(nb::handle contents, const std::string& weight_key, nb::handle layout_handle) {
  const auto layout = layout_from(layout_handle);
  nb::list faults;
  for (const nb::handle content : contents) {
    const Reply reply{NodeId(0), std::make_shared<const RecordDict>(content_from(content))};
    const std::optional<MessageError> found = fault(reply, layout, {.weight_key = weight_key});
    if (found) {
      faults.append(found->reason);
    } else {
      faults.append(nb::none());
    }
  }
  return faults;
}

// What messages weigh, and the errors among them: (bytes, [(node, kind, reason), ...]).
nb::tuple weigh(nb::handle messages) {
  size_t bytes = 0;
  nb::list failures;
  for (const nb::handle handle : messages) {
    const Message message = message_from(handle);
    if (message.has_error()) {
      failures.append(failure(message.source(), message.error()));
    } else {
      bytes += message.content().byte_size();
    }
  }
  return nb::make_tuple(bytes, failures);
}

}  // namespace

void bind_fold(nb::module_& module) {
  module.def("fold", &fold, nb::arg("contents"), nb::arg("nodes"), nb::arg("weight_key"),
             nb::arg("layout").none(),
             nb::sig("def fold(contents: Sequence[Any], nodes: Sequence[int], weight_key: str, "
                     "layout: Any) -> dict[str, Any]"),
             "Folds replies' contents as the core does in a round; layout None: metrics alone.");
  module.def("check_replies", &check, nb::arg("contents"), nb::arg("weight_key"),
             nb::arg("layout").none(),
             nb::sig("def check_replies(contents: Sequence[Any], weight_key: str, layout: Any) -> "
                     "list[str | None]"));
  module.def(
      "weigh", &weigh, nb::arg("messages"),
      nb::sig("def weigh(messages: Sequence[Any]) -> tuple[int, list[tuple[int, str, str]]]"));
}

}  // namespace umbel::python

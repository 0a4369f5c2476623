#include "umbel/wire/runtime.h"

#include <umbel.pb.h>

#include <cmath>

#include "umbel/wire/convert.h"
#include "umbel/wire/utf8.h"

namespace umbel::wire {

namespace {

constexpr size_t kSamplesMax = 100;
constexpr size_t kKindsMax = 100;
constexpr size_t kFeaturesMax = 100;

// Daemon to app.
void fill(const ClientStart& start, v1::DaemonFrame& out) {
  put(start.run, *out.mutable_client_start()->mutable_run());
  put(start.node_config, *out.mutable_client_start()->mutable_node_config());
  if (start.twin_examples) out.mutable_client_start()->set_twin_examples(*start.twin_examples);
}
void fill(const Handle& handle, v1::DaemonFrame& out) {
  v1::Handle& in = *out.mutable_handle();
  in.set_instruction(handle.instruction);
  put(handle.message, *in.mutable_message());
  if (!handle.state.empty()) put(handle.state, *in.mutable_state());
  put(handle.node_config, *in.mutable_node_config());
  if (handle.wrap_up) {
    in.set_wrap_up_in(handle.wrap_up->in);
    in.set_wrap_up_seconds(handle.wrap_up->seconds);
  }
  in.set_content(handle.content);
  in.set_kept(handle.kept);
  in.set_reply_offset(handle.reply_offset);
  in.set_reply_size(handle.reply_size);
}
void fill(const AppWrapUp& wrap_up, v1::DaemonFrame& out) {
  out.mutable_wrap_up()->set_instruction(wrap_up.instruction);
  out.mutable_wrap_up()->set_seconds(wrap_up.seconds);
}
void fill(const FoldDone& done, v1::DaemonFrame& out) {
  v1::FoldDone& in = *out.mutable_fold_done();
  in.set_call(done.call);
  put(done.arrays, *in.mutable_arrays());
  put(done.result.metrics, *in.mutable_metrics());
  in.set_replies(done.result.replies);
  in.set_weight(done.result.weight);
  in.set_reply_bytes(done.result.reply_bytes);
  for (const auto& [code, count] : done.result.failures) {
    v1::FoldDone::Count& kind = *in.add_failures();
    kind.set_code(std::string(name_of(code)));
    kind.set_count(count);
  }
  for (const aggregate::Failure& failure : done.result.failure_samples) {
    v1::FoldDone::Sample& sample = *in.add_samples();
    sample.set_node(failure.node.value());
    put(failure.error, *sample.mutable_failure());
  }
  in.set_blob_size(done.blob_size);
}
void fill(const Weigh& weigh, v1::DaemonFrame& out) {
  out.mutable_weigh()->set_call(weigh.call);
  out.mutable_weigh()->set_reply(weigh.reply);
  put(weigh.metrics, *out.mutable_weigh()->mutable_metrics());
}
void fill(const Arrived& arrived, v1::DaemonFrame& out) {
  put(arrived.reply, *out.mutable_arrived()->mutable_reply());
}
void fill(const Stop&, v1::DaemonFrame& out) { out.mutable_stop(); }
void fill(const ReplyMemory& memory, v1::DaemonFrame& out) {
  out.mutable_reply_memory()->set_size(memory.size);
}

Result<DaemonFrame> parse(const v1::ClientStart& in) {
  ClientStart start;
  UMBEL_ASSIGN_OR_RETURN(start.run, parse_run(in.run()));
  UMBEL_ASSIGN_OR_RETURN(start.node_config, parse_config(in.node_config()));
  if (in.has_twin_examples()) start.twin_examples = in.twin_examples();
  return DaemonFrame(std::move(start));
}
Result<DaemonFrame> parse(const v1::Handle& in) {
  Handle handle{.instruction = in.instruction()};
  UMBEL_ASSIGN_OR_RETURN(handle.message, parse_envelope(in.message(), Blobs::kBeside));
  Result<RecordDict> state = parse_whole(in.state());
  if (!state.ok()) return annotate(state.status(), "state");
  handle.state = *std::move(state);
  UMBEL_ASSIGN_OR_RETURN(handle.node_config, parse_config(in.node_config()));
  if (in.has_wrap_up_in()) {
    handle.wrap_up = {in.wrap_up_in(), in.wrap_up_seconds()};
    UMBEL_RETURN_IF_ERROR(require_seconds("wrap_up_in", in.wrap_up_in()));
    UMBEL_RETURN_IF_ERROR(require_seconds("wrap_up_seconds", in.wrap_up_seconds()));
  }
  handle.content = in.content();
  handle.kept = in.kept();
  handle.reply_offset = in.reply_offset();
  handle.reply_size = in.reply_size();
  if (handle.kept && (handle.content == 0 || !handle.message.head.records.empty())) {
    return invalid_argument("a kept content {}", handle.content == 0 ? "has no number" : "came");
  }
  return DaemonFrame(std::move(handle));
}
Result<DaemonFrame> parse(const v1::AppWrapUp& in) {
  UMBEL_RETURN_IF_ERROR(require_seconds("seconds", in.seconds()));
  return DaemonFrame(AppWrapUp{in.instruction(), in.seconds()});
}
Result<DaemonFrame> parse(const v1::FoldDone& in) {
  FoldDone done{.call = in.call(), .blob_size = in.blob_size()};
  UMBEL_ASSIGN_OR_RETURN(done.arrays, parse_layout(in.arrays()));
  if (blob_size(done.arrays) != in.blob_size()) {
    return invalid_argument("blob_size = {}, the arrays take {}", in.blob_size(),
                            blob_size(done.arrays));
  }
  UMBEL_ASSIGN_OR_RETURN(done.result.metrics, parse_metrics(in.metrics()));
  done.result.replies = in.replies();
  done.result.weight = in.weight();
  done.result.reply_bytes = in.reply_bytes();
  if (in.failures_size() > static_cast<int>(kKindsMax) ||
      in.samples_size() > static_cast<int>(kSamplesMax)) {
    return invalid_argument("{} kinds of failures and {} samples, the limits are {} and {}",
                            in.failures_size(), in.samples_size(), kKindsMax, kSamplesMax);
  }
  for (const v1::FoldDone::Count& kind : in.failures()) {
    v1::Failure code;
    code.set_code(kind.code());
    done.result.failures[parse_failure(code).code] += kind.count();
  }
  for (const v1::FoldDone::Sample& sample : in.samples()) {
    done.result.failure_samples.push_back({NodeId(sample.node()), parse_failure(sample.failure())});
  }
  return DaemonFrame(std::move(done));
}
Result<DaemonFrame> parse(const v1::Weigh& in) {
  Weigh weigh{.call = in.call(), .reply = in.reply()};
  UMBEL_ASSIGN_OR_RETURN(weigh.metrics, parse_metrics(in.metrics()));
  return DaemonFrame(std::move(weigh));
}
Result<DaemonFrame> parse(const v1::Arrived& in) {
  Arrived arrived;
  UMBEL_ASSIGN_OR_RETURN(arrived.reply, parse_envelope(in.reply(), Blobs::kBeside));
  return DaemonFrame(std::move(arrived));
}

// App to daemon.
void fill(const AppReady& ready, v1::AppFrame& out) {
  out.mutable_ready()->set_software(as_utf8(ready.software, kShortTextMax));
  for (const std::string& feature : ready.features) {
    out.mutable_ready()->add_features(as_utf8(feature, kShortTextMax));
  }
}
void fill(const Handled& handled, v1::AppFrame& out) {
  out.mutable_handled()->set_instruction(handled.instruction);
  put(handled.reply, *out.mutable_handled()->mutable_reply());
  if (!handled.state.empty()) put(handled.state, *out.mutable_handled()->mutable_state());
  out.mutable_handled()->set_in_reply_memory(handled.in_reply_memory);
}
void fill(const AppLog& log, v1::AppFrame& out) {
  out.mutable_log()->set_level(as_utf8(log.level, kShortTextMax));
  out.mutable_log()->set_message(as_utf8(log.message, kLineBytesMax));
  if (log.node) out.mutable_log()->set_node(log.node->value());
}
void fill(const FoldCall& call, v1::AppFrame& out) {
  v1::FoldCall& in = *out.mutable_fold();
  in.set_call(call.call);
  in.set_type(call.type);
  in.set_round(call.round);
  in.mutable_nodes()->Add(call.nodes.begin(), call.nodes.end());
  in.set_first_message(call.first_message);
  put(call.content, call.blob, *in.mutable_content());
  in.set_wants_arrays(call.layout.has_value());
  if (call.layout) put(*call.layout, *in.mutable_layout());
  in.set_weight_key(call.weight_key);
  in.set_weighs(call.weighs);
  in.set_weight_max(call.weight_max);
  if (call.deadline_seconds) in.set_deadline_seconds(*call.deadline_seconds);
  if (call.wrap_up_seconds) in.set_wrap_up_seconds(*call.wrap_up_seconds);
}
void fill(const Weight& weight, v1::AppFrame& out) {
  v1::Weight& in = *out.mutable_weight();
  in.set_call(weight.call);
  in.set_reply(weight.reply);
  in.set_weight(weight.weight);
  in.set_error(as_utf8(weight.error, kReasonBytesMax));
}
void fill(const Push& push, v1::AppFrame& out) {
  put(push.message, *out.mutable_push()->mutable_message());
}
void fill(const Forget& forget, v1::AppFrame& out) {
  out.mutable_forget()->mutable_messages()->Add(forget.messages.begin(), forget.messages.end());
}

Result<AppFrame> parse(const v1::AppReady& in) {
  UMBEL_RETURN_IF_ERROR(require_short("software", in.software(), kShortTextMax));
  UMBEL_RETURN_IF_ERROR(
      require_count("features", static_cast<size_t>(in.features_size()), kFeaturesMax));
  return AppFrame(AppReady{in.software(), {in.features().begin(), in.features().end()}});
}
Result<AppFrame> parse(const v1::Handled& in) {
  Handled handled{.instruction = in.instruction()};
  UMBEL_ASSIGN_OR_RETURN(handled.reply, parse_envelope(in.reply(), Blobs::kBeside));
  Result<RecordDict> state = parse_whole(in.state());
  if (!state.ok()) return annotate(state.status(), "state");
  handled.state = *std::move(state);
  handled.in_reply_memory = in.in_reply_memory();
  return AppFrame(std::move(handled));
}
Result<AppFrame> parse(const v1::AppLog& in) {
  UMBEL_RETURN_IF_ERROR(require_short("level", in.level(), kShortTextMax));
  UMBEL_RETURN_IF_ERROR(require_short("message", in.message(), kLineBytesMax));
  AppLog log{in.level(), in.message(), std::nullopt};
  if (in.has_node()) log.node = NodeId(in.node());
  return AppFrame(std::move(log));
}
Status parse_times(const v1::FoldCall& in, FoldCall& call) {
  if (!(in.weight_max() > 0)) {
    return invalid_argument("weight_max = {}, expected above 0", in.weight_max());
  }
  call.weight_max = in.weight_max();
  if (in.has_deadline_seconds()) call.deadline_seconds = in.deadline_seconds();
  if (in.has_wrap_up_seconds()) call.wrap_up_seconds = in.wrap_up_seconds();
  UMBEL_RETURN_IF_ERROR(require_seconds("deadline_seconds", in.deadline_seconds()));
  return require_seconds("wrap_up_seconds", in.wrap_up_seconds());
}
Result<AppFrame> parse(const v1::FoldCall& in) {
  FoldCall call{.call = in.call(), .type = in.type(), .round = in.round()};
  UMBEL_RETURN_IF_ERROR(require_short("type", in.type(), kNameBytesMax));
  UMBEL_RETURN_IF_ERROR(require_short("weight_key", in.weight_key(), kNameBytesMax));
  call.nodes.assign(in.nodes().begin(), in.nodes().end());
  call.first_message = in.first_message();
  UMBEL_RETURN_IF_ERROR(
      annotate(parse_content(in.content(), Blobs::kBeside, call.content, call.blob), "content"));
  if (in.wants_arrays()) {
    Result<Layout> layout = parse_layout(in.layout());
    if (!layout.ok()) return annotate(layout.status(), "layout");
    call.layout = *std::move(layout);
  }
  call.weight_key = in.weight_key();
  call.weighs = in.weighs();
  UMBEL_RETURN_IF_ERROR(parse_times(in, call));
  return AppFrame(std::move(call));
}
Result<AppFrame> parse(const v1::Weight& in) {
  UMBEL_RETURN_IF_ERROR(require_short("error", in.error(), kReasonBytesMax));
  return AppFrame(Weight{in.call(), in.reply(), in.weight(), in.error()});
}
Result<AppFrame> parse(const v1::Push& in) {
  Push push;
  UMBEL_ASSIGN_OR_RETURN(push.message, parse_envelope(in.message(), Blobs::kBeside));
  return AppFrame(std::move(push));
}

}  // namespace

std::string format(const DaemonFrame& frame) {
  v1::DaemonFrame out;
  std::visit([&out](const auto& f) { fill(f, out); }, frame);
  return out.SerializeAsString();
}

std::string format(const AppFrame& frame) {
  v1::AppFrame out;
  std::visit([&out](const auto& f) { fill(f, out); }, frame);
  return out.SerializeAsString();
}

Result<DaemonFrame> parse_daemon_frame(std::span<const std::byte> bytes) {
  v1::DaemonFrame in;
  UMBEL_RETURN_IF_ERROR(parse_frame(bytes, kFrameBytesMax, kDaemonFrameForm, in));
  switch (in.frame_case()) {
    case v1::DaemonFrame::kClientStart:
      return named("client_start", parse(in.client_start()));
    case v1::DaemonFrame::kHandle:
      return named("handle", parse(in.handle()));
    case v1::DaemonFrame::kWrapUp:
      return named("wrap_up", parse(in.wrap_up()));
    case v1::DaemonFrame::kFoldDone:
      return named("fold_done", parse(in.fold_done()));
    case v1::DaemonFrame::kWeigh:
      return named("weigh", parse(in.weigh()));
    case v1::DaemonFrame::kArrived:
      return named("arrived", parse(in.arrived()));
    case v1::DaemonFrame::kStop:
      return DaemonFrame(Stop());
    case v1::DaemonFrame::kReplyMemory:
      return DaemonFrame(ReplyMemory{in.reply_memory().size()});
    case v1::DaemonFrame::FRAME_NOT_SET:
      break;
  }
  return unknown_frame();
}

Result<AppFrame> parse_app_frame(std::span<const std::byte> bytes) {
  v1::AppFrame in;
  UMBEL_RETURN_IF_ERROR(parse_frame(bytes, kFrameBytesMax, kAppFrameForm, in));
  switch (in.frame_case()) {
    case v1::AppFrame::kReady:
      return named("ready", parse(in.ready()));
    case v1::AppFrame::kHandled:
      return named("handled", parse(in.handled()));
    case v1::AppFrame::kLog:
      return named("log", parse(in.log()));
    case v1::AppFrame::kFold:
      return named("fold", parse(in.fold()));
    case v1::AppFrame::kWeight:
      return named("weight", parse(in.weight()));
    case v1::AppFrame::kPush:
      return named("push", parse(in.push()));
    case v1::AppFrame::kForget:
      return AppFrame(Forget{{in.forget().messages().begin(), in.forget().messages().end()}});
    case v1::AppFrame::FRAME_NOT_SET:
      break;
  }
  return unknown_frame();
}

}  // namespace umbel::wire

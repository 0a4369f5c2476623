#include "umbel/runner/worker_talk.h"

#include <algorithm>
#include <utility>

#include "umbel/runner/attach.h"

namespace umbel::runner {

namespace {

// Replies that are worth memory of their own, which a worker keeps.
constexpr uint64_t kReplyBytesMin = 4 << 10, kReplyBytesMax = uint64_t{64} << 20;
constexpr size_t kAnswerBytesMax = 2 * wire::kFrameBytesMax;  // a reply and a state

LogLevel level_named(std::string_view name) {
  return name == "error" ? LogLevel::kError : name == "warn" ? LogLevel::kWarn : LogLevel::kInfo;
}

// Seconds from now on, not below 0.
double seconds_until(WrapUp::Clock::time_point moment) {
  return std::max(0.0, std::chrono::duration<double>(moment - WrapUp::Clock::now()).count());
}

}  // namespace

Status WorkerTalk::get_ready() {
  UMBEL_RETURN_IF_ERROR(channel_.send(wire::format(wire::DaemonFrame(client_start()))));
  for (;;) {
    UMBEL_ASSIGN_OR_RETURN(const Channel::Frame frame, channel_.receive(kAnswerBytesMax));
    UMBEL_ASSIGN_OR_RETURN(const wire::AppFrame parsed,
                           wire::parse_app_frame(std::as_bytes(std::span(frame.bytes))));
    if (const auto* ready = std::get_if<wire::AppReady>(&parsed)) {
      const auto has = [&](const char* name) {
        return std::ranges::count(ready->features, name) > 0;
      };
      keeps_contents_ = has(wire::kFeatureContents);
      has_reply_memory_ = has(wire::kFeatureReplyMemory);
      return absl::OkStatus();
    }
    const auto* line = std::get_if<wire::AppLog>(&parsed);
    if (!line) return invalid_argument("sent a frame out of turn");
    log(*line);
  }
}

wire::ClientStart WorkerTalk::client_start() const {
  wire::ClientStart start;
  start.run.id = run_.id;
  start.run.seed = run_.seed;
  start.run.nodes = run_.nodes;
  start.run.config = run_.config.record();
  for (const auto& [key, value] : start.run.config) {
    start.run.origins.push_back(run_.config.origin(key));
  }
  start.twin_examples = run_.twin_examples;
  return start;
}

void WorkerTalk::log(const wire::AppLog& line) const {
  run_.runtime->log(level_named(line.level), line.node, line.message);
}

Status WorkerTalk::send(const Message& message, const Context& context, KeptContents& contents) {
  if (!message.shared_content()) return failed_precondition("the message has no content");
  UMBEL_ASSIGN_OR_RETURN(const auto content, contents.find(message.shared_content()));
  wire::Handle handle{.instruction = ++messages_,
                      .message = {.metadata = message.metadata()},
                      .state = context.state()};
  if (const ConfigRecord* configured = context.configured()) handle.node_config = *configured;
  const auto times =
      context.wrap_up_times() ? context.wrap_up_times()->times() : std::optional<WrapUp::Times>();
  if (times) {
    handle.wrap_up = {seconds_until(times->from),
                      std::chrono::duration<double>(times->until - times->from).count()};
  }
  if (keeps_contents_) {
    handle.content = content->number;
    handle.kept = std::ranges::count(kept_, content->number) > 0;
  }
  if (!handle.kept) {
    handle.message.head = content->head;
    handle.message.blob = content->blob;
  }
  UMBEL_RETURN_IF_ERROR(reserve_place(handle));
  const bool keeps = handle.content != 0 && !handle.kept;
  const bool with_memory = !handle.kept && content->shared;
  const std::string bytes = wire::format(wire::DaemonFrame(std::move(handle)));
  if (bytes.size() > wire::kFrameBytesMax) {
    return absl::FailedPreconditionError(
        fmt::format("its message has {} bytes of state, metrics and settings, the limit is {}",
                    bytes.size(), wire::kFrameBytesMax));
  }
  if (keeps) {
    kept_.push_back(content->number);
    if (kept_.size() > wire::kContentsKept) kept_.pop_front();
  }
  return channel_.send(bytes, with_memory ? &content->shared : nullptr);
}

// Memory for the reply's blob, where replies are large enough to be worth it.
Status WorkerTalk::reserve_place(wire::Handle& handle) {
  if (place_) places_->release(*place_);  // its message was not sent after all
  place_.reset();
  if (reply_bytes_ > (places_ ? places_->place_bytes() : 0)) {
    auto places = ReplyPlaces::make(reply_bytes_);
    reply_bytes_ = 0;
    if (places.ok()) {  // where there is no memory, replies travel
      places_ = *std::move(places);
      const Descriptor memory = places_->take_descriptor();
      const wire::DaemonFrame frame = wire::ReplyMemory{places_->size()};
      UMBEL_RETURN_IF_ERROR(channel_.send_with(wire::format(frame), memory.get()));
    }
  }
  place_ = places_ ? places_->take() : std::nullopt;
  if (!place_) return absl::OkStatus();
  handle.reply_offset = places_->offset(*place_);
  handle.reply_size = places_->place_bytes();
  return absl::OkStatus();
}

Result<Buffer> WorkerTalk::blob_of_reply(const wire::Handled& handled, Descriptor memory) {
  const wire::BlobRef& blob = handled.reply.blob;
  const std::optional<size_t> place = std::exchange(place_, std::nullopt);
  if (handled.in_reply_memory) {
    if (place && !memory && blob.size <= places_->place_bytes()) {
      return places_->bytes(*place, blob.size);
    }
    if (place) places_->release(*place);
    return invalid_argument("a reply in memory that it was not given");
  }
  if (place) places_->release(*place);
  if (has_reply_memory_ && blob.size > kReplyBytesMin && blob.size <= kReplyBytesMax) {
    reply_bytes_ = std::max(reply_bytes_, blob.size);
  }
  return attached(blob, std::move(memory));
}

Result<Message> WorkerTalk::answer(const Message& message, Context& context) {
  for (;;) {
    UMBEL_ASSIGN_OR_RETURN(Channel::Frame frame, channel_.receive(kAnswerBytesMax));
    UMBEL_ASSIGN_OR_RETURN(std::optional<Message> reply,
                           take_frame(std::move(frame), message, context));
    if (reply) return *std::move(reply);
  }
}

// The reply, if the frame has it.
Result<std::optional<Message>> WorkerTalk::take_frame(Channel::Frame frame, const Message& message,
                                                      Context& context) {
  UMBEL_ASSIGN_OR_RETURN(wire::AppFrame parsed,
                         wire::parse_app_frame(std::as_bytes(std::span(frame.bytes))));
  if (const auto* line = std::get_if<wire::AppLog>(&parsed)) {
    log(*line);
    return std::optional<Message>();
  }
  auto* handled = std::get_if<wire::Handled>(&parsed);
  if (!handled) return invalid_argument("a frame that is not for a ClientApp to send");
  const wire::Envelope& reply = handled->reply;
  if (handled->instruction != messages_ || reply.metadata.reply_to != message.metadata().id) {
    return invalid_argument("a reply to another message");
  }
  UMBEL_ASSIGN_OR_RETURN(const Buffer blob, blob_of_reply(*handled, std::move(frame.blob)));
  if (reply.error) return std::optional(message.reply(*reply.error));
  UMBEL_ASSIGN_OR_RETURN(RecordDict content, wire::assemble(reply.head, blob));
  context.state() = std::move(handled->state);
  return std::optional(message.reply(std::move(content)));
}

}  // namespace umbel::runner

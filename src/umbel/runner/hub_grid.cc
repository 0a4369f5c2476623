#include "umbel/runner/hub_grid.h"

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <deque>
#include <thread>
#include <unordered_map>

#include "umbel/app/mailbox.h"
#include "umbel/base/check.h"
#include "umbel/runner/attach.h"
#include "umbel/wire/runtime.h"

namespace umbel::runner {

namespace {

using wire::FoldDone;
using wire::Weigh;

Error stopped() { return Error(absl::CancelledError("the run was stopped")); }

wire::FoldCall call_of(const Broadcast& broadcast, const AggregationPlan& plan,
                       const Deadline& deadline) {
  wire::FoldCall call{.type = broadcast.type, .round = broadcast.round, .nodes = broadcast.nodes};
  call.content = wire::head_of(*broadcast.content);
  call.blob.size = call.content.blob_size();
  if (call.blob.size <= wire::kInlineBytesMax) call.blob.here = wire::blob_of(*broadcast.content);
  if (plan.layout) call.layout = layout_of(*plan.layout);
  call.weight_key = plan.options.weight_key;
  call.weighs = static_cast<bool>(plan.options.weight);
  call.weight_max = plan.options.weight_max;
  if (deadline) call.deadline_seconds = deadline->count();
  if (broadcast.wrap_up) call.wrap_up_seconds = broadcast.wrap_up->count();
  return call;
}

// The weight of a reply by the app's own function, or what it threw.
wire::Weight weight_of(const FoldOptions& options, const Weigh& weigh) {
  wire::Weight weight{.call = weigh.call, .reply = weigh.reply};
  try {
    weight.weight = options.weight(weigh.metrics);
  } catch (const std::exception& error) {
    weight.error = fmt::format("the weight function threw: {}", error.what());
  } catch (...) {
    weight.error = "the weight function threw something that is not a std::exception";
  }
  return weight;
}

}  // namespace

struct HubGrid::State {
  State(Channel given, const Run& given_run) : channel(std::move(given)), run(given_run) {}

  void receive();
  Status take(Channel::Frame frame);
  Status take(wire::FoldDone done, Descriptor memory);
  void lose(const Status& status);
  void require_running() {
    if (stop) throw stopped();
    absl::MutexLock lock(&mutex);
    or_throw(lost);
  }
  void send(const wire::AppFrame& frame, const SharedBlob* blob) {
    const std::string bytes = wire::format(frame);
    if (bytes.size() > wire::kFrameBytesMax) {
      throw Error(invalid_argument(
          "a message of {} bytes beside its arrays, the limit is {}: names, settings and the list "
          "of clients together",
          bytes.size(), wire::kFrameBytesMax));
    }
    const Status status = channel.send(bytes, blob);
    if (!status.ok()) throw Error(annotate(status, "the SuperLink"));
  }
  aggregate::FoldResult await(uint64_t id, const FoldOptions& options);

  Channel channel;
  const Run& run;
  Mailbox mailbox;
  std::atomic<uint64_t> next_message{1};
  std::atomic<uint64_t> next_call{1};
  std::atomic<bool> stop{false};
  std::atomic<bool> sent{false};

  absl::Mutex mutex;
  Status lost ABSL_GUARDED_BY(mutex);        // why the channel is of no use any more
  uint64_t call ABSL_GUARDED_BY(mutex) = 0;  // that is under way
  std::optional<aggregate::FoldResult> done ABSL_GUARDED_BY(mutex);
  std::deque<Weigh> to_weigh ABSL_GUARDED_BY(mutex);
  std::jthread receiver;
};

HubGrid::HubGrid(Channel channel, const Run& run)
    : state_(std::make_unique<State>(std::move(channel), run)) {
  state_->receiver = std::jthread([state = state_.get()] { state->receive(); });
}

HubGrid::~HubGrid() { state_->channel.shut_down(); }

void HubGrid::State::receive() {
  for (;;) {
    Result<Channel::Frame> frame = channel.receive(wire::kFrameBytesMax);
    const Status status = frame.ok() ? take(*std::move(frame)) : frame.status();
    if (status.ok()) continue;
    lose(annotate(status, "the SuperLink"));
    return;
  }
}

Status HubGrid::State::take(Channel::Frame frame) {
  Result<wire::DaemonFrame> parsed =
      wire::parse_daemon_frame(std::as_bytes(std::span(frame.bytes)));
  if (absl::IsUnimplemented(parsed.status())) return absl::OkStatus();  // of a newer SuperLink
  UMBEL_RETURN_IF_ERROR(parsed.status());
  if (std::holds_alternative<wire::Stop>(*parsed)) {
    stop = true;
    mailbox.close();
    const absl::MutexLock lock(&mutex);  // wakes whoever waits
  } else if (auto* arrived = std::get_if<wire::Arrived>(&*parsed)) {
    UMBEL_ASSIGN_OR_RETURN(const Buffer blob, attached(arrived->reply.blob, std::move(frame.blob)));
    UMBEL_ASSIGN_OR_RETURN(Message reply, wire::to_message(arrived->reply, blob));
    mailbox.put(std::move(reply));
  } else if (auto* weigh = std::get_if<Weigh>(&*parsed)) {
    absl::MutexLock lock(&mutex);
    if (weigh->call == call) to_weigh.push_back(std::move(*weigh));
  } else if (auto* fold = std::get_if<FoldDone>(&*parsed)) {
    return take(std::move(*fold), std::move(frame.blob));
  } else {
    return invalid_argument("a frame that is for a ClientApp");
  }
  return absl::OkStatus();
}

Status HubGrid::State::take(FoldDone fold, Descriptor memory) {
  aggregate::FoldResult result = std::move(fold.result);
  if (fold.blob_size > 0 || !fold.arrays.empty()) {
    wire::ContentHead head;
    head.records.emplace_back("arrays", std::move(fold.arrays));
    wire::BlobRef mean{.size = fold.blob_size};
    UMBEL_ASSIGN_OR_RETURN(const Buffer blob, attached(mean, std::move(memory)));
    UMBEL_ASSIGN_OR_RETURN(RecordDict content, wire::assemble(head, blob));
    result.arrays = std::move(std::get<ArrayRecord>(content["arrays"]));
  }
  absl::MutexLock lock(&mutex);
  if (fold.call == call) done = std::move(result);
  return absl::OkStatus();
}

void HubGrid::State::lose(const Status& status) {
  {
    absl::MutexLock lock(&mutex);
    lost = status;
  }
  mailbox.close();
}

uint64_t HubGrid::node_count() const { return state_->run.nodes; }

MessageId HubGrid::next_message() const { return MessageId(state_->next_message.load()); }
void HubGrid::set_next_message(MessageId next) { state_->next_message = next.value(); }

Message HubGrid::make_message(std::string type, NodeId node, RecordDict content) {
  or_throw(check_client(node.value(), node_count()));
  Metadata metadata{.run = state_->run.id,
                    .id = MessageId(state_->next_message.fetch_add(1)),
                    .source = kServerNode,
                    .destination = node,
                    .type = std::move(type)};
  return Message(std::move(metadata), std::move(content));
}

std::vector<MessageId> HubGrid::push(std::vector<Message> messages) {
  state_->require_running();
  std::vector<MessageId> ids;
  for (const Message& message : messages) {
    or_throw(check_client(message.metadata().destination.value(), node_count()));
    or_throw(wire::require_sendable(message.content()));
    ids.push_back(message.metadata().id);
  }
  or_throw(state_->mailbox.expect(ids));
  state_->sent = true;
  const RecordDict* last = nullptr;  // messages that share a content share its memory
  std::optional<SharedBlob> blob;
  for (const Message& message : messages) {
    wire::Push push{wire::envelope_of(message)};
    if (std::exchange(last, message.shared_content().get()) != message.shared_content().get()) {
      blob = or_throw(shared_blob_of(message.content(), push.message.blob));
    }
    state_->send(push, blob ? &*blob : nullptr);
  }
  return ids;
}

std::vector<Message> HubGrid::pull(std::span<const MessageId> ids, Deadline deadline) {
  state_->require_running();
  std::vector<Message> replies = state_->mailbox.take(ids, time_limit(deadline));
  state_->require_running();
  return replies;
}

void HubGrid::forget(std::span<const MessageId> ids) {
  state_->mailbox.forget(ids);
  wire::Forget forget;
  for (const MessageId id : ids) forget.messages.push_back(id.value());
  state_->send(forget, nullptr);
}

aggregate::FoldResult HubGrid::send_and_fold(const Broadcast& broadcast,
                                             const AggregationPlan& plan, Deadline deadline) {
  state_->require_running();
  or_throw(check_broadcast(broadcast, node_count(), deadline));
  or_throw(wire::require_sendable(*broadcast.content));
  if (plan.options.metric_replies_min > 1) {
    throw Error(
        failed_precondition("metric_replies_min is for simulations: a hub does not know it"));
  }
  wire::FoldCall call = call_of(broadcast, plan, deadline);
  call.call = state_->next_call.fetch_add(1);
  call.first_message = state_->next_message.fetch_add(broadcast.nodes.size());
  const std::optional<SharedBlob> blob = or_throw(shared_blob_of(*broadcast.content, call.blob));
  {
    absl::MutexLock lock(&state_->mutex);
    state_->call = call.call;
    state_->done.reset();
    state_->to_weigh.clear();
  }
  state_->sent = true;
  const uint64_t id = call.call;
  state_->send(std::move(call), blob ? &*blob : nullptr);
  aggregate::FoldResult result = state_->await(id, plan.options);
  if (plan.layout && result.replies > 0) {
    or_throw(annotate(require_layout(result.arrays, *plan.layout), "the SuperLink's mean"));
  }
  return result;
}

// Weighs replies on this thread, the ServerApp's own, until the result is there.
aggregate::FoldResult HubGrid::State::await(uint64_t id, const FoldOptions& options) {
  for (;;) {
    std::optional<Weigh> weigh;
    {
      absl::MutexLock lock(&mutex);
      const auto awake = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
        return stop || !lost.ok() || done || !to_weigh.empty();
      };
      mutex.Await(absl::Condition(&awake));
      if (stop) throw stopped();
      or_throw(lost);
      if (done) {
        call = 0;
        return *std::exchange(done, std::nullopt);
      }
      weigh = std::move(to_weigh.front());
      to_weigh.pop_front();
    }
    UMBEL_CHECK(weigh->call == id);
    if (!options.weight) throw Error(invalid_argument("the SuperLink asked for a weight"));
    send(weight_of(options, *weigh), nullptr);
  }
}

void HubGrid::request_stop() {
  state_->stop = true;
  state_->mailbox.close();
  const absl::MutexLock lock(&state_->mutex);  // wakes whoever waits
}

bool HubGrid::stop_requested() const { return state_->stop; }
bool HubGrid::sent() const { return state_->sent; }

}  // namespace umbel::runner

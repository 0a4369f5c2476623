#include "umbel/supernode/app_process.h"

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/clock.h>

#include <deque>
#include <optional>
#include <thread>
#include <utility>

#include "umbel/base/text.h"
#include "umbel/runner/channel.h"
#include "umbel/runner/child_process.h"

namespace umbel::supernode {

namespace {

constexpr size_t kWordsMax = 1000;

struct Outgoing {
  std::string bytes;
  std::shared_ptr<const SharedBlob> blob;
};

// The reply's blob: in its frame, or in the memory that came with it.
Status take_blob(AppProcess::Answer& answer, Descriptor descriptor) {
  wire::BlobRef& ref = answer.handled.reply.blob;
  if (ref.is_here()) {
    answer.blob = std::exchange(ref.here, Buffer());
  } else {
    if (!descriptor) return invalid_argument("its reply came without its arrays");
    UMBEL_ASSIGN_OR_RETURN(const SharedBlob blob,
                           SharedBlob::adopt(std::move(descriptor), ref.size));
    UMBEL_ASSIGN_OR_RETURN(answer.blob, blob.map());
  }
  if (ref.size != answer.handled.reply.head.blob_size()) {
    return invalid_argument("its reply's arrays take {} bytes, and {} came",
                            answer.handled.reply.head.blob_size(), ref.size);
  }
  if (ref.size > wire::kInlineBytesMax) answer.crc32 = wire::chunk_crcs(answer.blob.bytes());
  return absl::OkStatus();
}

}  // namespace

struct AppProcess::State {
  State(runner::Channel the_channel, Events the_events, std::shared_ptr<AppLog> the_log)
      : channel(std::move(the_channel)), events(std::move(the_events)), log(std::move(the_log)) {}

  runner::Channel channel;
  const Events events;
  const std::shared_ptr<AppLog> log;
  std::unique_ptr<runner::ChildProcess> child;
  absl::Mutex mutex;
  absl::CondVar changed;
  std::deque<Outgoing> queue ABSL_GUARDED_BY(mutex);
  std::string why ABSL_GUARDED_BY(mutex);  // we ended it for this reason
  bool ready ABSL_GUARDED_BY(mutex) = false;
  std::string words ABSL_GUARDED_BY(mutex);     // its last error line before it was ready
  bool closing ABSL_GUARDED_BY(mutex) = false;  // nothing more is sent; it is to end soon
  bool ended ABSL_GUARDED_BY(mutex) = false;
  std::jthread reader, warden, waiter;

  void close(const std::string& reason) {
    {
      absl::MutexLock lock(&mutex);
      if (why.empty()) why = reason;
      closing = true;
      changed.SignalAll();
    }
    channel.shut_down();
  }
  void kill_for(const std::string& reason) {
    close(reason);
    child->kill();
  }
  void put(std::string bytes, std::shared_ptr<const SharedBlob> blob) {
    absl::MutexLock lock(&mutex);
    if (closing) return;
    queue.push_back({std::move(bytes), std::move(blob)});
    changed.SignalAll();
  }

  Status take(runner::Channel::Frame frame);
  void read();
  std::optional<Outgoing> next();
  void watch_over();
  void wait();
  void hear(std::string_view line) {
    absl::MutexLock lock(&mutex);
    if (!ready) words = escaped(line.substr(0, kWordsMax));
  }
};

// One frame of the app's.  An error says what is wrong with it.
Status AppProcess::State::take(runner::Channel::Frame frame) {
  UMBEL_ASSIGN_OR_RETURN(wire::AppFrame parsed,
                         wire::parse_app_frame(std::as_bytes(std::span(frame.bytes))));
  if (std::holds_alternative<wire::AppReady>(parsed)) {
    absl::MutexLock lock(&mutex);
    ready = true;
    changed.SignalAll();
  } else if (auto* line = std::get_if<wire::AppLog>(&parsed)) {
    log->write(line->level, line->message);
    events.logged(std::move(*line));
  } else if (auto* handled = std::get_if<wire::Handled>(&parsed)) {
    Answer answer{.handled = std::move(*handled)};
    UMBEL_RETURN_IF_ERROR(take_blob(answer, std::move(frame.blob)));
    events.answered(std::move(answer));
  } else {
    return invalid_argument("a ClientApp may not send a frame of this kind");
  }
  return absl::OkStatus();
}

void AppProcess::State::read() {
  for (;;) {
    auto frame = channel.receive(kFrameBytesMax);
    if (!frame.ok()) {
      // Closed: it ends by itself, or is made to.
      close(absl::IsInvalidArgument(frame.status())
                ? "the app's process broke the protocol: " + message_of(frame.status())
                : "");
      return;
    }
    const Status status = take(*std::move(frame));
    if (!status.ok()) {
      return kill_for("the app's process broke the protocol: " + message_of(status));
    }
  }
}

// The next frame to be sent; none once the process is to end.
std::optional<Outgoing> AppProcess::State::next() {
  absl::MutexLock lock(&mutex);
  while (!closing && !ended && (!ready || queue.empty())) changed.Wait(&mutex);
  if (closing || ended) return std::nullopt;
  Outgoing outgoing = std::move(queue.front());
  queue.pop_front();
  return outgoing;
}

// Sends what is queued; sees to it that the process starts, and ends, in time.
void AppProcess::State::watch_over() {
  {
    absl::MutexLock lock(&mutex);
    const absl::Time late = absl::Now() + absl::FromChrono(kStartMax);
    while (!ready && !closing && !ended && !changed.WaitWithDeadline(&mutex, late)) {
    }
    if (!ready && !closing && !ended) {
      why = fmt::format("the app's process did not get ready within {} s", kStartMax.count());
      closing = true;
    }
  }
  while (const auto outgoing = next()) {
    const Status sent = channel.send(outgoing->bytes, outgoing->blob.get());
    if (!sent.ok()) close("");
  }
  channel.shut_down();
  {
    absl::MutexLock lock(&mutex);
    const absl::Time late = absl::Now() + absl::FromChrono(kEndMax);
    while (!ended && !changed.WaitWithDeadline(&mutex, late)) {
    }
    if (ended) return;
  }
  child->kill();
}

void AppProcess::State::wait() {
  const std::string how = child->wait();
  channel.shut_down();
  reader.join();
  std::string reason, last;
  {
    absl::MutexLock lock(&mutex);
    ended = true;
    if (!ready && why.empty()) last = words;
    changed.SignalAll();
    reason =
        why.empty() ? "the app's process " + (how.starts_with("killed") ? "was " + how : how) : why;
  }
  events.ended(std::move(reason), std::move(last));
}

AppProcess::AppProcess(std::unique_ptr<State> state) : state_(std::move(state)) {}

AppProcess::~AppProcess() {
  state_->kill_for("");
  state_->waiter.join();
  state_->warden.join();
}

Result<std::unique_ptr<AppProcess>> AppProcess::start(const App& app,
                                                      const wire::ClientStart& start,
                                                      std::shared_ptr<AppLog> log, Events events) {
  UMBEL_ASSIGN_OR_RETURN(auto ends, runner::Channel::make_pair());
  auto state = std::make_unique<State>(std::move(ends.first), std::move(events), log);
  runner::ProcessOptions options;
  options.arguments = app.command;
  options.environment = app.environment;
  options.folder = app.folder;
  options.descriptors = {{runner::kChannelVariable, ends.second.get()}};
  options.on_line = [log, raw = state.get()](bool is_error, std::string_view line) {
    log->write(is_error ? "app error" : "app", line);
    if (is_error) raw->hear(line);
  };
  UMBEL_ASSIGN_OR_RETURN(state->child, runner::ChildProcess::start(std::move(options)));
  state->put(wire::format(wire::DaemonFrame(start)), nullptr);
  State* raw = state.get();
  state->reader = std::jthread([raw] { raw->read(); });
  state->warden = std::jthread([raw] { raw->watch_over(); });
  state->waiter = std::jthread([raw] { raw->wait(); });
  return std::unique_ptr<AppProcess>(new AppProcess(std::move(state)));
}

void AppProcess::handle(const wire::Handle& message, std::shared_ptr<const SharedBlob> blob) {
  state_->put(wire::format(wire::DaemonFrame(message)), std::move(blob));
}

void AppProcess::wrap_up(uint64_t instruction, double seconds) {
  state_->put(wire::format(wire::DaemonFrame(wire::AppWrapUp{instruction, seconds})), nullptr);
}

void AppProcess::end() { state_->close(""); }

void AppProcess::kill(const std::string& why) { state_->kill_for(why); }

}  // namespace umbel::supernode

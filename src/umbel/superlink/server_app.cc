#include "umbel/superlink/server_app.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "umbel/superlink/log.h"
#include "umbel/superlink/overload.h"

namespace umbel::superlink {

namespace {

constexpr size_t kEventLineMax = size_t{16} << 20;

bool all_distinct(std::vector<uint64_t> numbers) {
  std::ranges::sort(numbers);
  return std::ranges::adjacent_find(numbers) == numbers.end();
}

// As wire::chunk_crcs() of its bytes, which are never all in our memory.
Result<std::vector<uint32_t>> crcs_of(const SharedBlob& blob) {
  Buffer chunk = Buffer::allocate(wire::kChunkBytes);
  std::vector<uint32_t> crcs;
  for (uint64_t at = 0; at < blob.size(); at += wire::kChunkBytes) {
    const auto part =
        chunk.mutable_bytes().first(std::min<uint64_t>(wire::kChunkBytes, blob.size() - at));
    UMBEL_RETURN_IF_ERROR(blob.read(at, part));
    crcs.push_back(wire::crc32(part));
  }
  return crcs;
}

}  // namespace

Result<std::unique_ptr<ServerAppProcess>> ServerAppProcess::start(Options options, Parts parts) {
  UMBEL_ASSIGN_OR_RETURN(auto pair, runner::Channel::make_pair());
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0 ||
      ::fcntl(ends[0], F_SETFL, ::fcntl(ends[0], F_GETFL) | O_NONBLOCK) != 0) {
    return resource_exhausted("no pipe for the ServerApp: {}", std::strerror(errno));
  }
  Descriptor read_end(ends[0]), write_end(ends[1]);
  runner::ProcessOptions process;
  process.arguments = options.command;
  process.environment = options.environment;
  process.folder = options.folder;
  process.descriptors = {{"UMBEL_EVENTS_FD", write_end.get()},
                         {runner::kChannelVariable, pair.second.get()}};
  RunEvents& events = parts.events;
  process.on_line = [&events](bool is_error, std::string_view line) {
    events.output(is_error, line);
  };
  auto app = std::unique_ptr<ServerAppProcess>(
      new ServerAppProcess(std::move(options), parts, std::move(pair.first)));
  UMBEL_ASSIGN_OR_RETURN(app->child_, runner::ChildProcess::start(std::move(process)));
  app->ended_ = Descriptor(::eventfd(0, EFD_CLOEXEC));
  if (!app->ended_) return resource_exhausted("no eventfd: {}", std::strerror(errno));
  app->frames_ = std::thread([self = app.get()] { self->read_frames(); });
  app->events_ = std::thread([self = app.get(), pipe = std::move(read_end)]() mutable {
    self->read_events(std::move(pipe));
  });
  return app;
}

ServerAppProcess::ServerAppProcess(Options options, Parts parts, runner::Channel channel)
    : options_(std::move(options)), parts_(parts), channel_(std::move(channel)) {
  Collection::Options mail;
  mail.run = options_.run;
  mail.folds = false;
  Collection::Hooks hooks;
  hooks.arrived = [this, tasks = tasks_](const wire::Envelope& reply, SharedBlob blob) {
    auto held = std::make_shared<SharedBlob>(std::move(blob));
    tasks->post([this, reply, held] {
      uint64_t content = 0;
      {
        absl::MutexLock lock(&mutex_);
        const auto found = mail_blobs_.find(reply.metadata.reply_to.value());
        if (found != mail_blobs_.end()) {
          content = found->second;
          mail_blobs_.erase(found);
        }
      }
      if (content) parts_.blobs.drop(content);
      wire::Arrived arrived{reply};
      arrived.reply.blob.crc32.clear();  // they are the network's
      send(arrived, *held ? held.get() : nullptr);
    });
  };
  mail_ =
      std::make_shared<Collection>(std::move(mail), parts_.fleet, parts_.memory, std::move(hooks));
  parts_.fleet.add(mail_, {});
}

ServerAppProcess::~ServerAppProcess() {
  if (child_) child_->kill();
  channel_.shut_down();
  if (frames_.joinable()) frames_.join();
  if (ended_) end_events();
  tasks_->stop();
  std::map<uint64_t, Fold> folds;
  std::map<uint64_t, uint64_t> blobs;
  {
    absl::MutexLock lock(&mutex_);
    folds.swap(folds_);
    blobs.swap(mail_blobs_);
  }
  for (auto& [call, fold] : folds) {
    for (const uint64_t timer : fold.timers) parts_.timers.cancel(timer);
    fold.collection->cancel();
    parts_.fleet.remove(fold.collection);
    if (fold.blob) parts_.blobs.drop(fold.blob);
  }
  mail_->cancel();
  parts_.fleet.remove(mail_);
  for (const auto& [message, blob] : blobs) parts_.blobs.drop(blob);
}

std::string ServerAppProcess::wait() {
  std::string how = child_->wait();
  end_events();
  return how;
}

void ServerAppProcess::end_events() {
  ::eventfd_write(ended_.get(), 1);
  if (events_.joinable()) events_.join();
}

void ServerAppProcess::terminate(std::chrono::milliseconds grace) {
  tasks_->post([this] { send(wire::Stop{}); });
  child_->terminate(grace);
}

void ServerAppProcess::kill() { child_->kill(); }

Status ServerAppProcess::fault() const {
  absl::MutexLock lock(&mutex_);
  return fault_;
}

void ServerAppProcess::give_up(const Status& status) {
  {
    absl::MutexLock lock(&mutex_);
    if (!fault_.ok()) return;
    fault_ = status;
  }
  log_warn("run: the ServerApp is ended run={} reason={}", options_.run.id.value(),
           umbel::message_of(status));
  child_->kill();
}

void ServerAppProcess::send(const wire::DaemonFrame& frame, const SharedBlob* blob) {
  // A ServerApp that is gone is seen where its process is waited for.
  channel_.send(wire::format(frame), blob).IgnoreError();
}

void ServerAppProcess::read_events(Descriptor pipe) {
  std::string buffer, piece(64 << 10, '\0');
  size_t after_end = 0;  // whatever the process left behind may hold the pipe open, and write to it
  while (after_end < kEventLineMax) {
    pollfd waits[2] = {{pipe.get(), POLLIN, 0}, {ended_.get(), POLLIN, 0}};
    if (::poll(waits, 2, -1) < 0 && errno != EINTR) return;
    const ssize_t got = ::read(pipe.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN && !(waits[1].revents & POLLIN)) continue;
    if (got <= 0) return;
    if (waits[1].revents & POLLIN) after_end += static_cast<size_t>(got);
    buffer.append(piece.data(), static_cast<size_t>(got));
    size_t first = 0;
    for (size_t end = buffer.find('\n', first); end != std::string::npos;
         end = buffer.find('\n', first)) {
      const Status status =
          parts_.events.event(std::string_view(buffer).substr(first, end - first));
      if (!status.ok()) return give_up(status);
      first = end + 1;
    }
    buffer.erase(0, first);
    if (buffer.size() > kEventLineMax) {
      return give_up(resource_exhausted("an event of more than {} bytes", kEventLineMax));
    }
  }
}

void ServerAppProcess::read_frames() {
  while (true) {
    Result<runner::Channel::Frame> frame = channel_.receive(wire::kFrameBytesMax);
    if (!frame.ok()) {
      if (frame.status().code() == absl::StatusCode::kInvalidArgument) give_up(frame.status());
      return;
    }
    if (const Status status = on_frame(*std::move(frame)); !status.ok()) return give_up(status);
  }
}

Status ServerAppProcess::on_frame(runner::Channel::Frame frame) {
  UMBEL_ASSIGN_OR_RETURN(wire::AppFrame parsed,
                         wire::parse_app_frame(std::as_bytes(std::span(frame.bytes))));
  return std::visit(
      Overload{
          [&](wire::FoldCall& call) { return on_fold(std::move(call), std::move(frame.blob)); },
          [&](wire::Push& push) { return on_push(std::move(push), std::move(frame.blob)); },
          [&](wire::Weight& weight) { return on_weight(weight); },
          [&](wire::Forget& forget) {
            mail_->forget(forget.messages);
            return absl::OkStatus();
          },
          [](auto&) { return absl::OkStatus(); }},
      parsed);
}

// Makes a content that is not in its frame readable for the nodes of these clients.
Result<wire::BlobRef> ServerAppProcess::publish(const wire::BlobRef& blob, Descriptor descriptor,
                                                const std::vector<uint64_t>& clients) {
  if (blob.is_here()) return blob;
  UMBEL_ASSIGN_OR_RETURN(const SharedBlob shared,
                         SharedBlob::adopt(std::move(descriptor), blob.size));
  wire::BlobRef out{.size = blob.size};
  if (blob.size <= wire::kInlineBytesMax) {
    UMBEL_ASSIGN_OR_RETURN(const Buffer bytes, shared.map());
    out.here = bytes.clone();
    return out;
  }
  UMBEL_ASSIGN_OR_RETURN(out.crc32, crcs_of(shared));
  std::set<uint64_t> readers;
  for (const uint64_t client : clients) readers.insert(options_.members[client]);
  UMBEL_ASSIGN_OR_RETURN(out.id, parts_.blobs.put(shared, std::move(readers)));
  return out;
}

Status ServerAppProcess::on_fold(wire::FoldCall call, Descriptor blob) {
  for (const uint64_t client : call.nodes) {
    if (client >= options_.members.size()) {
      return invalid_argument("it asked client {}; there are {}", client, options_.members.size());
    }
  }
  if (!all_distinct(call.nodes)) return invalid_argument("it asked a client twice in one call");
  UMBEL_ASSIGN_OR_RETURN(wire::BlobRef content, publish(call.blob, std::move(blob), call.nodes));

  Collection::Options options;
  options.run = options_.run;
  options.type = call.type;
  options.round = call.round;
  options.message.head = std::move(call.content);
  options.message.blob = content;
  if (call.layout) options.layout = std::make_shared<const Layout>(*std::move(call.layout));
  options.fold.weight_key = call.weight_key;
  options.fold.weight_max = call.weight_max;
  options.weighs = call.weighs;
  Collection::Hooks hooks;
  const uint64_t number = call.call;
  hooks.weigh = [this, number, tasks = tasks_](uint64_t instruction, const MetricRecord& metrics) {
    tasks->post([this, number, instruction, metrics] {
      {
        absl::MutexLock lock(&mutex_);
        weighing_[instruction] = number;
      }
      send(wire::Weigh{number, instruction, metrics});
    });
  };
  hooks.complete = [this, number, tasks = tasks_] {
    tasks->post([this, number] { close_fold(number); });
  };
  auto collection = std::make_shared<Collection>(std::move(options), parts_.fleet, parts_.memory,
                                                 std::move(hooks));
  std::vector<Ask> asks;
  for (size_t i = 0; i != call.nodes.size(); ++i) {
    asks.push_back({parts_.fleet.next_instruction(), call.nodes[i], options_.members[call.nodes[i]],
                    MessageId(call.first_message + i)});
  }
  Fold fold{collection, content.id, {}};
  const std::weak_ptr<Collection> weak = collection;
  if (call.deadline_seconds) {
    const double deadline = *call.deadline_seconds;
    fold.timers.push_back(
        parts_.timers.after(std::chrono::duration<double>(deadline), [weak, deadline] {
          if (const auto alive = weak.lock())
            alive->expire(fmt::format("no reply within {} s", deadline));
        }));
    if (call.wrap_up_seconds) {
      const double wrap_up = std::min(*call.wrap_up_seconds, deadline);
      fold.timers.push_back(
          parts_.timers.after(std::chrono::duration<double>(deadline - wrap_up), [weak, wrap_up] {
            if (const auto alive = weak.lock()) alive->wrap_up(wrap_up);
          }));
    }
  }
  {
    absl::MutexLock lock(&mutex_);
    if (!folds_.emplace(number, std::move(fold)).second) {
      return invalid_argument("it used the number {} for two calls", number);
    }
  }
  parts_.fleet.add(collection, asks);
  const bool nobody = asks.empty();
  collection->start(asks);
  parts_.fleet.watch(collection, asks);
  if (nobody) tasks_->post([this, number] { close_fold(number); });
  return absl::OkStatus();
}

void ServerAppProcess::close_fold(uint64_t call) {
  std::shared_ptr<Collection> collection;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = folds_.find(call);
    if (found == folds_.end()) return;
    collection = found->second.collection;
  }
  SharedBlob mean;
  uint64_t written = 0;
  const Layout* layout = collection->layout();
  const auto take = [&](std::span<const std::byte> piece) -> Status {
    if (!mean) {
      UMBEL_ASSIGN_OR_RETURN(mean, SharedBlob::create(blob_size(*layout)));
    }
    UMBEL_RETURN_IF_ERROR(mean.write(written, piece));
    written += piece.size();
    return absl::OkStatus();
  };
  Result<aggregate::FoldResult> result = collection->close(take);
  if (!result.ok() && result.status().code() == absl::StatusCode::kFailedPrecondition) return;
  if (!result.ok()) return give_up(result.status());
  Fold fold;
  {
    absl::MutexLock lock(&mutex_);
    fold = std::move(folds_[call]);
    folds_.erase(call);
    std::erase_if(weighing_, [&](const auto& entry) { return entry.second == call; });
  }
  for (const uint64_t timer : fold.timers) parts_.timers.cancel(timer);
  parts_.fleet.remove(collection);
  if (fold.blob) parts_.blobs.drop(fold.blob);
  // Decided before the ServerApp hears of it: what was counted is on disk.
  if (const Status kept = parts_.store.add(collection->decision()); !kept.ok())
    return give_up(kept);
  wire::FoldDone done;
  done.call = call;
  if (mean) {
    if (const Status sealed = mean.seal(); !sealed.ok()) return give_up(sealed);
    done.arrays = *layout;
    done.blob_size = mean.size();
  }
  done.result = *std::move(result);
  parts_.events.delivered(collection->reply_seconds());
  send(done, mean ? &mean : nullptr);
}

Status ServerAppProcess::on_push(wire::Push push, Descriptor blob) {
  const Metadata& metadata = push.message.metadata;
  const uint64_t client = metadata.destination.value();
  if (client >= options_.members.size()) {
    return invalid_argument("it sent a message to client {}; there are {}", client,
                            options_.members.size());
  }
  if (!options_.single_replies) {
    wire::Envelope refusal;
    refusal.metadata = metadata;
    refusal.metadata.reply_to = metadata.id;
    std::swap(refusal.metadata.source, refusal.metadata.destination);
    refusal.error = MessageError{MessageError::Code::kBadReply,
                                 "this hub gives out no single replies, only folds of them"};
    tasks_->post([this, refusal] { send(wire::Arrived{refusal}); });
    return absl::OkStatus();
  }
  UMBEL_ASSIGN_OR_RETURN(push.message.blob, publish(push.message.blob, std::move(blob), {client}));
  if (push.message.blob.id) {
    absl::MutexLock lock(&mutex_);
    mail_blobs_[metadata.id.value()] = push.message.blob.id;
  }
  const Ask ask{parts_.fleet.next_instruction(), client, options_.members[client], metadata.id};
  parts_.fleet.add(mail_, {ask});
  mail_->add(ask, std::move(push.message));
  parts_.fleet.watch(mail_, {ask});
  return absl::OkStatus();
}

Status ServerAppProcess::on_weight(const wire::Weight& weight) {
  std::shared_ptr<Collection> collection;
  {
    absl::MutexLock lock(&mutex_);
    if (!weighing_.contains(weight.reply)) return absl::OkStatus();
    const auto found = folds_.find(weight.call);
    if (found == folds_.end()) return absl::OkStatus();
    collection = found->second.collection;
  }
  collection->weighed(weight.reply, weight.error.empty()
                                        ? Result<double>(weight.weight)
                                        : Result<double>(absl::InvalidArgumentError(weight.error)));
  return absl::OkStatus();
}

}  // namespace umbel::superlink

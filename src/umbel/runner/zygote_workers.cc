#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <map>
#include <optional>
#include <thread>

#include "umbel/runner/exec_workers.h"

namespace umbel::runner {

namespace {

constexpr size_t kPacketBytesMax = 8 << 10;
constexpr absl::Duration kZygoteEndMax = absl::Seconds(5);  // from our word to its end

// One packet, with a descriptor or -1.
bool send_packet(int socket, std::string_view text, int descriptor = -1) {
  union {
    cmsghdr aligned;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control{};
  iovec part{const_cast<char*>(text.data()), text.size()};
  msghdr message{.msg_iov = &part, .msg_iovlen = 1};
  if (descriptor >= 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof descriptor);
    std::memcpy(CMSG_DATA(rights), &descriptor, sizeof descriptor);
  }
  ssize_t sent = 0;
  while ((sent = ::sendmsg(socket, &message, MSG_NOSIGNAL)) < 0 && errno == EINTR) {
  }
  return sent >= 0;
}

// "started 17": the word and its numbers, at most two; nothing if it is not of this form.
std::optional<std::array<int64_t, 2>> numbers_after(std::string_view packet, std::string_view word,
                                                    size_t count) {
  if (!packet.starts_with(word)) return std::nullopt;
  packet.remove_prefix(word.size());
  std::array<int64_t, 2> numbers{};
  for (size_t i = 0; i != count; ++i) {
    if (!packet.starts_with(' ')) return std::nullopt;
    const auto [end, error] =
        std::from_chars(packet.data() + 1, packet.data() + packet.size(), numbers[i]);
    if (error != std::errc()) return std::nullopt;
    packet.remove_prefix(static_cast<size_t>(end - packet.data()));
  }
  return packet.empty() ? std::optional(numbers) : std::nullopt;
}

class ZygoteWorkers final : public WorkerSource {
 public:
  ZygoteWorkers(Descriptor control, std::unique_ptr<ChildProcess> process)
      : control_(std::move(control)), process_(std::move(process)), reader_([this] { read(); }) {}

  ~ZygoteWorkers() override {
    stop();
    ::shutdown(control_.get(), SHUT_WR);  // it ends, and says what became of its workers
    {
      absl::MutexLock lock(&mutex_);
      mutex_.AwaitWithTimeout(absl::Condition(&gone_), kZygoteEndMax);
    }
    ::shutdown(control_.get(), SHUT_RDWR);
    reader_.join();
  }

  Result<Worker> start() override {
    absl::MutexLock one_at_a_time(&starting_);
    UMBEL_ASSIGN_OR_RETURN(auto ends, Channel::make_pair());
    absl::MutexLock lock(&mutex_);
    UMBEL_ASSIGN_OR_RETURN(starting_socket_, ends.first.duplicate());
    started_.reset();
    failure_.clear();
    if (!stopped_ && !gone_) send_packet(control_.get(), "spawn", ends.second.get());
    ends.second = Descriptor();
    const auto known = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      return started_ || !failure_.empty() || gone_ || stopped_;
    };
    mutex_.Await(absl::Condition(&known));
    if (started_) return Worker{std::move(ends.first), *started_};
    if (stopped_) return unavailable("the run was stopped");
    if (gone_) return why_gone();
    return unavailable("cannot fork: {}", failure_);
  }

  void kill(uint64_t id) override {
    absl::MutexLock lock(&mutex_);
    if (const auto found = workers_.find(id); found != workers_.end()) kill(found->second);
  }

  End wait(uint64_t id, std::chrono::milliseconds grace) override {
    absl::MutexLock lock(&mutex_);
    Process& worker = workers_.at(id);
    const auto over = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return worker.ended || gone_; };
    if (!mutex_.AwaitWithTimeout(absl::Condition(&over), absl::FromChrono(grace))) kill(worker);
    mutex_.Await(absl::Condition(&over));
    const End end{worker.ended ? describe_end(*worker.ended) : "ended with the zygote",
                  worker.killed};
    workers_.erase(id);
    return end;
  }

  void stop() override {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    for (auto& [id, worker] : workers_) kill(worker);
  }

 private:
  struct Process {
    int64_t pid = 0;
    Descriptor socket;  // of its channel
    std::optional<int> ended = {};
    bool killed = false;
  };

  void kill(Process& worker) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (worker.ended || gone_) return;
    worker.killed = true;
    send_packet(control_.get(), fmt::format("kill {}", worker.pid));
  }

  Status why_gone() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!refused_.empty()) return invalid_argument("{}", refused_);
    const bool ended = process_ && process_->wait_for(std::chrono::seconds(2));
    return unavailable("the zygote, which starts the workers, {}",
                       ended ? process_->wait() : "is gone");
  }

  void read() {
    std::array<char, kPacketBytesMax> bytes;
    for (;;) {
      const ssize_t got = ::recv(control_.get(), bytes.data(), bytes.size(), 0);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      absl::MutexLock lock(&mutex_);
      take({bytes.data(), static_cast<size_t>(got)});
    }
    absl::MutexLock lock(&mutex_);
    gone_ = true;
    for (auto& [id, worker] : workers_) ::shutdown(worker.socket.get(), SHUT_RDWR);
  }

  void take(std::string_view packet) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (const auto started = numbers_after(packet, "started", 1)) {
      const uint64_t id = ++last_;
      Process& worker = workers_[id];
      worker.pid = (*started)[0];
      worker.socket = std::move(starting_socket_);
      started_ = id;
      if (stopped_) kill(worker);
    } else if (const auto ended = numbers_after(packet, "ended", 2)) {
      for (auto& [id, worker] : workers_) {
        if (worker.pid != (*ended)[0] || worker.ended) continue;
        worker.ended = static_cast<int>((*ended)[1]);
        ::shutdown(worker.socket.get(), SHUT_RDWR);
      }
    } else if (packet.starts_with("failed ")) {
      failure_ = packet.substr(7);
    } else if (packet.starts_with("refused ")) {
      refused_ = packet.substr(8);
    }
  }

  const Descriptor control_;
  const std::unique_ptr<ChildProcess> process_;
  absl::Mutex starting_;
  absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool gone_ ABSL_GUARDED_BY(mutex_) = false;    // the zygote is
  std::string refused_ ABSL_GUARDED_BY(mutex_);  // why it cannot load the app
  // Of the start under way.
  Descriptor starting_socket_ ABSL_GUARDED_BY(mutex_);
  std::optional<uint64_t> started_ ABSL_GUARDED_BY(mutex_);
  std::string failure_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, Process> workers_ ABSL_GUARDED_BY(mutex_);
  std::jthread reader_;
};

}  // namespace

std::unique_ptr<WorkerSource> zygote_workers(Descriptor control) {
  return std::make_unique<ZygoteWorkers>(std::move(control), nullptr);
}

Result<std::unique_ptr<WorkerSource>> exec_zygote(WorkerCommand command) {
  UMBEL_ASSIGN_OR_RETURN(auto ends, make_control_pair());
  ProcessOptions options = process_options(command);
  options.descriptors = {{kControlVariable, ends.second.get()}};
  UMBEL_ASSIGN_OR_RETURN(auto process, ChildProcess::start(std::move(options)));
  return std::unique_ptr<WorkerSource>(
      std::make_unique<ZygoteWorkers>(std::move(ends.first), std::move(process)));
}

Result<std::pair<Descriptor, Descriptor>> make_control_pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return resource_exhausted("cannot make a control socket: {}", std::strerror(errno));
  }
  return std::pair(Descriptor(ends[0]), Descriptor(ends[1]));
}

}  // namespace umbel::runner

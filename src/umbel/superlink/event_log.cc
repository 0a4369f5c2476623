#include "umbel/superlink/event_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "umbel/superlink/log.h"

namespace umbel::superlink {

namespace {

Status write_all(int descriptor, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      return resource_exhausted("{}: cannot write: {}", path, std::strerror(errno));
    }
    text.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

}  // namespace

Result<std::shared_ptr<EventLog>> EventLog::open(const std::filesystem::path& file) {
  auto log = std::shared_ptr<EventLog>(new EventLog());
  log->path_ = file.string();
  absl::MutexLock lock(&log->mutex_);
  log->file_ = Descriptor(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_APPEND, 0600));
  if (!log->file_) return unavailable("{}: {}", log->path_, std::strerror(errno));
  std::string piece(1 << 20, '\0');
  uint64_t place = 0;
  while (true) {
    const ssize_t got =
        ::pread(log->file_.get(), piece.data(), piece.size(), static_cast<off_t>(place));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return unavailable("{}: cannot read: {}", log->path_, std::strerror(errno));
    if (got == 0) break;
    for (ssize_t i = 0; i != got; ++i) {
      if (piece[static_cast<size_t>(i)] == '\n')
        log->ends_.push_back(place + static_cast<uint64_t>(i) + 1);
    }
    place += static_cast<uint64_t>(got);
  }
  const uint64_t whole = log->ends_.empty() ? 0 : log->ends_.back();
  if (whole != place && ::ftruncate(log->file_.get(), static_cast<off_t>(whole)) != 0) {
    return unavailable("{}: cannot cut off half a line: {}", log->path_, std::strerror(errno));
  }
  return log;
}

Status EventLog::append_line(std::string_view event) {
  const uint64_t end = ends_.empty() ? 0 : ends_.back();
  const std::string line = fmt::format("{{\"seq\":{},\"time-ms\":{},\"event\":{}}}\n",
                                       ends_.size() + 1, now_milliseconds(), event);
  if (const Status status = write_all(file_.get(), line, path_); !status.ok()) {
    // What came through of it must not run into the next line.
    if (::ftruncate(file_.get(), static_cast<off_t>(end)) != 0) full_ = true;
    return status;
  }
  ends_.push_back(end + line.size());
  return absl::OkStatus();
}

Status EventLog::append(std::string_view event) {
  std::vector<std::function<void()>> ready;
  Status status;
  {
    absl::MutexLock lock(&mutex_);
    if (full_ || closed_) return absl::OkStatus();
    if ((ends_.empty() ? 0 : ends_.back()) + event.size() > kEventBytesMax) {
      full_ = true;
      event =
          R"({"event":"log","side":"server","level":"warn","message":"the run's log is full: what follows is dropped"})";
    }
    status = append_line(event);
    for (Wait& wait : waits_) ready.push_back(std::move(wait.ready));
    waits_.clear();
  }
  for (const auto& call : ready) call();
  return status;
}

Status EventLog::append_chatter(std::string_view event) {
  {
    absl::MutexLock lock(&mutex_);
    const bool last = chatter_ <= kChatterBytesMax;
    chatter_ += event.size();
    if (chatter_ > kChatterBytesMax) {
      if (!last) return absl::OkStatus();
      event =
          R"({"event":"log","side":"server","level":"warn","message":"the apps said too much: what else they print or log is dropped"})";
    }
  }
  return append(event);
}

uint64_t EventLog::last() const {
  absl::MutexLock lock(&mutex_);
  return ends_.size();
}

Result<std::string> EventLog::read(uint64_t after) const {
  absl::MutexLock lock(&mutex_);
  if (after >= ends_.size()) return std::string();
  const uint64_t first = after == 0 ? 0 : ends_[after - 1];
  // As many whole lines as fit, and at least one.
  auto last = std::upper_bound(ends_.begin() + static_cast<ptrdiff_t>(after), ends_.end(),
                               first + kEventBatchBytesMax);
  if (last == ends_.begin() + static_cast<ptrdiff_t>(after)) ++last;
  std::string text(*(last - 1) - first, '\0');
  size_t done = 0;
  while (done != text.size()) {
    const ssize_t got = ::pread(file_.get(), text.data() + done, text.size() - done,
                                static_cast<off_t>(first + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return data_loss("{}: shorter than it was", path_);
    done += static_cast<size_t>(got);
  }
  return text;
}

uint64_t EventLog::wait(uint64_t after, std::function<void()> ready) {
  {
    absl::MutexLock lock(&mutex_);
    const uint64_t number = next_wait_++;
    if (after >= ends_.size() && !closed_) {
      waits_.push_back({number, after, std::move(ready)});
      return number;
    }
  }
  ready();
  return 0;
}

void EventLog::cancel(uint64_t wait) {
  absl::MutexLock lock(&mutex_);
  std::erase_if(waits_, [&](const Wait& one) { return one.number == wait; });
}

void EventLog::close() {
  std::vector<std::function<void()>> ready;
  {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
    ::fsync(file_.get());
    for (Wait& wait : waits_) ready.push_back(std::move(wait.ready));
    waits_.clear();
  }
  for (const auto& call : ready) call();
}

bool EventLog::closed() const {
  absl::MutexLock lock(&mutex_);
  return closed_;
}

}  // namespace umbel::superlink

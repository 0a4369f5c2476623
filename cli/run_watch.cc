#include "run_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "child.h"

namespace umbel::cli {

namespace {

constexpr auto kEvery = std::chrono::seconds(2);

}  // namespace

Status RunWatch::wait_for_event() {
  UMBEL_ASSIGN_OR_RETURN(const auto events, client_->events(watched_, after_, kEvery));
  for (const HubEvent& event : events) after_ = std::max(after_, event.sequence);
  return absl::OkStatus();
}

Result<std::vector<Run>> RunWatch::ask() {
  if (watched_ != 0) UMBEL_RETURN_IF_ERROR(wait_for_event());
  UMBEL_ASSIGN_OR_RETURN(std::vector<Run> runs, client_->runs());
  const auto latest = std::find_if(runs.begin(), runs.end(), is_under_way);
  const int64_t id = latest == runs.end() ? 0 : latest->id;
  if (std::exchange(watched_, id) != id) after_ = 0;
  return runs;
}

Result<std::vector<Run>> RunWatch::next(SignalWatch& signals) {
  const bool first = !client_;
  if (first) {
    UMBEL_ASSIGN_OR_RETURN(client_, HubClient::open(link_));
  }
  pollfd signal = {signals.descriptor(), POLLIN, 0};
  if (!first && watched_ == 0) {
    const auto pause = std::chrono::milliseconds(kEvery).count();
    if (poll(&signal, 1, static_cast<int>(pause)) > 0) signals.take();
    if (signals.first() != 0) return std::vector<Run>();
  }
  const Descriptor done(eventfd(0, EFD_CLOEXEC));
  Result<std::vector<Run>> runs = std::vector<Run>();
  std::thread asking([&] {
    runs = ask();
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t put = write(done.get(), &one, sizeof one);
  });
  pollfd polled[] = {signal, {done.get(), POLLIN, 0}};
  while (poll(polled, 2, -1) < 0) {
  }
  if (polled[0].revents != 0) {
    signals.take();
    client_->cancel();
  }
  asking.join();
  return runs;
}

}  // namespace umbel::cli

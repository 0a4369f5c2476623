#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "umbel/app/context.h"
#include "umbel/runner/kept_contents.h"
#include "umbel/runner/reply_memory.h"
#include "umbel/runner/worker_source.h"
#include "umbel/wire/runtime.h"

namespace umbel::runner {

// A simulation's end of the channel to one worker: one message at a time, each answered on the
// calling thread.  After UNAVAILABLE or OUT_OF_RANGE the worker is gone, after any other error of
// get_ready() and answer() it broke the protocol; in either case it is of no use any more.
class WorkerTalk {
 public:
  // `run` outlives it.
  WorkerTalk(WorkerSource::Worker worker, const Run& run)
      : channel_(std::move(worker.channel)), id_(worker.id), run_(run) {}

  uint64_t id() const { return id_; }
  // Tells it of the run, and waits until it is ready.
  Status get_ready();
  // UNAVAILABLE: it is gone.  Otherwise nothing was sent, and the worker is as it was.
  Status send(const Message& message, const Context& context, KeptContents& contents);
  // The reply to what was sent; the context then has the client's new state.  Lines of a log go to
  // the run.
  Result<Message> answer(const Message& message, Context& context);

  bool rested = false;  // it was idle before

 private:
  wire::ClientStart client_start() const;
  void log(const wire::AppLog& line) const;
  Status reserve_place(wire::Handle& handle);
  Result<Buffer> blob_of_reply(const wire::Handled& handled, Descriptor memory);
  Result<std::optional<Message>> take_frame(Channel::Frame frame, const Message& message,
                                            Context& context);

  Channel channel_;
  const uint64_t id_;
  const Run& run_;
  bool keeps_contents_ = false;
  bool has_reply_memory_ = false;  // knows what to do with it
  uint64_t messages_ = 0;
  std::deque<uint64_t> kept_;  // the contents that it keeps
  uint64_t reply_bytes_ = 0;   // of its largest reply that had to travel
  std::shared_ptr<ReplyPlaces> places_;
  std::optional<size_t> place_;  // for the reply under way
};

}  // namespace umbel::runner

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "umbel/base/shared_blob.h"
#include "umbel/base/status.h"

namespace umbel::runner {

// One end of a Unix stream socket between a daemon and an app's process.  A frame is 4 bytes of
// length (little-endian), 1 byte that says whether a descriptor comes with it, and that many bytes.
//
// send() from any threads; receive() from one.
class Channel {
 public:
  struct Frame {
    std::string bytes;
    // Shared memory (SharedBlob::adopt) that holds the content's blob, if there is one.
    Descriptor blob;
  };

  explicit Channel(Descriptor socket);
  // Two ends joined.  The second is for a child: ChildProcess hands it on.
  static Result<std::pair<Channel, Descriptor>> make_pair();
  // The end that this process was started with, as kChannelVariable says; nothing without it.
  // INVALID_ARGUMENT if that is no open socket.
  static Result<std::optional<Channel>> inherited();
  Channel(Channel&&) noexcept;
  Channel& operator=(Channel&&) noexcept;
  ~Channel();

  // Waits while the other end does not read.  UNAVAILABLE once it is gone.
  Status send(std::string_view bytes, const SharedBlob* blob = nullptr);
  // With this descriptor beside it.
  Status send_with(std::string_view bytes, int descriptor);
  // The next frame; waits for it.  UNAVAILABLE once the other end has closed (OUT_OF_RANGE if in
  // the middle of a frame), INVALID_ARGUMENT for a frame over `bytes_max`: the channel is of no use
  // then.
  Result<Frame> receive(size_t bytes_max);
  // Another descriptor of this end.
  Result<Descriptor> duplicate() const { return socket_.duplicate(); }
  // Waits until receive() would find something, or `other` can be read.  True for the former.  From
  // where receive() is called.
  bool wait(int other);
  // Makes the calls of both ends return, now and later.  Any thread.
  void shut_down();

 private:
  struct Lock;
  struct Input;
  Status read_more();

  Descriptor socket_;
  std::unique_ptr<Lock> lock_;  // one sender at a time
  std::unique_ptr<Input> input_;
};

// The descriptor of an app's channel, in its environment.
inline constexpr char kChannelVariable[] = "UMBEL_CHANNEL_FD";

}  // namespace umbel::runner

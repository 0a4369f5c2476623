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
    Descriptor
        blob;  // shared memory (SharedBlob::adopt) that holds the content's blob, if there is one
  };

  explicit Channel(Descriptor socket) : socket_(std::move(socket)) {}
  // Two ends joined; the second is to be inherited by a child (no close-on-exec).
  static Result<std::pair<Channel, Descriptor>> make_pair();
  Channel(Channel&&) = default;

  // Waits while the other end does not read.  UNAVAILABLE once it is gone.
  Status send(std::string_view bytes, const SharedBlob* blob = nullptr);
  // The next frame; waits for it.  UNAVAILABLE once the other end has closed (OUT_OF_RANGE if in
  // the middle of a frame), INVALID_ARGUMENT for a frame over `bytes_max`: the channel is of no use
  // then.
  Result<Frame> receive(size_t bytes_max);
  // Makes the calls of both ends return, now and later.  Any thread.
  void shut_down();

 private:
  Descriptor socket_;
  std::unique_ptr<struct ChannelLock> lock_;
};

// The descriptor of an app's channel, in its environment.
inline constexpr char kChannelVariable[] = "UMBEL_CHANNEL_FD";

}  // namespace umbel::runner

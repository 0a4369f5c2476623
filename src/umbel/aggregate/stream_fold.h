#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "umbel/aggregate/fold.h"
#include "umbel/record/layout.h"

namespace umbel::aggregate {

// A Fold for replies whose arrays arrive piece by piece, from several senders at once, and of which
// nothing is kept: each piece is added to the sums as it comes.  The result has the bytes that Fold
// gives for the same replies.
//
// Memory: 8 bytes an element for float32 (what WeightedMean says), plus one block for each reply
// that is under way.
//
// A reply counts wholly or not at all.  One that ends half-way cannot be taken out of the sums,
// since its pieces are gone: drop() then says so, and the owner calls restart(), which empties the
// sums and forgets the replies that were streamed, and has these sent again.
//
// Any threads: pieces of different replies are added at the same time; calls for one reply come one
// after another.
class StreamFold {
 public:
  // `layout`: the arrays that a reply must have; nullptr if only metrics are asked for.
  StreamFold(std::shared_ptr<const Layout> layout, FoldOptions options);
  ~StreamFold();

  // A reply that is there as a whole: as Fold::add() and fail().  Never needs to be sent again.
  // False if it was refused, and counted as a failure.  `weight`: what FoldOptions::weight gave for
  // this reply where that function lives in another process; it is not called here then.
  bool add(const Message& reply, std::optional<double> weight = {});
  void fail(NodeId node, MessageError error);

  // One reply that is streamed.
  class Streamed;
  // Checks layout and weight before any byte; INVALID_ARGUMENT with the reason otherwise (count it
  // by fail()).  `layout` is that of the reply's arrays; `content_bytes` counts into reply_bytes.
  Result<std::shared_ptr<Streamed>> begin(NodeId node, const Layout& layout,
                                          const MetricRecord& metrics, uint64_t content_bytes,
                                          std::optional<double> weight = {});
  // The next bytes of the reply's arrays as they lie in a blob (record/layout.h), padding included.
  // INVALID_ARGUMENT for NaN, an infinity, or more bytes than the layout has: drop() it then.
  Status add(Streamed& reply, std::span<const std::byte> bytes);
  // The reply counts.  FAILED_PRECONDITION if bytes are missing.
  Status finish(Streamed& reply);
  // Gives up on a reply and counts it as failed.  True if the sums hold a part of it: restart()
  // must follow before close().  Nothing happens for a reply that has ended or was forgotten.
  bool drop(Streamed& reply, MessageError error);
  // The same without a failure: it will come again, from begin() on.
  bool abandon(Streamed& reply);
  // Empties the sums.  Streamed replies, finished or not, are forgotten: begin() them anew; what is
  // still called for them is FAILED_PRECONDITION.  Returns the nodes of those that had counted.  No
  // add() may be running.
  std::vector<NodeId> restart();

  uint64_t replies() const;  // that counted so far
  uint64_t failures() const;

  // The result; FAILED_PRECONDITION while a reply is under way or a part of a dropped one is in the
  // sums, and nothing has happened then.  The mean's elements are handed to `take` in the order
  // of the blob, in pieces of up to 1 MiB, padding included, and each part of the sums is freed as
  // it is done; FoldResult::arrays stays empty.  `take` may fail: its Status is returned.  Without
  // replies `take` is not called.  From then on nothing counts any more.
  using Take = std::function<Status(std::span<const std::byte>)>;
  Result<FoldResult> close(const Take& take);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace umbel::aggregate

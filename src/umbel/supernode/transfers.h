#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "umbel/base/buffer.h"
#include "umbel/base/shared_blob.h"
#include "umbel/base/status.h"
#include "umbel/http/client.h"
#include "umbel/wire/fleet.h"

namespace umbel::supernode {

// What travels beside the session: bundles and blobs down, replies up.  A few threads with a
// connection each; jobs wait in line.  A job that is cut off goes on where it was, as soon as there
// is a session again, and gives up after kTriesMax tries in a row that brought nothing, or
// kPatience without a session.
//
// Callbacks come from the threads of this object, once for each job, with CANCELLED if it was
// cancelled.  Any threads.
class Transfers {
 public:
  static constexpr int kTriesMax = 8;
  static constexpr std::chrono::seconds kPatience{600};
  static constexpr size_t kThreads = 4;

  using Job = uint64_t;
  template <class T>
  using Ready = std::function<void(Result<T>)>;

  // `seed` is for the waits between tries.
  Transfers(http::Endpoint hub, uint64_t seed);
  ~Transfers();  // cancels all jobs

  // The session's token; "" while there is none: jobs then wait.
  void set_token(std::string token);

  // The archive, its size as announced, its hash not looked at.
  Job fetch_bundle(const wire::BundleRef& bundle, Ready<std::string> ready);
  // Sealed memory; every chunk's CRC-32 was found right.  A chunk that is wrong three times is
  // DATA_LOSS.
  Job fetch_blob(const wire::BlobRef& blob, Ready<std::shared_ptr<const SharedBlob>> ready);
  // Sends bytes [offset, all) of a reply, straight from `bytes`.  Ends with OK when the hub says
  // that it has all.
  Job upload(uint64_t instruction, uint64_t offset, Buffer bytes,
             std::function<void(Status)> ready);
  void cancel(Job job);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace umbel::supernode

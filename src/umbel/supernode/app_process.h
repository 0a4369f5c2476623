#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "umbel/base/buffer.h"
#include "umbel/base/shared_blob.h"
#include "umbel/base/status.h"
#include "umbel/supernode/app_folder.h"
#include "umbel/supernode/app_log.h"
#include "umbel/wire/runtime.h"

namespace umbel::supernode {

// A ClientApp's process, kept for the messages of its run.  Calls return at once, whatever the
// process does; any thread.
class AppProcess {
 public:
  static constexpr size_t kFrameBytesMax = 2 * wire::kFrameBytesMax;  // a reply and a state
  static constexpr std::chrono::seconds kStartMax{60};  // until it says that it is ready
  static constexpr std::chrono::seconds kEndMax{5};     // from end() to being killed

  // A reply with its blob, mapped, and the blob's checksums if it is too large to be inline.
  struct Answer {
    wire::Handled handled;
    Buffer blob;
    std::vector<uint32_t> crc32;
  };
  // Called from threads of this object.
  struct Events {
    std::function<void(Answer answer)> answered;
    std::function<void(wire::AppLog line)> logged;
    // Last, once: "the app's process was killed by SIGSEGV"; `words` are the last line of its
    // errors if it never got ready, such as why an app could not be imported.
    std::function<void(std::string how, std::string words)> ended;
  };

  // Starts the app's command in its folder.  Its output goes to `log`.
  static Result<std::unique_ptr<AppProcess>> start(const App& app, const wire::ClientStart& start,
                                                   std::shared_ptr<AppLog> log, Events events);
  ~AppProcess();  // kills it, and waits; no event comes afterwards

  void handle(const wire::Handle& message, std::shared_ptr<const SharedBlob> blob);
  void wrap_up(uint64_t instruction, double seconds);
  // Lets it end by itself, and kills it if it does not.
  void end();
  // Kills it with all that it started; `why` becomes the reason, if not "".
  void kill(const std::string& why);

 private:
  struct State;
  explicit AppProcess(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace umbel::supernode

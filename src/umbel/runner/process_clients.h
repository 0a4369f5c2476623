#pragma once

#include <cstddef>
#include <memory>

#include "umbel/app/client_handler.h"
#include "umbel/runner/worker_source.h"

namespace umbel::runner {

// Clients whose code runs in worker processes, each of which handles one message at a time.  A
// worker is started when there is a message and no idle one, and kept until the end.  A content
// that many clients get is put into shared memory once.
//
// A worker that ends, or breaks the protocol, costs the client that it was at work for: its reply
// is an error that names it and says how the worker ended.  The next message gets a new worker.
// Where workers end before they are ready, and none ever got that far, or three in a row did not,
// handle() throws UNAVAILABLE with the reason.
class ProcessClients final : public ClientHandler {
 public:
  // `run` outlives it.  At most `workers` processes are alive at a time, at least 1.
  ProcessClients(std::unique_ptr<WorkerSource> source, const Run& run, size_t workers);
  ~ProcessClients() override;  // kills the workers

  // Starts the first worker, and waits for it.
  void prepare() const override;
  // Waits for a worker if all are busy.
  Message handle(const Message& message, Context& context) const override;
  // Kills the worker that is at this message.
  void give_up(const Metadata& message) const override;
  void stop() const override;

 private:
  class Pool;
  std::unique_ptr<Pool> pool_;
};

}  // namespace umbel::runner

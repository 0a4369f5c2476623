#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "umbel/app/run_config.h"
#include "umbel/app/runtime.h"
#include "umbel/app/wrap_up.h"
#include "umbel/base/ids.h"
#include "umbel/base/rng.h"

namespace umbel {

// What belongs to a whole run, shared by all its contexts.
struct Run {
  RunId id;
  uint64_t seed = 1;
  uint64_t nodes = 0;  // clients of the federation
  RunConfig config;
  Runtime* runtime = nullptr;
  // The centralised twin of a run: its one client has all the data, and run_rounds() trains until
  // so many examples have been trained on.
  std::optional<uint64_t> twin_examples = {};
};

// The seed of a client's draws for one message: the same wherever the client runs.  The type tells
// its draws in training from those in evaluation; outside rounds the message's id tells one call
// from the next.
uint64_t client_seed(uint64_t run_seed, const Metadata& message);

// Where an app's code finds itself: the run, the node, their settings, and what to keep.  Given to
// ServerApp and ClientApp by reference, for the length of one call.
class Context {
 public:
  // For the ServerApp.
  explicit Context(const Run& run) : Context(run, kServerNode, run.seed) {}
  // For one action of the ClientApp at `node`; `seed` is this call's own.  `node_config` is what
  // the node's owner configured, `wrap_up` tells when to come to an end; both outlive the context.
  Context(const Run& run, NodeId node, uint64_t seed, const ConfigRecord* node_config = nullptr,
          const WrapUp* wrap_up = nullptr)
      : run_(run), node_(node), seed_(seed), configured_(node_config), wrap_up_(wrap_up) {}

  RunId run_id() const { return run_.id; }
  NodeId node_id() const { return node_; }
  bool is_server() const { return node_ == kServerNode; }
  const RunConfig& run_config() const { return run_.config; }
  // The node's own settings: what its owner configured, and, if these are not among it,
  // "partition-id" and "num-partitions": the client's number and the number of clients.  In a
  // simulation there are only these two.
  const ConfigRecord& node_config() const;
  // The partition of this client and how many there are, from node_config(); umbel::Error if they
  // are no integers there, or negative.
  uint64_t partition_id() const;
  uint64_t num_partitions() const;

  // The run's seed, the same everywhere: for data splits and initial weights.
  uint64_t run_seed() const { return run_.seed; }
  // True in the centralised twin of a run (docs/twin.md): one client that has all the data.
  bool is_twin() const { return run_.twin_examples.has_value(); }
  uint64_t twin_examples() const { return run_.twin_examples.value_or(0); }
  // Made from the run's seed, the client and the message: for shuffles, dropout, noise.
  uint64_t seed() const { return seed_; }
  Rng rng() const { return Rng(seed_); }

  // Records that this client keeps from one message of a run to the next.  Empty at first.
  RecordDict& state() { return state_; }
  const RecordDict& state() const { return state_; }

  void log(std::string_view message) const { log(LogLevel::kInfo, message); }
  void log(LogLevel level, std::string_view message) const;
  // Makes a record part of the run's history and report, under a name of 1 to 255 bytes.  For the
  // ServerApp, as save(): a client's own data is kept nowhere.
  void publish(std::string_view name, const MetricRecord& metrics) const;
  // Keeps arrays as an artifact of the run: a .safetensors file that `umbel pull` fetches.
  // umbel::Error if it cannot be written; there is then no file of that name.
  void save(std::string_view name, const ArrayRecord& arrays) const;

  // The processors of this process, for the ServerApp's own work; a ClientApp's action gets the
  // one thread it runs on.
  Parallel& parallel() const;
  // True once the run is being stopped: long work of one's own should end soon.
  bool stop_requested() const;
  // For a ClientApp's action: true once the server asks for what is there by now, because the
  // deadline is near (Strategy::wrap_up).  An action that looks at it between batches can reply
  // with a partial update, which counts by the examples that it did train on:
  //
  //   for (; done != batches && !context.wrap_up(); ++done) train(batch(done));
  //   return message.reply(arrays, {{"num-examples", done * batch_size},
  //                                 {"work-done", double(done) / batches}});
  bool wrap_up() const { return wrap_up_ && wrap_up_->asked(); }
  // How long the reply has then; nothing before.
  std::optional<std::chrono::duration<double>> time_left() const {
    return wrap_up_ ? wrap_up_->time_left() : std::nullopt;
  }
  Runtime& runtime() const { return *run_.runtime; }

  // For who hands the call on to another process: what the constructor was given.
  const ConfigRecord* configured() const { return configured_; }
  const WrapUp* wrap_up_times() const { return wrap_up_; }

 private:
  void require_server(std::string_view call) const;
  uint64_t count_of(std::string_view key) const;

  const Run& run_;
  NodeId node_;
  uint64_t seed_;
  const ConfigRecord* configured_ = nullptr;
  const WrapUp* wrap_up_ = nullptr;
  mutable ConfigRecord node_config_;
  RecordDict state_;
};

}  // namespace umbel

#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "umbel/supernode/bundle_cache.h"
#include "umbel/supernode/fleet_session.h"
#include "umbel/supernode/kept_reply.h"
#include "umbel/supernode/loop.h"
#include "umbel/supernode/node.h"
#include "umbel/supernode/node_state.h"
#include "umbel/supernode/run_here.h"
#include "umbel/supernode/status.h"
#include "umbel/supernode/transfers.h"

namespace umbel::supernode {

// Joins a node's parts: what comes from session, transfers and processes is told to NodeState, and
// the actions that it asks for are carried out.  All of it on the loop's thread, but for the
// constructor and stop().
class Node::Impl final : public FleetListener {
 public:
  Impl(NodeOptions options, PrivateKey key, Pins pins, Descriptor lock);
  ~Impl() override;

  int run();
  void stop();

  std::vector<uint64_t> holding() override;
  void connected(const wire::Welcome& welcome, const std::vector<uint64_t>& held) override;
  void received(wire::HubFrame frame) override;
  void disconnected(const Status& reason) override;
  void failed(const Status& reason, bool final) override;

 private:
  struct Instruction {
    wire::Assign assign;
    std::optional<Loop::Clock::time_point> wrap_up;  // asked for: when it should be over
    KeptReply reply;
    std::optional<Transfers::Job> upload;
  };
  struct Blob {
    wire::BlobRef ref;
    uint64_t fetch = 0;  // results of earlier fetches are ignored
    std::optional<Transfers::Job> job;
    std::shared_ptr<const SharedBlob> here;
  };

  // node_frames.cc: what the hub says.
  void take(wire::Assign& assign);
  void take(const wire::WrapUp& wrap_up);
  void take(const wire::Cancel& cancel);
  void take(const wire::Upload& upload);
  void take(const wire::Done& done);
  void take(const wire::RunEnded& ended);
  template <class Other>
  void take(const Other&) {}  // FleetSession lets no other through
  std::string refusal_of(const wire::Assign& assign) const;
  void forget_old_runs();

  // node_status.cc: what the owner is told.
  void show_status();
  void write_status_now() const;
  NodeStatus status() const;

  // node.cc: the whole.
  void pump();
  void tick();
  void drain();
  void finish(int exit_code);
  NodeState::Time now() const;
  std::filesystem::path states_folder() const { return options_.state / "clients"; }

  // node_fetch.cc: bundles and blobs.
  void carry_out(const action::FetchBundle& fetch);
  void carry_out(const action::FetchBlob& fetch);
  void carry_out(const action::DropBlob& drop);
  void download(const wire::BundleRef& bundle);
  void bundle_ready(const std::string& sha256, const Result<App>& app);
  void blob_ready(uint64_t blob, uint64_t fetch, Result<std::shared_ptr<const SharedBlob>> here);

  // node_work.cc: processes and replies.
  void carry_out(const action::StartProcess& start);
  void carry_out(const action::Handle& handle);
  void carry_out(const action::EndProcess& end);
  void carry_out(const action::SendResult& send);
  void carry_out(const action::Fail& fail);
  void carry_out(const action::StartUpload& start);
  void carry_out(const action::StopUpload& stop);
  void carry_out(const action::Forget& forget);
  Status start_process(RunId id, RunHere& run);
  void without_state(uint64_t instruction, const Status& why);
  void answered(RunId run, uint64_t process, AppProcess::Answer answer);
  void logged(RunId run, uint64_t process, wire::AppLog line);
  void ended(RunId run, uint64_t process, const std::string& how);
  void wrap_up_running(uint64_t instruction);

  const NodeOptions options_;
  const PrivateKey key_;
  const Pins pins_;
  const Descriptor lock_;
  const Loop::Clock::time_point begun_ = Loop::Clock::now();
  std::atomic<int> stops_{0};
  int exit_code_ = 0;
  bool finishing_ = false;

  Loop loop_;
  Policy policy_;
  NodeState state_;
  std::map<uint64_t, Instruction> instructions_;
  std::map<uint64_t, Blob> blobs_;
  std::map<std::string, wire::BundleRef> bundle_refs_;
  std::map<std::string, App> apps_;  // by bundle: verified since this process started
  std::map<RunId, RunHere> runs_;
  std::set<RunId> over_;  // runs that ended, with a process still on its way out
  uint64_t numbers_ = 0;  // of processes and fetches
  uint64_t inline_max_ = wire::kInlineBytesMax;
  LogAllowance log_allowance_;
  NodeStatus shown_;
  Loop::Clock::time_point shown_at_;
  bool show_later_ = false;

  BundleCache cache_;
  Loop disk_;  // what reads, hashes and builds bundles
  std::jthread disk_thread_;
  Transfers transfers_;
  FleetSession session_;
};

}  // namespace umbel::supernode

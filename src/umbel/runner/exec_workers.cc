#include "umbel/runner/exec_workers.h"

#include <absl/synchronization/mutex.h>
#include <sys/socket.h>

#include <map>

namespace umbel::runner {

ProcessOptions process_options(const WorkerCommand& command) {
  ProcessOptions options{.arguments = command.arguments,
                         .folder = command.folder,
                         .environment = command.environment,
                         .on_line = command.on_line};
  options.whole_environment = true;
  options.same_output = !command.on_line;
  return options;
}

namespace {

class ExecWorkers final : public WorkerSource {
 public:
  explicit ExecWorkers(WorkerCommand command) : command_(std::move(command)) {}
  ~ExecWorkers() override { stop(); }

  Result<Worker> start() override {
    UMBEL_ASSIGN_OR_RETURN(auto ends, Channel::make_pair());
    UMBEL_ASSIGN_OR_RETURN(Descriptor socket, ends.first.duplicate());
    ProcessOptions options = process_options(command_);
    options.descriptors = {{kChannelVariable, ends.second.get()}};
    options.on_end = [held = std::make_shared<Descriptor>(std::move(socket))] {
      ::shutdown(held->get(), SHUT_RDWR);
    };
    UMBEL_ASSIGN_OR_RETURN(std::unique_ptr<ChildProcess> process,
                           ChildProcess::start(std::move(options)));
    absl::MutexLock lock(&mutex_);
    if (stopped_) return unavailable("the run was stopped");
    const uint64_t id = ++last_;
    workers_.emplace(id, Process{std::move(process)});
    return Worker{std::move(ends.first), id};
  }

  void kill(uint64_t id) override {
    absl::MutexLock lock(&mutex_);
    if (const auto found = workers_.find(id); found != workers_.end()) found->second.kill();
  }

  End wait(uint64_t id, std::chrono::milliseconds grace) override {
    std::shared_ptr<ChildProcess> process;
    {
      absl::MutexLock lock(&mutex_);
      process = workers_.at(id).process;
    }
    if (!process->wait_for(grace)) kill(id);
    std::string how = process->wait();
    absl::MutexLock lock(&mutex_);
    const auto node = workers_.extract(id);
    return {std::move(how), node.mapped().killed};
  }

  void stop() override {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    for (auto& [id, worker] : workers_) worker.kill();
  }

 private:
  struct Process {
    std::shared_ptr<ChildProcess> process;
    bool killed = false;
    void kill() {
      if (process->has_ended()) return;
      killed = true;
      process->kill();
    }
  };

  const WorkerCommand command_;
  absl::Mutex mutex_;
  uint64_t last_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<uint64_t, Process> workers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<WorkerSource> exec_workers(WorkerCommand command) {
  return std::make_unique<ExecWorkers>(std::move(command));
}

}  // namespace umbel::runner

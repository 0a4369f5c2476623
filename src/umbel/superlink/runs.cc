#include "umbel/superlink/runs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "umbel/base/files.h"
#include "umbel/base/text.h"
#include "umbel/bundle/interpreter.h"
#include "umbel/superlink/log.h"
#include "umbel/superlink/settings_json.h"

namespace umbel::superlink {

namespace fs = std::filesystem;

namespace {

using Json = nlohmann::json;

constexpr std::chrono::seconds kStopGrace{5};

std::string spec_json(const RunRecord& run, const bundle::Bundle& bundle, const fs::path& app,
                      const fs::path& output) {
  const Json json = {{"version", 1},
                     {"run-id", run.id.value()},
                     {"seed", run.seed},
                     {"nodes", run.members.size()},
                     {"threads", 0},
                     {"output", output.string()},
                     {"checkpoints", true},
                     {"app",
                      {{"name", bundle.description.name},
                       {"version", bundle.description.version},
                       {"publisher", bundle.description.publisher},
                       {"path", app.string()}}},
                     {"run-config", settings_json(run.config, run.origins)}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

RunStatus status_of(const std::string& finished) {
  if (finished == "completed") return RunStatus::kCompleted;
  if (finished == "stopped") return RunStatus::kStopped;
  return RunStatus::kFailed;
}

}  // namespace

Runs::Runs(Fleet& fleet, Store& store, Bundles& bundles, Blobs& blobs, Timers& timers,
           MemoryBudget& memory, Options options)
    : fleet_(fleet),
      store_(store),
      bundles_(bundles),
      blobs_(blobs),
      timers_(timers),
      memory_(memory),
      options_(std::move(options)) {}

Runs::~Runs() { shut_down(); }

fs::path Runs::folder_of(RunId run) const { return options_.folder / std::to_string(run.value()); }

Status Runs::load() {
  UMBEL_ASSIGN_OR_RETURN(std::vector<RunRecord> runs, store_.runs());
  {
    absl::MutexLock lock(&mutex_);
    for (RunRecord& run : runs) {
      if (!is_over(run.status)) {
        auto log = open_log(run.id);
        if (log.ok()) {
          logs_[run.id.value()] = *std::move(log);
        } else {
          log_error("run: its log cannot be read run={} reason={}", run.id.value(),
                    message_of(log.status()));
          run.status = RunStatus::kFailed;
          run.error = message_of(log.status());
          run.exit_code = 1;
          save(run);
        }
      }
      forget_settings(run);
      runs_[run.id.value()] = std::move(run);
    }
    for (auto& [id, run] : runs_) {
      if (!is_over(run.status) && run.stop_asked) {
        end_queued(run, RunStatus::kStopped, "the run was stopped");
      }
    }
    for (auto& [id, run] : runs_) {
      if (is_over(run.status) || run.status == RunStatus::kQueued) continue;
      log_info("run: goes on after a restart of the hub run={} round={}", id, run.rounds);
      ++run.restarts;
      begin(run);
    }
  }
  start_what_can();
  return absl::OkStatus();
}

void Runs::shut_down() {
  std::vector<std::thread> threads;
  {
    absl::MutexLock lock(&mutex_);
    shutting_down_ = true;
    for (auto& [id, active] : active_) {
      if (active.process) active.process->kill();
      threads.push_back(std::move(active.thread));
    }
    for (std::thread& thread : ended_) threads.push_back(std::move(thread));
    ended_.clear();
  }
  for (std::thread& thread : threads) {
    if (thread.joinable()) thread.join();
  }
}

Result<std::shared_ptr<EventLog>> Runs::open_log(RunId run) const {
  std::error_code error;
  fs::create_directories(folder_of(run), error);
  if (error) {
    return unavailable("{}: cannot make the folder: {}", folder_of(run).string(), error.message());
  }
  return EventLog::open(folder_of(run) / "events.jsonl");
}

bool Runs::may_see(const AccountRecord& account, const RunRecord& run) const {
  return account.role == Role::kAdmin || account.key.text() == run.account_key;
}

void Runs::save(const RunRecord& run) {
  if (const Status status = store_.save(run); !status.ok()) {
    log_error("run: its state is not on disk run={} reason={}", run.id.value(), message_of(status));
  }
}

Result<RunRecord> Runs::create(const AccountRecord& account, RunRequest request) {
  UMBEL_ASSIGN_OR_RETURN(const bundle::Bundle bundle, bundles_.info(request.bundle));
  ServerAppProcess::Options server;
  UMBEL_RETURN_IF_ERROR(find_server(bundle, fs::path(), server));
  RunRecord run;
  run.bundle = request.bundle;
  run.publisher = bundle.description.publisher;
  run.app = bundle.description.name;
  run.version = bundle.description.version;
  run.account = account.name;
  run.account_key = account.key.text();
  run.federation = account.federation;
  run.nodes_asked = request.nodes;
  run.seed = request.seed;
  run.wait_seconds = request.wait_seconds;
  run.config = std::move(request.config);
  run.origins = std::move(request.origins);
  run.created_ms = now_milliseconds();
  {
    absl::MutexLock lock(&mutex_);
    if (shutting_down_) return unavailable("the hub is going down");
    size_t queued = 0, own = 0;
    for (const auto& [id, other] : runs_) {
      if (other.status != RunStatus::kQueued) continue;
      ++queued;
      own += other.account_key == run.account_key ? 1 : 0;
    }
    if (queued >= kRunsQueuedMax || own >= kRunsQueuedOwnMax) {
      return resource_exhausted("{} runs are queued, {} of them yours; there may be {} and {}",
                                queued, own, kRunsQueuedMax, kRunsQueuedOwnMax);
    }
    UMBEL_ASSIGN_OR_RETURN(run.id, store_.create(run));
    auto log = open_log(run.id);
    if (!log.ok()) {
      // What was refused must not begin at the next start.
      run.status = RunStatus::kFailed;
      run.error = message_of(log.status());
      save(run);
      return log.status();
    }
    logs_[run.id.value()] = *std::move(log);
    runs_[run.id.value()] = run;
  }
  timers_.after(std::chrono::duration<double>(run.wait_seconds), [this] { start_what_can(); });
  start_what_can();
  absl::MutexLock lock(&mutex_);
  RunRecord made = runs_.at(run.id.value());
  const uint64_t there = fleet_.ready(made.federation).size();
  if (made.status == RunStatus::kQueued && there < std::max<uint64_t>(made.nodes_asked, 1)) {
    made.nodes_there = there;
  }
  return made;
}

Result<std::vector<uint64_t>> Runs::choose_nodes(const RunRecord& run) const {
  std::vector<uint64_t> ready = fleet_.ready(run.federation);
  const uint64_t wanted = std::max<uint64_t>(run.nodes_asked, 1);
  if (ready.size() < wanted) {
    return unavailable("{} nodes of federation \"{}\" are connected, the run needs {}",
                       ready.size(), run.federation, wanted);
  }
  if (run.nodes_asked) ready.resize(run.nodes_asked);
  return ready;
}

void Runs::end_queued(RunRecord& run, RunStatus status, const std::string& error) {
  run.status = status;
  run.error = error;
  run.exit_code = status == RunStatus::kStopped ? 143 : run.started_ms != 0 ? 1 : 3;  // 3: no nodes
  run.finished_ms = now_milliseconds();
  save(run);
  forget_settings(run);
  const auto log = logs_.find(run.id.value());
  RunEvents(log->second).finish({std::string(name_of(status)), error, run.exit_code});
  log->second->close();
  logs_.erase(log);
}

void Runs::start_what_can() {
  std::vector<std::thread> ended;
  {
    absl::MutexLock lock(&mutex_);
    ended.swap(ended_);
    const int64_t now = now_milliseconds();
    for (auto& [id, run] : runs_) {
      if (shutting_down_ || active_.size() >= options_.runs_max) break;
      if (run.status != RunStatus::kQueued) continue;
      Result<std::vector<uint64_t>> nodes = choose_nodes(run);
      if (nodes.ok()) {
        run.members = *std::move(nodes);
        begin(run);
      } else if (now >= run.created_ms + static_cast<int64_t>(run.wait_seconds * 1000)) {
        log_warn("run: not started run={} reason={}", id, message_of(nodes.status()));
        end_queued(
            run, RunStatus::kFailed,
            fmt::format("{}; waited {:.0f} s", message_of(nodes.status()), run.wait_seconds));
      }
    }
  }
  for (std::thread& thread : ended) {
    if (thread.joinable()) thread.join();  // shut_down() may have taken it
  }
}

void Runs::begin(RunRecord& run) {
  run.status = RunStatus::kRunning;
  if (run.started_ms == 0) run.started_ms = now_milliseconds();
  // Who takes part must be on disk before anybody is asked.
  if (const Status saved = store_.save(run); !saved.ok()) {
    return end_queued(run, RunStatus::kFailed, message_of(saved));
  }
  Active& active = active_[run.id.value()];
  active.events = std::make_shared<RunEvents>(logs_.at(run.id.value()));
  active.thread = std::thread([this, run, events = active.events] { drive(run, events); });
}

// Everything that has to be there before the ServerApp can start.
Status Runs::find_server(const bundle::Bundle& bundle, const fs::path& app,
                         ServerAppProcess::Options& options) const {
  const bundle::PythonEntry& entry = bundle.description.python;
  std::vector<std::string> arguments = {"--umbel-run", options.spec.string()};
  if (!entry.server.empty()) {
    const auto python = bundle::find_interpreter({.given = options_.python, .of_user = false});
    if (!python.ok()) {
      return failed_precondition(
          "the ServerApp of {} is in Python, which this hub does not have: {}",
          bundle.description.id(), message_of(python.status()));
    }
    for (std::string& more : bundle::entry_arguments(entry, bundle::PythonSides::kServer)) {
      arguments.push_back(std::move(more));
    }
    options.command = bundle::python_command(*python, "umbel", arguments);
    options.environment = bundle::python_environment(*python, false);
    return absl::OkStatus();
  }
  const std::string* program = bundle.program_for(bundle::this_platform());
  if (program == nullptr) {
    return failed_precondition("the bundle {} has no program for this hub's platform, {}",
                               bundle.description.id(), bundle::this_platform());
  }
  options.command = {(app / *program).string()};
  options.command.insert(options.command.end(), arguments.begin(), arguments.end());
  return absl::OkStatus();
}

Result<ServerAppProcess::Options> Runs::prepare(const RunRecord& run) {
  const fs::path app = folder_of(run.id) / "app";
  const fs::path output = folder_of(run.id) / "output";
  Result<bundle::Bundle> bundle =
      fs::exists(app) ? bundles_.info(run.bundle) : bundles_.unpack(run.bundle, app);
  UMBEL_RETURN_IF_ERROR(bundle.status());
  std::error_code error;
  fs::create_directories(output, error);
  if (error) return unavailable("{}: cannot make the folder: {}", output.string(), error.message());
  ServerAppProcess::Options options;
  options.spec = folder_of(run.id) / "spec.json";
  UMBEL_RETURN_IF_ERROR(write_file_atomic(options.spec, spec_json(run, *bundle, app, output)));
  UMBEL_ASSIGN_OR_RETURN(const fs::path archive, bundles_.find(run.bundle));
  UMBEL_RETURN_IF_ERROR(find_server(*bundle, app, options));
  options.folder = app;
  options.members = run.members;
  options.single_replies = options_.single_replies;
  options.run.id = run.id;
  options.run.seed = run.seed;
  options.run.nodes = run.members.size();
  options.run.config = run.config;
  options.run.origins = run.origins;
  options.run.bundle = {run.bundle, fs::file_size(archive, error), bundle->description.id()};
  return options;
}

void Runs::drive(RunRecord run, std::shared_ptr<RunEvents> events) {
  log_info("run: starts run={} app={}/{}@{} nodes={} seed={}", run.id.value(), run.publisher,
           run.app, run.version, run.members.size(), run.seed);
  RunFinished finished{"failed", "", 1};
  Status ready = events->catch_up();
  Result<ServerAppProcess::Options> options =
      ready.ok() ? prepare(run) : Result<ServerAppProcess::Options>(ready);
  if (!options.ok()) {
    finished.error = message_of(options.status());
    return end(run, finished, *events);
  }
  int restarts_in_a_row = 0;
  while (true) {
    const auto outcome = attempt(run, *options, *events, restarts_in_a_row);
    if (outcome) {
      finished = *outcome;
      break;
    }
    absl::MutexLock lock(&mutex_);
    if (shutting_down_) return;  // the run goes on with the next hub
  }
  end(run, finished, *events);
}

std::optional<RunFinished> Runs::attempt(const RunRecord& run,
                                         const ServerAppProcess::Options& options,
                                         RunEvents& events, int& restarts_in_a_row) {
  const uint64_t rounds_before = events.rounds();
  auto process =
      ServerAppProcess::start(options, {fleet_, memory_, blobs_, timers_, store_, events});
  if (!process.ok()) return RunFinished{"failed", message_of(process.status()), 1};
  bool stop_at_once = false;
  {
    absl::MutexLock lock(&mutex_);
    Active& active = active_.at(run.id.value());
    active.process = process->get();
    stop_at_once = active.stopping || shutting_down_;
  }
  if (stop_at_once) (*process)->terminate(kStopGrace);
  const std::string how = (*process)->wait();
  bool stopping = false, shutting_down = false;
  {
    absl::MutexLock lock(&mutex_);
    Active& active = active_.at(run.id.value());
    active.process = nullptr;
    stopping = active.stopping;
    shutting_down = shutting_down_;
  }
  const Status fault = (*process)->fault();
  process->reset();
  if (shutting_down && !stopping) return std::nullopt;
  if (const auto finished = events.finished()) return finished;
  if (stopping) return RunFinished{"stopped", "the run was stopped", 143};
  if (!fault.ok()) return RunFinished{"failed", "the ServerApp's process: " + message_of(fault), 1};
  if (how.starts_with("exited")) {
    return RunFinished{"failed", fmt::format("the ServerApp's process {} without a word", how), 1};
  }
  restarts_in_a_row = events.rounds() > rounds_before ? 1 : restarts_in_a_row + 1;
  if (restarts_in_a_row > kRestartsInARowMax) {
    return RunFinished{
        "failed",
        fmt::format("the ServerApp's process was {} {} times without finishing a round", how,
                    restarts_in_a_row),
        1};
  }
  log_warn("run: the ServerApp {}; starting it again run={} round={}", how, run.id.value(),
           events.rounds());
  events.log("server", "warn", std::nullopt,
             fmt::format("the ServerApp's process was {}; it goes on after round {}", how,
                         events.rounds()));
  absl::MutexLock lock(&mutex_);
  RunRecord& record = runs_.at(run.id.value());
  ++record.restarts;
  save(record);
  return std::nullopt;
}

void Runs::end(const RunRecord& run, const RunFinished& finished, RunEvents& events) {
  events.finish(finished);
  {
    absl::MutexLock lock(&mutex_);
    RunRecord& record = runs_.at(run.id.value());
    record.status = status_of(finished.status);
    record.error = finished.error;
    record.exit_code = finished.exit_code;
    record.rounds = events.rounds();
    record.rounds_planned = events.rounds_planned();
    record.finished_ms = now_milliseconds();
    save(record);
    forget_settings(record);
    const auto active = active_.find(run.id.value());
    ended_.push_back(std::move(active->second.thread));
    active_.erase(active);
    logs_.at(run.id.value())->close();
    logs_.erase(run.id.value());
  }
  log_info("run: {} run={} rounds={} error={}", finished.status, run.id.value(), events.rounds(),
           finished.error);
  // The unpacked app is not needed any more; the bundle is kept.
  std::error_code ignored;
  fs::remove_all(folder_of(run.id) / "app", ignored);
  fleet_.run_ended(run.id, run.members);
  // On another thread: this one is to be joined by whoever comes next.
  timers_.after(std::chrono::seconds(0), [this] { start_what_can(); });
}

std::vector<RunRecord> Runs::list(const AccountRecord& account) const {
  absl::MutexLock lock(&mutex_);
  std::vector<RunRecord> list;
  for (const auto& [id, run] : runs_) {
    if (!may_see(account, run)) continue;
    list.push_back(run);
    if (const auto active = active_.find(id); active != active_.end()) {
      list.back().rounds = active->second.events->rounds();
      list.back().rounds_planned = active->second.events->rounds_planned();
    }
  }
  std::ranges::reverse(list);
  return list;
}

// Those of runs that are over stay on disk: one by one they are asked for, all of them they are
// large.
void Runs::forget_settings(RunRecord& run) {
  if (!is_over(run.status)) return;
  run.config = {};
  run.origins.clear();
}

Result<RunRecord> Runs::get(const AccountRecord& account, uint64_t id) const {
  UMBEL_ASSIGN_OR_RETURN(RunRecord run, get_from_memory(account, id));
  if (!is_over(run.status)) return run;
  UMBEL_ASSIGN_OR_RETURN(const RunRecord stored, store_.run(run.id));
  run.config = stored.config;
  run.origins = stored.origins;
  return run;
}

Result<RunRecord> Runs::get_from_memory(const AccountRecord& account, uint64_t id) const {
  absl::MutexLock lock(&mutex_);
  const auto found = runs_.find(id);
  if (found == runs_.end() || !may_see(account, found->second)) {
    return not_found("there is no run {} on this hub that is yours", id);
  }
  RunRecord run = found->second;
  if (const auto active = active_.find(id); active != active_.end()) {
    run.rounds = active->second.events->rounds();
    run.rounds_planned = active->second.events->rounds_planned();
  }
  return run;
}

Result<RunRecord> Runs::stop(const AccountRecord& account, uint64_t id) {
  UMBEL_RETURN_IF_ERROR(get_from_memory(account, id).status());
  {
    absl::MutexLock lock(&mutex_);
    RunRecord& run = runs_.at(id);
    if (run.status == RunStatus::kQueued) {
      end_queued(run, RunStatus::kStopped, "the run was stopped before it began");
    } else if (const auto active = active_.find(id); active != active_.end()) {
      run.stop_asked = true;
      UMBEL_RETURN_IF_ERROR(store_.save(run));  // so that the next hub knows as well
      active->second.stopping = true;
      if (active->second.process) active->second.process->terminate(kStopGrace);
    }
  }
  return get(account, id);
}

void Runs::stop_all(const AccountRecord& account) {
  for (const RunRecord& run : list(account)) {
    if (is_over(run.status) || run.account_key != account.key.text()) continue;
    if (const Status status = stop(account, run.id.value()).status(); !status.ok()) {
      log_error("run: not stopped run={} reason={}", run.id.value(), message_of(status));
    }
  }
}

Result<std::shared_ptr<EventLog>> Runs::events(const AccountRecord& account, uint64_t id) {
  UMBEL_ASSIGN_OR_RETURN(const RunRecord run, get_from_memory(account, id));
  {
    absl::MutexLock lock(&mutex_);
    if (const auto log = logs_.find(id); log != logs_.end()) return log->second;
    if (const auto log = closed_logs_.find(id); log != closed_logs_.end()) return log->second;
  }
  UMBEL_ASSIGN_OR_RETURN(auto log, EventLog::open(folder_of(run.id) / "events.jsonl"));
  log->close();
  absl::MutexLock lock(&mutex_);
  if (closed_logs_.size() >= kClosedLogsMax) closed_logs_.erase(closed_logs_.begin());
  closed_logs_[id] = log;
  return log;
}

Result<std::vector<Runs::Artifact>> Runs::artifacts(const AccountRecord& account, uint64_t id) {
  std::map<std::string, Artifact> found;
  UMBEL_ASSIGN_OR_RETURN(const std::shared_ptr<EventLog> log, events(account, id));
  for (uint64_t after = 0;;) {
    UMBEL_ASSIGN_OR_RETURN(const std::string lines, log->read(after));
    if (lines.empty()) break;
    std::string_view rest = lines;
    for (size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
      const std::string_view line = rest.substr(0, end);
      rest.remove_prefix(end + 1);
      ++after;
      if (line.find("\"artifact\"") == std::string_view::npos) continue;
      const Json json = Json::parse(line, nullptr, false);
      if (!json.is_object() || !json.contains("event")) continue;
      const Json& event = json["event"];
      const std::string name = text_in(event, "name");
      if (text_in(event, "event") != "artifact" || name.empty()) continue;
      const auto bytes = event.find("bytes");
      found[name] = {
          name, text_in(event, "sha256"),
          bytes != event.end() && bytes->is_number_unsigned() ? bytes->get<uint64_t>() : 0};
    }
  }
  std::vector<Artifact> list;
  for (auto& [name, artifact] : found) list.push_back(std::move(artifact));
  return list;
}

Result<Descriptor> Runs::open_artifact(const AccountRecord& account, uint64_t id,
                                       const std::string& name, uint64_t* bytes) {
  UMBEL_ASSIGN_OR_RETURN(const std::vector<Artifact> list, artifacts(account, id));
  if (std::ranges::none_of(list, [&](const Artifact& one) { return one.name == name; })) {
    return not_found("run {} has no artifact \"{}\"", id, escaped(name));
  }
  if (name.find('/') != std::string::npos || name.starts_with(".")) {
    return not_found("run {} has no artifact \"{}\"", id, escaped(name));
  }
  const fs::path path = folder_of(RunId(id)) / "output" / name;
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return not_found("run {}: the file of \"{}\" is not there any more", id, escaped(name));
  }
  *bytes = static_cast<uint64_t>(status.st_size);
  return file;
}

bool Runs::may_fetch(uint64_t node, const std::string& bundle) const {
  absl::MutexLock lock(&mutex_);
  for (const auto& [id, active] : active_) {
    const RunRecord& run = runs_.at(id);
    const bool member = std::ranges::find(run.members, node) != run.members.end();
    if (member && run.bundle == bundle) return true;
  }
  return false;
}

void Runs::nodes_changed() {
  // Not here: whoever calls may hold what starting a run needs.
  timers_.after(std::chrono::seconds(0), [this] { start_what_can(); });
}

void Runs::log(uint64_t node, const wire::NodeLog& line) {
  std::shared_ptr<RunEvents> events;
  uint64_t client = 0;
  {
    absl::MutexLock lock(&mutex_);
    const auto active = active_.find(line.run.value());
    if (active == active_.end()) return;
    const std::vector<uint64_t>& members = runs_.at(line.run.value()).members;
    const auto member = std::ranges::find(members, node);
    if (member == members.end()) return;
    client = static_cast<uint64_t>(member - members.begin());
    events = active->second.events;
  }
  static constexpr std::string_view kLevels[] = {"debug", "info", "warn", "error"};
  const bool known = std::ranges::find(kLevels, line.level) != std::end(kLevels);
  events->log("client", known ? line.level : "info", client, line.message);
}

size_t Runs::running() const {
  absl::MutexLock lock(&mutex_);
  return active_.size();
}

std::map<std::string, uint64_t> Runs::by_status() const {
  absl::MutexLock lock(&mutex_);
  std::map<std::string, uint64_t> counts;
  for (const auto& [id, run] : runs_) ++counts[std::string(name_of(run.status))];
  return counts;
}

}  // namespace umbel::superlink

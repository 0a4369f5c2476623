#include "umbel/main/local_run.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "umbel/record/safetensors.h"

namespace umbel {

namespace {

constexpr std::string_view kModelName = "model.safetensors";
constexpr std::chrono::seconds kShutDownGrace{2};
constexpr int kExitFailed = 1;
constexpr int kExitConfiguration = 4;
constexpr int kExitStopped = 143;

Status check_artifact_name(std::string_view name) {
  const bool plain = !name.empty() && name.size() <= 200 && name[0] != '.' &&
                     name.find_first_of("/\\") == std::string_view::npos &&
                     std::ranges::none_of(
                         name, [](char c) { return std::iscntrl(static_cast<unsigned char>(c)); });
  if (plain && name.ends_with(".safetensors")) return absl::OkStatus();
  return invalid_argument("artifact \"{}\": expected a plain file name that ends in .safetensors",
                          name);
}

}  // namespace

LocalRun::LocalRun(RunSpec spec, const MakeCarrier& carrier, Events& events)
    : spec_(std::move(spec)), events_(events) {
  spec_.run.runtime = this;
  carrier_ = carrier(spec_, events);
}

double LocalRun::elapsed() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

int LocalRun::run(const ServerApp& server) {
  // The ServerApp's own arithmetic goes by the rules that the workers' does.
  const DenormalMode fast(DenormalMode::kFlush);
  events_.started(spec_.run.nodes, carrier_->parallel().threads());
  finished_.status = "completed";
  try {
    Context context(spec_.run);
    server.run(carrier_->grid(), context);
    if (finished_.model_sha256.empty() || saved_after_ < model_round_) save_model();
    if (carrier_->stop_requested()) fail(absl::CancelledError("the run was stopped"));
  } catch (const Error& error) {
    fail(error.status());
  } catch (const std::exception& error) {
    fail(absl::UnknownError(fmt::format("the ServerApp threw: {}", error.what())));
  } catch (...) {
    fail(absl::UnknownError("the ServerApp threw something that is not a std::exception"));
  }
  if (finished_.status != "completed") save_model();
  finished_.seconds = elapsed();
  events_.finished(finished_);
  forget_checkpoints();
  return finished_.exit_code;
}

void LocalRun::fail(const Status& status) {
  // A ServerApp that is cancelled knows that it is to stop, however soon we hear of it.
  const bool stopped = carrier_->stop_requested() || absl::IsCancelled(status);
  const bool configuration =
      !carrier_->sent() && status.code() == absl::StatusCode::kInvalidArgument;
  finished_.status = stopped ? "stopped" : "failed";
  finished_.error = message_of(status);
  finished_.exit_code = stopped ? kExitStopped : configuration ? kExitConfiguration : kExitFailed;
}

// The last finished round's model.  Its name says so where it is not the run's result.
void LocalRun::save_model() {
  if (model_.empty()) return;
  const bool completed = finished_.status == "completed";
  const std::string name =
      completed ? std::string(kModelName) : fmt::format("model-round-{}.safetensors", model_round_);
  const Status status = save(name, model_);
  if (status.ok()) return;
  if (completed) throw Error(status);
  log(LogLevel::kWarn, std::nullopt,
      fmt::format("the last round's model could not be kept: {}", message_of(status)));
}

void LocalRun::round_model(uint64_t round, const ArrayRecord& arrays) {
  model_round_ = round;
  model_ = arrays;
}

bool LocalRun::shut_down() { return carrier_->shut_down(kShutDownGrace); }

void LocalRun::log(LogLevel level, std::optional<NodeId> node, std::string_view message) {
  events_.log(level, node, message);
}

void LocalRun::rounds_planned(uint64_t rounds) { events_.rounds(rounds); }

void LocalRun::count(const RoundReport& report) {
  if (report.round > 0) ++finished_.rounds;
  last_round_ = std::max(last_round_, report.round);
  finished_.clients += report.clients;
  finished_.failures += report.failures;
  for (const auto& [name, value] : all_metrics(report)) finished_.metrics.set(name, value);
}

void LocalRun::round_finished(const RoundReport& report) {
  count(report);
  events_.round(report, elapsed());
}

std::filesystem::path LocalRun::checkpoint(uint64_t series) const {
  return std::filesystem::path(spec_.output) / fmt::format(".checkpoint-{}", series);
}

std::optional<std::filesystem::path> LocalRun::next_checkpoint() {
  ++series_;
  return spec_.checkpoints ? std::optional(checkpoint(series_)) : std::nullopt;
}

void LocalRun::rounds_resumed(std::span<const RoundReport> finished) {
  for (const RoundReport& report : finished) count(report);
  events_.resumed(last_round_);
}

// Once the run is over nobody goes on from them.  No artifact has a name that begins with a dot.
void LocalRun::forget_checkpoints() {
  if (!spec_.checkpoints) return;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(spec_.output, ignored)) {
    if (!entry.path().filename().string().starts_with(".checkpoint-")) continue;
    std::filesystem::remove(entry.path(), ignored);
  }
}

void LocalRun::publish(std::string_view name, const MetricRecord& metrics) {
  events_.record(name, metrics);
}

Status LocalRun::save(std::string_view name, const ArrayRecord& arrays) {
  UMBEL_RETURN_IF_ERROR(check_artifact_name(name));
  const std::filesystem::path path = std::filesystem::path(spec_.output) / name;
  absl::MutexLock lock(&saving_);
  UMBEL_RETURN_IF_ERROR(write_safetensors(path, arrays));
  const std::string hash = safetensors_sha256(arrays);
  if (name == kModelName) {
    finished_.model_sha256 = hash;
    saved_after_ = model_round_;
  }
  std::error_code ignored;
  events_.artifact(name, std::filesystem::file_size(path, ignored), hash);
  return absl::OkStatus();
}

}  // namespace umbel

#include "umbel/supernode/kept_states.h"

#include <algorithm>
#include <utility>

#include "umbel/base/files.h"
#include "umbel/base/sha256.h"
#include "umbel/wire/runtime.h"

namespace umbel::supernode {

namespace {

namespace fs = std::filesystem;

// A file is the magic, the SHA-256 of all that follows, the run's, and records: a length (8 bytes,
// little-endian) and a frame of the runtime service that carries a message's number and a state.
// The first is of the state now, the others are of the steps.
constexpr std::string_view kMagic = "UMBELST1";
constexpr size_t kHashBytes = 64;
constexpr size_t kHeadBytes = kMagic.size() + 2 * kHashBytes;
constexpr size_t kRecordBytesMax = 2 * wire::kFrameBytesMax;
constexpr size_t kFileBytesMax = kHeadBytes + (KeptStates::kStepsMax + 1) * (8 + kRecordBytesMax);

std::string sha256_of(std::string_view text) { return sha256_hex(std::as_bytes(std::span(text))); }

std::string little_endian(uint64_t value) {
  std::string bytes;
  for (int i = 0; i != 8; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

std::string record_of(MessageId message, uint64_t round, const RecordDict& state) {
  wire::Handle frame{.instruction = message.value(), .state = state};
  frame.message.metadata.type = "state";
  frame.message.metadata.round = round;
  const std::string bytes = wire::format(wire::DaemonFrame(std::move(frame)));
  return little_endian(bytes.size()) + bytes;
}

Result<wire::Handle> take_record(std::string_view& rest) {
  uint64_t length = 0;
  if (rest.size() < 8) return invalid_argument("it is cut");
  for (int i = 0; i != 8; ++i) length |= uint64_t{static_cast<uint8_t>(rest[i])} << (8 * i);
  rest.remove_prefix(8);
  if (length > rest.size()) return invalid_argument("it is cut");
  const std::string_view bytes = rest.substr(0, length);
  rest.remove_prefix(length);
  UMBEL_ASSIGN_OR_RETURN(wire::DaemonFrame frame,
                         wire::parse_daemon_frame(std::as_bytes(std::span(bytes))));
  auto* handle = std::get_if<wire::Handle>(&frame);
  if (!handle) return invalid_argument("another frame");
  return std::move(*handle);
}

fs::path folder_of(const fs::path& folder, RunId run) {
  return folder / fmt::format("run-{}", run.value());
}

}  // namespace

bool KeptStates::Kept::is_empty() const {
  return now.empty() &&
         std::ranges::all_of(steps, [](const Step& step) { return step.before.empty(); });
}

void KeptStates::open(const fs::path& folder, const wire::RunInfo& run) {
  std::string text =
      fmt::format("{} {} {} {}", run.id.value(), run.seed, run.nodes, run.bundle.sha256);
  for (const auto& [key, value] : run.config) text += fmt::format("\n{}={}", key, value.text());
  std::string sha256 = sha256_of(text);
  if (sha256 == run_) return;
  folder_ = folder_of(folder, run.id);
  run_ = std::move(sha256);
  clients_.clear();
}

fs::path KeptStates::path_of(uint64_t client) const {
  return folder_ / fmt::format("client-{}.state", client);
}

Result<RecordDict> KeptStates::before(uint64_t client, const Metadata& message) {
  auto found = clients_.find(client);
  if (found == clients_.end()) {
    std::error_code ignored;
    if (folder_.empty() || !fs::exists(path_of(client), ignored)) return RecordDict();
    const fs::path path = path_of(client);
    Result<Kept> kept = read(path);
    if (!kept.ok()) return data_loss("{}: {}", path.string(), message_of(kept.status()));
    found = clients_.emplace(client, *std::move(kept)).first;
  }
  Kept& kept = found->second;
  const auto begun = std::ranges::find_if(kept.steps, [&](const Step& step) {
    return step.message == message.id && step.round == message.round;
  });
  return begun == kept.steps.end() ? kept.now : begun->before;
}

Status KeptStates::keep(uint64_t client, const Metadata& message, RecordDict state) {
  const bool known = clients_.contains(client);
  if (!known && (state.empty() || clients_.size() >= kClientsMax)) return absl::OkStatus();
  Kept& kept = clients_[client];
  const auto begun = std::ranges::find_if(kept.steps, [&](const Step& step) {
    return step.message == message.id && step.round == message.round;
  });
  if (begun != kept.steps.end()) {
    kept.now = begun->before;
    kept.steps.erase(begun, kept.steps.end());
  }
  std::erase_if(kept.steps, [&](const Step& step) { return step.round != message.round; });
  if (kept.steps.size() == kStepsMax) kept.steps.erase(kept.steps.begin());
  kept.steps.push_back({message.id, message.round, std::move(kept.now)});
  kept.now = std::move(state);
  if (kept.is_empty() || folder_.empty()) {
    std::error_code ignored;
    if (kept.is_empty()) clients_.erase(client);
    if (!folder_.empty()) fs::remove(path_of(client), ignored);
    return absl::OkStatus();
  }
  return write(path_of(client), kept);
}

Result<KeptStates::Kept> KeptStates::read(const fs::path& path) const {
  UMBEL_ASSIGN_OR_RETURN(const std::string bytes, read_file(path, kFileBytesMax));
  std::string_view rest = bytes;
  if (rest.size() < kHeadBytes || !rest.starts_with(kMagic)) {
    return invalid_argument("not a client's state");
  }
  const std::string_view sum = rest.substr(kMagic.size(), kHashBytes);
  rest.remove_prefix(kMagic.size() + kHashBytes);
  if (sha256_of(rest) != sum) return invalid_argument("it is damaged: its SHA-256 is another");
  if (rest.substr(0, kHashBytes) != run_) return Kept();  // of another run of this number
  rest.remove_prefix(kHashBytes);
  UMBEL_ASSIGN_OR_RETURN(wire::Handle now, take_record(rest));
  Kept kept{.steps = {}, .now = std::move(now.state)};
  while (!rest.empty()) {
    UMBEL_ASSIGN_OR_RETURN(wire::Handle step, take_record(rest));
    kept.steps.push_back(
        {MessageId(step.instruction), step.message.metadata.round, std::move(step.state)});
  }
  return kept;
}

Status KeptStates::write(const fs::path& path, const Kept& kept) const {
  std::error_code error;
  for (const fs::path& folder : {folder_.parent_path(), folder_}) {
    fs::create_directories(folder, error);
    fs::permissions(folder, fs::perms::owner_all, error);
  }
  std::string records = run_ + record_of({}, 0, kept.now);
  for (const Step& step : kept.steps) records += record_of(step.message, step.round, step.before);
  UMBEL_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path, 0600));
  UMBEL_RETURN_IF_ERROR(file.write(kMagic));
  UMBEL_RETURN_IF_ERROR(file.write(sha256_of(records)));
  UMBEL_RETURN_IF_ERROR(file.write(records));
  return file.commit();
}

void remove_states(const fs::path& folder, RunId run) {
  std::error_code ignored;
  fs::remove_all(folder_of(folder, run), ignored);
}

void prune_states(const fs::path& folder, std::chrono::hours age) {
  std::error_code error;
  const auto oldest = fs::file_time_type::clock::now() - age;
  std::vector<fs::path> old;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const auto written = fs::last_write_time(entry.path(), error);
    if (!error && written < oldest) old.push_back(entry.path());
  }
  for (const fs::path& path : old) fs::remove_all(path, error);
}

}  // namespace umbel::supernode

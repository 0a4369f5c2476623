#include "umbel/app/checkpoint.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "umbel/app/report_json.h"
#include "umbel/base/files.h"
#include "umbel/record/layout.h"

namespace umbel {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kMagic = "UMBELCP1";
constexpr size_t kPrefixBytes = 16;  // the magic, and the header's length
constexpr uint64_t kHeaderBytesMax = uint64_t{64} << 20;
constexpr size_t kHistoryBytesMax = size_t{1} << 30;
constexpr size_t kArraysMax = 1'000'000;  // with the optimizer's two for each

Json to_json(const Layout& layout) {
  Json json = Json::array();
  for (const ArraySpec& spec : layout) {
    json.push_back(Json::array({bytes_as_text(spec.name), std::string(name_of(spec.dtype)),
                                Json(std::vector<int64_t>(spec.shape.begin(), spec.shape.end()))}));
  }
  return json;
}

std::string text_of(const Json& json) {
  return or_throw(text_as_bytes(json.get_ref<const std::string&>()));
}
uint64_t count_of(const Json& json) {
  if (json.is_number_unsigned()) return json.get<uint64_t>();
  throw Error(invalid_argument("{} is no count", json.dump()));
}

Layout layout_from(const Json& json) {
  if (json.size() > kArraysMax) throw Error(invalid_argument("{} arrays", json.size()));
  Layout layout;
  for (const Json& item : json) {
    const auto dtype = dtype_named(item.at(1).get<std::string>());
    if (!dtype) throw Error(invalid_argument("no dtype {}", item.at(1).dump()));
    const auto shape = item.at(2).get<std::vector<int64_t>>();
    layout.push_back({text_of(item.at(0)), *dtype, Shape(shape.begin(), shape.end())});
    or_throw(element_count(layout.back().shape).status());
  }
  return layout;
}

std::string header_of(const Checkpoint& checkpoint, uint64_t history_bytes) {
  const Checkpoint::Identity& identity = checkpoint.identity;
  const RoundsMemory& memory = checkpoint.memory;
  Json best = Json::array();
  for (const Stopping::Best& b : memory.stopping.best) {
    best.push_back(Json::array({b.value ? Json(*b.value) : Json(nullptr), b.round, b.stale}));
  }
  Json unseen = Json::array();
  for (const std::string& name : memory.stopping.unseen) unseen.push_back(bytes_as_text(name));
  Json json = Json::object();
  json["strategy"] = bytes_as_text(identity.strategy);
  json["optimizer"] = bytes_as_text(identity.optimizer);
  json["action"] = bytes_as_text(identity.action);
  json["seed"] = identity.seed;
  json["population"] = identity.population;
  json["first-round"] = identity.first_round;
  json["last-round"] = identity.last_round;
  json["exchange"] = bytes_as_text(identity.exchange);
  json["round"] = memory.round;
  json["over"] = memory.over;
  json["skipped-in-a-row"] = memory.skipped_in_a_row;
  json["best"] = std::move(best);
  json["unseen"] = std::move(unseen);
  json["stopped-because"] = bytes_as_text(checkpoint.stopped_because);
  json["next-message"] = checkpoint.next_message.value();
  json["history-bytes"] = history_bytes;
  json["global"] = to_json(layout_of(memory.global));
  json["optimizer-state"] = to_json(layout_of(memory.optimizer));
  return json.dump();
}

// All but the arrays.
Checkpoint checkpoint_from(const Json& json) {
  Checkpoint checkpoint;
  checkpoint.identity = {text_of(json.at("strategy")),
                         text_of(json.at("optimizer")),
                         text_of(json.at("action")),
                         count_of(json.at("seed")),
                         count_of(json.at("population")),
                         count_of(json.at("first-round")),
                         count_of(json.at("last-round")),
                         json.contains("exchange") ? text_of(json.at("exchange")) : ""};
  RoundsMemory& memory = checkpoint.memory;
  memory.round = count_of(json.at("round"));
  memory.over = json.at("over").get<bool>();
  memory.skipped_in_a_row = static_cast<int>(count_of(json.at("skipped-in-a-row")) & 0xffff);
  for (const Json& item : json.at("best")) {
    Stopping::Best best{.round = count_of(item.at(1)), .stale = count_of(item.at(2))};
    if (!item.at(0).is_null()) best.value = item.at(0).get<double>();
    memory.stopping.best.push_back(best);
  }
  for (const Json& item : json.at("unseen")) memory.stopping.unseen.push_back(text_of(item));
  checkpoint.stopped_because = text_of(json.at("stopped-because"));
  checkpoint.next_message = MessageId(count_of(json.at("next-message")));
  return checkpoint;
}

// The arrays of a layout that lie in `bytes` from `end` on; moves `end` behind them.
Result<ArrayRecord> arrays_at(const Layout& layout, const Buffer& bytes, size_t& end) {
  ArrayRecord arrays;
  arrays.reserve(layout.size());
  for (const ArraySpec& spec : layout) {
    const size_t begin = next_in_blob(end);
    const size_t size = spec.byte_size();
    if (begin > bytes.size() || size > bytes.size() - begin) {
      return invalid_argument("the file ends before array \"{}\"", spec.name);
    }
    UMBEL_ASSIGN_OR_RETURN(Array array,
                           Array::make(spec.dtype, spec.shape, bytes.slice(begin, size)));
    arrays.append(spec.name, std::move(array));
    end = begin + size;
  }
  return arrays;
}

// Writes arrays one after another, from multiples of 64 bytes on.
Status write_arrays(AtomicFile& file, const ArrayRecord& arrays, size_t& end) {
  static constexpr std::array<std::byte, kBlobAlignment> kZeros{};
  for (const auto& [name, array] : arrays) {
    const size_t begin = next_in_blob(end);
    UMBEL_RETURN_IF_ERROR(file.write(std::span(kZeros).first(begin - end)));
    UMBEL_RETURN_IF_ERROR(file.write(array.bytes()));
    end = begin + array.byte_size();
  }
  return absl::OkStatus();
}

std::string little_endian(uint64_t value) {
  std::string bytes;
  for (int i = 0; i != 8; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

bool shallow(int depth, Json::parse_event_t, Json&) { return depth <= 8; }

Result<Json> read_header(const Buffer& bytes, size_t& end) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (bytes.size() < kPrefixBytes || !text.starts_with(kMagic)) {
    return invalid_argument("not a checkpoint");
  }
  uint64_t length = 0;
  for (int i = 0; i != 8; ++i) length |= uint64_t{static_cast<uint8_t>(text[8 + i])} << (8 * i);
  if (length > kHeaderBytesMax || length > bytes.size() - kPrefixBytes) {
    return invalid_argument("a header of {} bytes", length);
  }
  Json json = Json::parse(text.substr(kPrefixBytes, length), shallow, /*allow_exceptions=*/false);
  if (json.is_discarded()) return invalid_argument("its header is not JSON");
  end = kPrefixBytes + length;
  return json;
}

Result<std::vector<RoundReport>> read_history(const std::filesystem::path& path, uint64_t bytes) {
  UMBEL_ASSIGN_OR_RETURN(const std::string all, read_file(path, kHistoryBytesMax));
  if (bytes > all.size()) {
    return invalid_argument("{}: {} bytes, expected {}", path.string(), all.size(), bytes);
  }
  std::vector<RoundReport> history;
  for (std::string_view rest = std::string_view(all).substr(0, bytes); !rest.empty();) {
    const size_t end = rest.find('\n');
    if (end == std::string_view::npos) return invalid_argument("{}: it is cut", path.string());
    UMBEL_ASSIGN_OR_RETURN(RoundReport report, parse_report_line(rest.substr(0, end)));
    history.push_back(std::move(report));
    rest.remove_prefix(end + 1);
  }
  return history;
}

}  // namespace

Status require_same(const Checkpoint::Identity& kept, const Checkpoint::Identity& ours) {
  const auto differ = [](std::string_view what, const auto& a, const auto& b) {
    return invalid_argument("it is of {} {}, this run has {}", what, a, b);
  };
  if (kept.strategy != ours.strategy) return differ("strategy", kept.strategy, ours.strategy);
  if (kept.optimizer != ours.optimizer) return differ("optimizer", kept.optimizer, ours.optimizer);
  if (kept.action != ours.action) return differ("action", kept.action, ours.action);
  if (kept.seed != ours.seed) return differ("seed", kept.seed, ours.seed);
  if (kept.population != ours.population)
    return differ("population", kept.population, ours.population);
  if (kept.first_round != ours.first_round)
    return differ("first round", kept.first_round, ours.first_round);
  if (kept.last_round != ours.last_round)
    return differ("last round", kept.last_round, ours.last_round);
  if (kept.exchange != ours.exchange)
    return differ("roles and payload", kept.exchange, ours.exchange);
  return absl::OkStatus();
}

Result<std::optional<CheckpointFile::Kept>> CheckpointFile::read() {
  std::error_code ignored;
  if (!std::filesystem::exists(path_, ignored)) return std::optional<Kept>();
  UMBEL_ASSIGN_OR_RETURN(const Buffer bytes, Buffer::map_file(path_.string()));
  Result<std::optional<Kept>> kept = parse(bytes);
  if (kept.ok()) return kept;
  return data_loss("{}: {}", path_.string(), message_of(kept.status()));
}

Result<std::optional<CheckpointFile::Kept>> CheckpointFile::parse(const Buffer& bytes) {
  size_t end = 0;
  UMBEL_ASSIGN_OR_RETURN(const Json json, read_header(bytes, end));
  try {
    Kept kept{checkpoint_from(json), {}};
    RoundsMemory& memory = kept.checkpoint.memory;
    UMBEL_ASSIGN_OR_RETURN(memory.global, arrays_at(layout_from(json.at("global")), bytes, end));
    UMBEL_ASSIGN_OR_RETURN(memory.optimizer,
                           arrays_at(layout_from(json.at("optimizer-state")), bytes, end));
    if (end != bytes.size()) return invalid_argument("{} bytes too many", bytes.size() - end);
    const uint64_t history_bytes = count_of(json.at("history-bytes"));
    UMBEL_ASSIGN_OR_RETURN(kept.history, read_history(history_path(), history_bytes));
    history_bytes_ = history_bytes;
    return std::optional(std::move(kept));
  } catch (const Error& error) {
    return error.status();
  } catch (const Json::exception& error) {
    return invalid_argument("{}", error.what());
  }
}

Status CheckpointFile::append(std::span<const RoundReport> reports) {
  const std::string path = history_path().string();
  const auto failed = [&path] {
    return unavailable("{}: cannot write: {}", path, std::strerror(errno));
  };
  if (!history_) {
    history_ = Descriptor(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
    if (!history_) return failed();
  }
  std::string lines;
  for (const RoundReport& report : reports) lines += report_line(report) + "\n";
  // What is behind the end that counts is of a round whose checkpoint was not finished.
  if (::ftruncate(history_.get(), static_cast<off_t>(history_bytes_)) != 0) return failed();
  for (size_t done = 0; done != lines.size();) {
    const ssize_t wrote = ::pwrite(history_.get(), lines.data() + done, lines.size() - done,
                                   static_cast<off_t>(history_bytes_ + done));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return failed();
    done += static_cast<size_t>(wrote);
  }
  if (::fdatasync(history_.get()) != 0) return failed();
  history_bytes_ += lines.size();
  return absl::OkStatus();
}

Status CheckpointFile::write(const Checkpoint& checkpoint, std::span<const RoundReport> reports) {
  const uint64_t before = history_bytes_;
  const auto replace = [&]() -> Status {
    UMBEL_RETURN_IF_ERROR(append(reports));
    UMBEL_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path_));
    const std::string header = header_of(checkpoint, history_bytes_);
    UMBEL_RETURN_IF_ERROR(file.write(std::string(kMagic) + little_endian(header.size()) + header));
    size_t end = kPrefixBytes + header.size();
    UMBEL_RETURN_IF_ERROR(write_arrays(file, checkpoint.memory.global, end));
    UMBEL_RETURN_IF_ERROR(write_arrays(file, checkpoint.memory.optimizer, end));
    return file.commit();
  };
  const Status status = replace();
  if (!status.ok()) history_bytes_ = before;
  return status;
}

}  // namespace umbel

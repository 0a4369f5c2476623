#include "umbel/superlink/audit.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "umbel/base/files.h"
#include "umbel/base/sha256.h"
#include "umbel/superlink/log.h"

namespace umbel::superlink {

namespace {

constexpr size_t kAuditBytesMax = size_t{1} << 30;
constexpr size_t kReadBytesMax = size_t{4} << 20;
constexpr std::string_view kHashField = ",\"hash\":\"";

std::string hash_of(std::string_view text) { return sha256_hex(std::as_bytes(std::span(text))); }

std::string quoted(std::string_view text) {
  return nlohmann::json(std::string(text.substr(0, 500)))
      .dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

}  // namespace

Result<uint64_t> AuditLog::verify(std::string_view text, std::string* last_hash) {
  uint64_t lines = 0;
  std::string previous(64, '0');
  while (!text.empty()) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return data_loss("line {} is cut off", lines + 1);
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    const size_t field = line.rfind(kHashField);
    const bool shaped = field != std::string_view::npos &&
                        line.size() == field + kHashField.size() + 64 + 2 && line.ends_with("\"}");
    const std::string_view hash = shaped ? line.substr(field + kHashField.size(), 64) : "";
    const std::string_view body = shaped ? line.substr(0, field) : "";
    if (!shaped || hash != hash_of(body) ||
        !body.starts_with(fmt::format("{{\"seq\":{},", lines + 1)) ||
        !body.ends_with(fmt::format("\"previous\":\"{}\"", previous))) {
      return data_loss(
          "line {} does not follow from the one before: it, or one before, was changed", lines + 1);
    }
    previous = hash;
    ++lines;
  }
  if (last_hash) *last_hash = previous;
  return lines;
}

Result<std::unique_ptr<AuditLog>> AuditLog::open(const std::filesystem::path& file) {
  auto log = std::unique_ptr<AuditLog>(new AuditLog());
  log->path_ = file.string();
  std::string text;
  if (std::filesystem::exists(file)) {
    UMBEL_ASSIGN_OR_RETURN(text, read_file(file, kAuditBytesMax));
  }
  absl::MutexLock lock(&log->mutex_);
  log->file_ = Descriptor(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_APPEND, 0600));
  if (!log->file_) return unavailable("{}: {}", log->path_, std::strerror(errno));
  // Half a line is what a power cut leaves of one that nobody was told about.
  if (const size_t whole = text.rfind('\n') + 1; whole != text.size()) {
    text.resize(whole);
    if (::ftruncate(log->file_.get(), static_cast<off_t>(whole)) != 0) {
      return unavailable("{}: cannot cut off half a line: {}", log->path_, std::strerror(errno));
    }
  }
  const Result<uint64_t> lines = verify(text, &log->last_hash_);
  if (!lines.ok()) return annotate(lines.status(), log->path_);
  log->lines_ = *lines;
  return log;
}

Status AuditLog::add(std::string_view actor, std::string_view action, std::string_view object,
                     std::string_view outcome) {
  absl::MutexLock lock(&mutex_);
  const std::string body = fmt::format(
      "{{\"seq\":{},\"time\":\"{}\",\"actor\":{},\"action\":{},\"object\":{},\"outcome\":{},"
      "\"previous\":\"{}\"",
      lines_ + 1, utc_text(now_milliseconds()), quoted(actor), quoted(action), quoted(object),
      quoted(outcome), last_hash_);
  const std::string hash = hash_of(body);
  const std::string line = fmt::format("{}{}{}\"}}\n", body, kHashField, hash);
  const off_t before = ::lseek(file_.get(), 0, SEEK_END);
  const ssize_t written = ::write(file_.get(), line.data(), line.size());
  if (written != static_cast<ssize_t>(line.size()) || ::fdatasync(file_.get()) != 0) {
    const Status status = resource_exhausted("{}: cannot write: {}", path_, std::strerror(errno));
    if (::ftruncate(file_.get(), before) != 0) log_error("audit: {}", message_of(status));
    return status;
  }
  ++lines_;
  last_hash_ = hash;
  return absl::OkStatus();
}

Status AuditLog::add_refusal(std::string_view actor, std::string_view action,
                             std::string_view object, std::string_view outcome) {
  {
    absl::MutexLock lock(&mutex_);
    const int64_t hour = now_milliseconds() / 3'600'000;
    if (hour != hour_) refusals_ = 0;
    hour_ = hour;
    if (++refusals_ > kRefusalsMax) return absl::OkStatus();
    if (refusals_ == kRefusalsMax) outcome = "refused; further refusals of this hour are not kept";
  }
  return add(actor, action, object, outcome);
}

Result<std::string> AuditLog::read(uint64_t after) const {
  UMBEL_ASSIGN_OR_RETURN(std::string text, read_file(path_, kAuditBytesMax));
  size_t place = 0;
  for (uint64_t line = 0; line != after; ++line) {
    const size_t end = text.find('\n', place);
    if (end == std::string::npos) return std::string();
    place = end + 1;
  }
  text.erase(0, place);
  if (text.size() > kReadBytesMax) text.resize(text.rfind('\n', kReadBytesMax) + 1);
  return text;
}

}  // namespace umbel::superlink

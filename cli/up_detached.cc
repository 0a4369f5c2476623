#include "up_detached.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "process_identity.h"
#include "umbel/base/files.h"
#include "umbel/base/shared_blob.h"

namespace umbel::cli {

namespace fs = std::filesystem;

namespace {

constexpr int kEndMilliseconds = 60'000;

fs::path process_file() { return umbel_home() / "up" / "process"; }

// "" for OK, else the code and the words.
void tell(int descriptor, const Status& status) {
  std::string text =
      status.ok() ? "+" : "-" + std::to_string(static_cast<int>(status.code())) + " ";
  if (!status.ok()) text += message_of(status);
  [[maybe_unused]] const ssize_t told = ::write(descriptor, text.data(), text.size());
}

Result<std::string> hear(int descriptor) {
  std::string text;
  char bytes[4096];
  ssize_t got = 0;
  while ((got = ::read(descriptor, bytes, sizeof bytes)) != 0) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return unavailable("cannot hear of the federation: {}", std::strerror(errno));
    text.append(bytes, static_cast<size_t>(got));
  }
  return text;
}

}  // namespace

Status start_detached(const std::string& log,
                      const std::function<int(const std::function<void(const Status&)>&)>& body) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return unavailable("no pipe: {}", std::strerror(errno));
  Descriptor read_end(ends[0]), write_end(ends[1]);
  std::error_code error;
  fs::create_directories(fs::path(log).parent_path(), error);
  const pid_t child = ::fork();
  if (child < 0) return unavailable("no process: {}", std::strerror(errno));
  if (child == 0) {
    ::setsid();
    const Descriptor nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const Descriptor words(::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    ::dup2(nothing.get(), STDIN_FILENO);
    ::dup2(words.get(), STDOUT_FILENO);
    ::dup2(words.get(), STDERR_FILENO);
    read_end = Descriptor();
    const int code = body([&](const Status& status) {
      tell(write_end.get(), status);
      write_end = Descriptor();
    });
    std::fflush(nullptr);
    ::_exit(code);
  }
  write_end = Descriptor();
  UMBEL_ASSIGN_OR_RETURN(const std::string text, hear(read_end.get()));
  if (text == "+") return absl::OkStatus();
  if (text.empty()) return absl::InternalError(fmt::format("it ended without a word; see {}", log));
  const size_t space = text.find(' ');
  return Status(static_cast<absl::StatusCode>(std::atoi(text.c_str() + 1)), text.substr(space + 1));
}

Status write_up_process() {
  const ProcessIdentity process = this_process();
  const nlohmann::json json = {
      {"pid", process.pid}, {"start-ticks", process.start_ticks}, {"boot", process.boot}};
  return write_file_atomic(process_file(), json.dump());
}

namespace {

// The process that runs the federation, as it wrote it down.
Result<ProcessIdentity> read_up_process() {
  UMBEL_ASSIGN_OR_RETURN(const std::string text, read_file(process_file(), 4096));
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("pid") || !json["pid"].is_number_integer() ||
      !json.contains("start-ticks") || !json["start-ticks"].is_number_integer() ||
      !json.contains("boot") || !json["boot"].is_string()) {
    return data_loss("{}: not as `umbel up` writes it; remove it", process_file().string());
  }
  return ProcessIdentity{json["pid"].get<int64_t>(), json["start-ticks"].get<int64_t>(),
                         json["boot"].get<std::string>()};
}

}  // namespace

Status require_no_up_process() {
  const Result<ProcessIdentity> process = read_up_process();
  if (!process.ok() || !is_alive(*process)) return absl::OkStatus();
  return failed_precondition("a federation is up on this machine already; `umbel down` ends it");
}

Status end_up_process() {
  const auto none = [] {
    return not_found("no federation is up on this machine; `umbel up --nodes N` starts one");
  };
  const Result<ProcessIdentity> process = read_up_process();
  if (process.status().code() == absl::StatusCode::kDataLoss) return process.status();
  if (!process.ok()) return none();
  const Descriptor handle(open_process(*process));
  if (!handle) return none();
  if (::syscall(SYS_pidfd_send_signal, handle.get(), SIGTERM, nullptr, 0) != 0) return none();
  pollfd ended = {handle.get(), POLLIN, 0};
  if (::poll(&ended, 1, kEndMilliseconds) == 1) return absl::OkStatus();
  return absl::DeadlineExceededError(
      fmt::format("process {} was asked to end and is still there", process->pid));
}

}  // namespace umbel::cli

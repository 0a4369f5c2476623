#include "process_identity.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>

#include "umbel/base/files.h"

namespace umbel::cli {

namespace {

constexpr size_t kProcFileBytesMax = 1 << 16;

// Field 22 of /proc/PID/stat; the name in field 2 may hold spaces and parentheses.  A process that
// has ended but was not waited for is as gone as one without an entry.
int64_t start_ticks(int64_t pid) {
  const auto stat = read_file(fmt::format("/proc/{}/stat", pid), kProcFileBytesMax);
  if (!stat.ok()) return 0;
  size_t at = stat->rfind(')');
  if (at == std::string::npos || at + 2 >= stat->size() || (*stat)[at + 2] == 'Z') return 0;
  for (int field = 2; field < 22; ++field) {
    at = stat->find(' ', at + 1);
    if (at == std::string::npos) return 0;
  }
  return std::strtoll(stat->c_str() + at, nullptr, 10);
}

std::string boot_id() {
  const auto id = read_file("/proc/sys/kernel/random/boot_id", kProcFileBytesMax);
  return id.ok() ? id->substr(0, id->find('\n')) : "";
}

}  // namespace

ProcessIdentity this_process() { return {getpid(), start_ticks(getpid()), boot_id()}; }

bool is_alive(const ProcessIdentity& process) {
  return process.pid > 0 && process.boot == boot_id() &&
         start_ticks(process.pid) == process.start_ticks && process.start_ticks != 0;
}

int open_process(const ProcessIdentity& process) {
  if (process.pid <= 0) return -1;
  const auto descriptor =
      static_cast<int>(syscall(SYS_pidfd_open, static_cast<pid_t>(process.pid), 0));
  if (descriptor < 0) return -1;
  if (is_alive(process)) return descriptor;  // asked after the descriptor holds the process
  close(descriptor);
  return -1;
}

}  // namespace umbel::cli

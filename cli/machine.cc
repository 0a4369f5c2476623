#include "machine.h"

#include <sys/utsname.h>
#include <unistd.h>

#include "text_format.h"
#include "umbel/base/files.h"
#include "umbel/base/parallel.h"

namespace umbel::cli {

namespace {

constexpr size_t kProcFileBytesMax = 4 << 20;

std::string processor_name() {
  const auto text = read_file("/proc/cpuinfo", kProcFileBytesMax);
  if (!text.ok()) return "unknown processor";
  const size_t line = text->find("model name");
  const size_t start = line == std::string::npos ? line : text->find(": ", line);
  if (start == std::string::npos) return "unknown processor";
  return text->substr(start + 2, text->find('\n', start) - start - 2);
}

}  // namespace

std::string describe_machine() {
  utsname system{};
  uname(&system);
  const int64_t memory = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  return fmt::format("{}, {} processors, {} memory, {} {} ({})", processor_name(),
                     available_processors(), bytes_text(memory), system.sysname, system.release,
                     system.nodename);
}

}  // namespace umbel::cli

#include "output.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "umbel/base/text.h"

namespace umbel::cli {

namespace {

// What became of standard output; as the stream itself, one for the whole program.
bool output_lost = false;

void put(FILE* stream, std::string_view text) {
  errno = 0;
  const bool wrote = std::fwrite(text.data(), 1, text.size(), stream) == text.size();
  const bool flushed = std::fflush(stream) == 0;
  if (!(wrote && flushed) && stream == stdout && errno != EPIPE) output_lost = true;
}

}  // namespace

void Output::say(std::string_view text) const { put(stream(), std::string(text) + "\n"); }

void Output::result(const Json& object) const {
  if (format_ != Format::kJson) return;
  put(stdout, text_of(object) + "\n");
}

int Output::fail(std::string_view message, int exit_code) const {
  put(stderr, fmt::format("umbel: {}\n", message));
  result({{"error", message}, {"exit-code", exit_code}});
  return exit_code;
}

bool flush_output() {
  put(stdout, "");
  return !output_lost;
}

bool is_terminal(FILE* stream) { return isatty(fileno(stream)) == 1; }

int terminal_columns(FILE* stream) {
  winsize size{};
  if (ioctl(fileno(stream), TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return 80;
  return size.ws_col;
}

bool locale_is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == 0) continue;
    const std::string_view locale = value;
    return locale.find("UTF-8") != std::string_view::npos ||
           locale.find("utf8") != std::string_view::npos;
  }
  return false;
}

}  // namespace umbel::cli

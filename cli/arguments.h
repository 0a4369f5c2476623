#pragma once

#include <string>
#include <variant>

#include "exit_code.h"
#include "options.h"

namespace umbel::cli {

// The arguments ended the program before any command: text that was asked for (--help, --version;
// exit code 0) or what is wrong with them (exit code 4).
struct EndedByArguments {
  Format format = Format::kText;
  ExitCode exit_code = kDone;
  std::string text;
};

// The one place that knows the argument parser.  Values are checked for kind and range here,
// against the file system and the history by the commands.
std::variant<Invocation, EndedByArguments> parse_arguments(int count, const char* const* arguments);

}  // namespace umbel::cli

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace umbel::cli {

// What the arguments of each command say, as plain values.  An empty text is "not given".
enum class Format { kText, kJson };

struct NewOptions {
  std::string name, template_name, directory, publisher;
};
struct BuildOptions {
  std::string app = ".";
};
struct RunOptions {
  std::string app = ".", link;
  std::vector<std::string> run_config;
  std::optional<int64_t> nodes, seed, threads;
  bool stream = false, build = true, report = true, curve = false;
};
struct LsOptions {
  std::string link, status, app;
  int64_t limit = 20;  // 0 is all
};
struct RoundsOptions {
  int64_t run = 0;
  std::string link;
  bool csv = false;
};
struct LogOptions {
  int64_t run = 0;
  std::string link, side = "all";
  bool follow = false;
  int64_t limit = 0;  // 0 is all that is kept
};
struct StopOptions {
  int64_t run = 0;
  std::string link;
};
struct PullOptions {
  int64_t run = 0;
  std::string link, to;
  bool force = false;
};
struct ReportOptions {
  int64_t run = 0;
  std::string link, output;
};

using CommandOptions = std::variant<NewOptions, BuildOptions, RunOptions, LsOptions, RoundsOptions,
                                    LogOptions, StopOptions, PullOptions, ReportOptions>;

struct Invocation {
  Format format = Format::kText;
  CommandOptions command;
};

}  // namespace umbel::cli

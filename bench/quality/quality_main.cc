#include <fmt/core.h>

#include <charconv>
#include <cstdio>
#include <string_view>

#include "bench/quality/experiment.h"

// bench_quality [NAME=VALUE ...]   one experiment, by the settings of experiment.h; prints its
// curve as one line of JSON.  bench/quality/run calls it for each cell of its tables.

namespace {

using namespace umbel;

// `text` as a value of the same kind as the setting's default.
ConfigValue parsed(std::string_view name, const ConfigValue& value, std::string_view text) {
  const auto number = [&]<class T>(T result) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), result);
    if (error != std::errc() || end != text.data() + text.size()) {
      throw Error(invalid_argument("{}={}: expected a number", name, text));
    }
    return ConfigValue(result);
  };
  if (std::holds_alternative<int64_t>(value)) return number(int64_t{0});
  if (std::holds_alternative<double>(value)) return number(0.0);
  if (std::holds_alternative<bool>(value)) {
    if (text == "true" || text == "false") return ConfigValue(text == "true");
    throw Error(invalid_argument("{}={}: expected true or false", name, text));
  }
  return ConfigValue(std::string(text));
}

RunConfig settings_of(int argc, char** argv) {
  ConfigRecord settings = bench::default_settings();
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const size_t equals = argument.find('=');
    if (equals == std::string_view::npos) {
      throw Error(invalid_argument("{}: expected NAME=VALUE", argument));
    }
    const std::string_view name = argument.substr(0, equals);
    settings.set(name, parsed(name, settings.at(name), argument.substr(equals + 1)));
  }
  return RunConfig(std::move(settings), {});
}

void print(const bench::Outcome& outcome) {
  std::string points;
  for (const auto& [round, accuracy, loss] : outcome.curve) {
    points += fmt::format("{}[{},{:.4f},{:.6g}]", points.empty() ? "" : ",", round, accuracy, loss);
  }
  fmt::print("{{\"curve\":[{}],\"model-sha256\":\"{}\"}}\n", points, outcome.model_sha256);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    print(bench::run_experiment(settings_of(argc, argv)));
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "bench_quality: %s\n", error.what());
    return 4;
  }
}

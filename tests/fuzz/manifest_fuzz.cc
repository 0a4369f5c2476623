#include "manifest.h"

#include <string_view>

#include "umbel/base/check.h"

// A text that passes as a manifest has a good name and settings with a value and a line; any part
// of it as a --run-config argument changes settings to others of the same kind, or none.  The same
// text is read as a pyproject.toml with [tool.flwr.app], too.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace umbel;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<cli::Manifest> manifest = cli::parse_manifest(text);
  std::vector<cli::Setting> settings = {{"rounds", ConfigValue(3), "umbel.toml:1"},
                                        {"rate", ConfigValue(0.5), "umbel.toml:2"},
                                        {"title", ConfigValue("x"), "umbel.toml:3"},
                                        {"sizes", ConfigValue(std::vector<int64_t>{1}), "x"}};
  if (manifest.ok()) {
    UMBEL_CHECK(cli::check_app_name("name", manifest->name).ok());
    UMBEL_CHECK(manifest->nodes >= 1 && manifest->seed >= 0 && manifest->threads >= 0);
    settings.insert(settings.end(), manifest->config.begin(), manifest->config.end());
  }
  const Result<cli::Manifest> flower = cli::parse_flower_manifest(text, "pyproject.toml");
  if (flower.ok()) {
    UMBEL_CHECK(cli::is_flower_manifest(text));
    UMBEL_CHECK(cli::check_app_name("name", flower->name).ok());
    UMBEL_CHECK(flower->nodes >= 1 && flower->python.flower);
    settings.insert(settings.end(), flower->config.begin(), flower->config.end());
  }
  const std::vector<cli::Setting> before = settings;
  const Status status = cli::apply_run_config(text, settings);
  UMBEL_CHECK(settings.size() == before.size());
  for (size_t i = 0; i != settings.size(); ++i) {
    UMBEL_CHECK(settings[i].value.index() == before[i].value.index());
    UMBEL_CHECK(status.ok() || settings[i].value == before[i].value);
  }
  return 0;
}

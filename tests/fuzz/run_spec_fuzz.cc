#include "umbel/main/run_spec.h"

#include <nlohmann/json.hpp>
#include <string>

#include "umbel/base/check.h"

namespace {

using namespace umbel;
using Json = nlohmann::json;

Json to_json(const ConfigValue& value) {
  return std::visit(
      [](const auto& v) -> Json {
        if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::vector<std::byte>>) {
          UMBEL_CHECK(false);  // a spec has no bytes
          return nullptr;
        } else {
          return v;
        }
      },
      value.base());
}

std::string format_spec(const RunSpec& spec) {
  Json config = Json::array();
  for (const auto& [key, value] : spec.run.config.record()) {
    config.push_back(
        {{"key", key}, {"value", to_json(value)}, {"origin", spec.run.config.origin(key)}});
  }
  return Json{{"version", 1},
              {"run-id", spec.run.id.value()},
              {"seed", spec.run.seed},
              {"nodes", spec.run.nodes},
              {"threads", spec.threads},
              {"output", spec.output},
              {"run-config", config}}
      .dump();
}

}  // namespace

// What parses must come back the same from the text that says it.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const Result<RunSpec> spec = parse_run_spec(text, "input");
  if (!spec.ok()) return 0;
  const Result<RunSpec> again = parse_run_spec(format_spec(*spec), "again");
  UMBEL_CHECK(again.ok());
  UMBEL_CHECK(again->run.id == spec->run.id && again->run.seed == spec->run.seed);
  UMBEL_CHECK(again->run.nodes == spec->run.nodes && again->threads == spec->threads);
  UMBEL_CHECK(again->output == spec->output);
  UMBEL_CHECK(again->run.config.record() == spec->run.config.record());
  return 0;
}

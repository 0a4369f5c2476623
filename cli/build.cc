#include "build_app.h"

#include <nlohmann/json.hpp>

#include "commands.h"

namespace umbel::cli {

int run_build(const BuildOptions& options, const Output& output) {
  const Result<Manifest> manifest = read_manifest(options.app);
  if (!manifest.ok()) return output.fail(manifest.status());
  SignalWatch signals;
  const auto app = std::filesystem::absolute(options.app).lexically_normal();
  const auto program = build_app(app, *manifest, output, signals);
  if (signals.first() != 0) return output.fail("stopped", kSignalBase + signals.first());
  if (!program.ok()) return output.fail(program.status());
  if (output.format() == Format::kText) output.say(program->string());
  output.result({{"app", manifest->name}, {"program", program->string()}});
  return kDone;
}

}  // namespace umbel::cli

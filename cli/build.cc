#include <nlohmann/json.hpp>

#include "build_app.h"
#include "commands.h"
#include "pack_app.h"
#include "text_format.h"

namespace umbel::cli {

int run_build(const BuildOptions& options, const Output& output) {
  const Result<Manifest> manifest = read_manifest(options.app);
  if (!manifest.ok()) return output.fail(manifest.status());
  SignalWatch signals;
  const auto app = std::filesystem::absolute(options.app).lexically_normal();
  const Result<std::filesystem::path> program = manifest->has_program()
                                                    ? build_app(app, *manifest, output, signals)
                                                    : std::filesystem::path();
  if (signals.first() != 0) return output.fail("stopped", kSignalBase + signals.first());
  if (!program.ok()) return output.fail(program.status());
  if (output.format() == Format::kText && manifest->has_program()) output.say(program->string());
  const auto packed = pack_app(app, *manifest, *program);
  if (!packed.ok()) return output.fail(packed.status());
  const auto bytes = static_cast<int64_t>(packed->archive.size());
  if (output.format() == Format::kText) {
    output.say(packed->path.string());
    output.say(fmt::format("  {}, sha256 {}\n  publisher's key {}", bytes_text(bytes),
                           packed->sha256, packed->publisher.text()));
    if (const std::string told = data_like_text(*packed); !told.empty()) output.say(told);
  }
  output.result({{"app", manifest->name},
                 {"program", manifest->has_program() ? Json(program->string()) : Json(nullptr)},
                 {"bundle", packed->path.string()},
                 {"bytes", bytes},
                 {"sha256", packed->sha256},
                 {"publisher-key", packed->publisher.text()}});
  return kDone;
}

}  // namespace umbel::cli

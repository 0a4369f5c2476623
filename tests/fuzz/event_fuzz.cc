#include "event.h"

#include <string_view>

#include "json_records.h"
#include "umbel/base/check.h"

// What a hostile app process can say is refused, or is within the bounds that the rest relies on;
// metrics come back the same from what history keeps of them.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace umbel;
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  const Result<cli::Event> event = cli::parse_event(line);
  if (!event.ok()) return 0;
  if (const auto* artifact = std::get_if<cli::ArtifactEvent>(&*event)) {
    UMBEL_CHECK(artifact->name.find('/') == std::string::npos);
    UMBEL_CHECK(artifact->name != ".." && artifact->sha256.size() == 64);
  }
  if (const auto* round = std::get_if<cli::RoundEvent>(&*event)) {
    UMBEL_CHECK(round->round >= 0 && round->clients >= 0 && round->bytes_up >= 0);
    const std::string kept = cli::metrics_text(round->train);
    UMBEL_CHECK(cli::metrics_text(cli::metrics_from_text(kept)) == kept);
  }
  return 0;
}

#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "umbel/app/runtime.h"
#include "umbel/base/shared_blob.h"
#include "umbel/strategy/rounds.h"

namespace umbel {

// What run_rounds() keeps of a series of rounds after each of them, so that the same program,
// started again after a crash, goes on from the last finished one.
struct Checkpoint {
  // Whose it is: a series that differs in any of these cannot go on from it.
  struct Identity {
    std::string strategy, optimizer, action;
    uint64_t seed = 0, population = 0, first_round = 0, last_round = 0;
    std::string exchange;  // Exchange::text()
    friend bool operator==(const Identity&, const Identity&) = default;
  };
  Identity identity;
  RoundsMemory memory;
  std::string stopped_because;  // if the series is over
  MessageId next_message;       // Grid::next_message()
};

// INVALID_ARGUMENT that names what differs.
Status require_same(const Checkpoint::Identity& kept, const Checkpoint::Identity& ours);

// A checkpoint's two files: under `path` a header in JSON and the arrays, replaced as a whole after
// each round (AtomicFile); under `path`.history a line for each report, appended and synced before
// the first file says how far it is good.  One process at a time.
class CheckpointFile {
 public:
  explicit CheckpointFile(std::filesystem::path path) : path_(std::move(path)) {}

  struct Kept {
    Checkpoint checkpoint;
    std::vector<RoundReport> history;
  };
  // What an earlier process wrote; nothing if there is none.  DATA_LOSS that names the file and
  // what is wrong for a file that write() cannot have left.  Arrays are mapped, not copied.
  Result<std::optional<Kept>> read();
  // Adds `reports` to the history and replaces the rest.  On failure what was kept before stays.
  Status write(const Checkpoint& checkpoint, std::span<const RoundReport> reports);

 private:
  std::filesystem::path history_path() const { return path_.string() + ".history"; }
  Result<std::optional<Kept>> parse(const Buffer& bytes);
  Status append(std::span<const RoundReport> reports);

  std::filesystem::path path_;
  Descriptor history_;
  uint64_t history_bytes_ = 0;  // that count
};

}  // namespace umbel

#pragma once

#include "umbel/bundle/bundle.h"

namespace umbel::bundle {

// Who gets the files of an archive as they are read.
class FileSink {
 public:
  virtual ~FileSink() = default;
  virtual Status begin(const Bundle::File& file) = 0;
  virtual Status take(std::span<const std::byte> bytes) = 0;
  virtual Status end() = 0;  // the file's size and hash were right
};

// Reads all of an archive and holds every byte of it to docs/bundle.md; the files go to `sink` in
// the list's order.  Errors as verify(), and those of the sink.  Memory: the list and 8 MiB.
Result<Bundle> walk(std::span<const std::byte> archive, FileSink& sink);

}  // namespace umbel::bundle

#include "umbel/bundle/walk.h"

#include <algorithm>

#include "umbel/base/sha256.h"
#include "umbel/bundle/entry.h"
#include "umbel/bundle/list.h"
#include "umbel/bundle/zstd.h"

namespace umbel::bundle {

namespace {

constexpr uint64_t kRatioFree = 1 << 20;  // so much may any archive unpack to

class Walk {
 public:
  Walk(std::span<const std::byte> archive, FileSink& sink)
      : stream_(archive), packed_(archive.size()), sink_(sink) {}

  Status run(Bundle& bundle) {
    std::string list, signature;
    UMBEL_RETURN_IF_ERROR(read_text(kListName, kListBytesMax, list));
    UMBEL_RETURN_IF_ERROR(read_text(kSignatureName, kSignatureBytesMax, signature));
    UMBEL_ASSIGN_OR_RETURN(bundle.signer, check_signature(signature, list));
    UMBEL_ASSIGN_OR_RETURN(List parsed, parse_list(list));
    bundle.description = std::move(parsed.description);
    bundle.files = std::move(parsed.files);
    for (const Bundle::File& file : bundle.files) UMBEL_RETURN_IF_ERROR(read_file(file));
    UMBEL_RETURN_IF_ERROR(read_zeros(2 * kBlockBytes, "the archive's end"));
    UMBEL_ASSIGN_OR_RETURN(const auto more, stream_.next(1));
    if (more.empty()) return absl::OkStatus();
    return invalid_argument("the archive: an entry that its list does not have, or bytes after it");
  }

 private:
  // Hands exactly `bytes` bytes to `take`, in pieces.
  template <class Take>
  Status read(uint64_t bytes, std::string_view what, Take&& take) {
    while (bytes != 0) {
      const auto most = static_cast<size_t>(std::min<uint64_t>(bytes, 1 << 20));
      UMBEL_ASSIGN_OR_RETURN(const auto piece, stream_.next(most));
      if (piece.empty()) return invalid_argument("{}: cut off", what);
      unpacked_ += piece.size();
      if (unpacked_ > kRatioFree && unpacked_ / kRatioMax > packed_) {
        return resource_exhausted("{}: unpacks to more than {} times its size", what, kRatioMax);
      }
      bytes -= piece.size();
      UMBEL_RETURN_IF_ERROR(take(piece));
    }
    return absl::OkStatus();
  }
  Status read_block(Block& block, std::string_view what) {
    size_t at = 0;
    return read(block.size(), what, [&](std::span<const std::byte> piece) {
      std::copy(piece.begin(), piece.end(), block.begin() + static_cast<ptrdiff_t>(at));
      at += piece.size();
      return absl::OkStatus();
    });
  }
  Status read_zeros(size_t count, std::string_view what) {
    return read(count, what, [&](std::span<const std::byte> piece) -> Status {
      const bool zeros = std::all_of(piece.begin(), piece.end(),
                                     [](std::byte byte) { return byte == std::byte{}; });
      if (zeros) return absl::OkStatus();
      return invalid_argument("{}: something else than zeros follows", what);
    });
  }
  // One of the first two entries, whose size only its header says.
  Status read_text(const char* name, size_t bytes_max, std::string& text) {
    const std::string what = fmt::format("entry \"{}\"", name);
    Block block;
    UMBEL_RETURN_IF_ERROR(read_block(block, what));
    UMBEL_ASSIGN_OR_RETURN(const uint64_t bytes, bytes_of_header(block, name));
    if (bytes > bytes_max) {
      return resource_exhausted("{}: {} bytes, the limit is {}", what, bytes, bytes_max);
    }
    UMBEL_RETURN_IF_ERROR(read(bytes, what, [&](std::span<const std::byte> piece) {
      text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
      return absl::OkStatus();
    }));
    return read_zeros(padding_of(bytes), what);
  }
  Status read_file(const Bundle::File& file) {
    const std::string what = fmt::format("entry \"{}\"", file.path);
    Block block;
    UMBEL_RETURN_IF_ERROR(read_block(block, what));
    UMBEL_RETURN_IF_ERROR(require_header(block, {file.path, file.bytes, file.executable}));
    UMBEL_RETURN_IF_ERROR(sink_.begin(file));
    Sha256 hash;
    UMBEL_RETURN_IF_ERROR(read(file.bytes, what, [&](std::span<const std::byte> piece) {
      hash.add(piece);
      return sink_.take(piece);
    }));
    if (const std::string digits = hash.hex(); digits != file.sha256) {
      return invalid_argument("{}: its SHA-256 is {}, the list has {}", what, digits, file.sha256);
    }
    UMBEL_RETURN_IF_ERROR(sink_.end());
    return read_zeros(padding_of(file.bytes), what);
  }

  Decompressor stream_;
  uint64_t packed_, unpacked_ = 0;
  FileSink& sink_;
};

class Nobody final : public FileSink {
  Status begin(const Bundle::File&) override { return absl::OkStatus(); }
  Status take(std::span<const std::byte>) override { return absl::OkStatus(); }
  Status end() override { return absl::OkStatus(); }
};

}  // namespace

Result<Bundle> walk(std::span<const std::byte> archive, FileSink& sink) {
  if (archive.size() > kArchiveBytesMax) {
    return resource_exhausted("the archive: {} bytes, the limit is {}", archive.size(),
                              kArchiveBytesMax);
  }
  UMBEL_RETURN_IF_ERROR(require_one_frame(archive));
  Bundle bundle;
  UMBEL_RETURN_IF_ERROR(Walk(archive, sink).run(bundle));
  bundle.sha256 = sha256_hex(archive);
  return bundle;
}

Result<Bundle> verify(std::span<const std::byte> archive) {
  Nobody nobody;
  return walk(archive, nobody);
}

}  // namespace umbel::bundle

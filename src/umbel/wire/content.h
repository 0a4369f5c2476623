#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "umbel/record/layout.h"
#include "umbel/record/message.h"

namespace umbel::wire {

// What a peer may choose, held before anything is allocated for it.
inline constexpr size_t kFrameBytesMax = size_t{16} << 20;  // a message without its blob
inline constexpr size_t kRecordsMax = 1'000;                // of a content
inline constexpr size_t kArraysMax = 100'000;
inline constexpr size_t kValuesMax = 100'000;
inline constexpr size_t kNameBytesMax = 1'024;
inline constexpr size_t kReasonBytesMax = 4'096;   // of an error; longer ones are cut when sent
inline constexpr size_t kLineBytesMax = 64 << 10;  // of a log; as well
inline constexpr size_t kRankMax = 64;
inline constexpr uint64_t kBlobBytesMax = uint64_t{1} << 46;
inline constexpr size_t kChunkBytes = size_t{1} << 20;  // of a blob
inline constexpr size_t kInlineBytesMax = 256 << 10;    // a blob that travels in its message

// A content whose arrays' elements lie elsewhere, in a blob: all arrays of all records one after
// another as record/layout.h lays them out.
struct ContentHead {
  using Part = std::variant<Layout, MetricRecord, ConfigRecord>;
  std::vector<std::pair<std::string, Part>> records;

  Layout all_arrays() const;  // of all records, in the order of the blob
  uint64_t blob_size() const;
  const Layout* first_layout() const;  // of the first array record, or nullptr
  const MetricRecord* first_metrics() const;
  // Where the first array record lies in the blob.
  std::pair<uint64_t, uint64_t> first_layout_range() const;
  friend bool operator==(const ContentHead&, const ContentHead&) = default;
};
ContentHead head_of(const RecordDict& content);
// OK unless a peer would refuse the content for the limits above, or for a name or text that is not
// UTF-8: INVALID_ARGUMENT that names the record and the entry.
Status require_sendable(const RecordDict& content);

// Arrays become slices of the blob: no copy.  INVALID_ARGUMENT if the blob has another size.
Result<RecordDict> assemble(const ContentHead& head, const Buffer& blob);
// Hands the blob's bytes, padding included, to `take` in order.
using Take = std::function<Status(std::span<const std::byte>)>;
Status for_each_piece(const RecordDict& content, const Take& take);
Buffer blob_of(const RecordDict& content);  // copied together

// Where a content's blob is.
struct BlobRef {
  uint64_t size = 0;
  uint64_t id = 0;              // the hub's number for it, 0 if it has none
  Buffer here;                  // the bytes themselves, if they travel in the message
  std::vector<uint32_t> crc32;  // of each chunk of kChunkBytes, if they do not
  bool is_here() const { return here.size() == size; }
  friend bool operator==(const BlobRef&, const BlobRef&) = default;
};
// CRC-32 as zlib has it (ISO 3309), at the speed of memory.
uint32_t crc32(std::span<const std::byte> bytes, uint32_t running = 0);  // goes on from `running`
std::vector<uint32_t> chunk_crcs(std::span<const std::byte> blob);

// A message on its way: its blob apart.
struct Envelope {
  Metadata metadata;
  ContentHead head;
  BlobRef blob;
  std::optional<MessageError> error;  // instead of a content
  friend bool operator==(const Envelope&, const Envelope&) = default;
};
// With the blob inside if it has at most `inline_max` bytes, otherwise BlobRef::size alone is set.
Envelope envelope_of(const Message& message, size_t inline_max = kInlineBytesMax);
// The message, its blob given.  INVALID_ARGUMENT if it does not fit.
Result<Message> to_message(const Envelope& envelope, const Buffer& blob);

}  // namespace umbel::wire

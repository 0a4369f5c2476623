#include "umbel/wire/content.h"

#include <libdeflate.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "umbel/base/check.h"
#include "umbel/base/text.h"
#include "umbel/wire/utf8.h"

namespace umbel::wire {

namespace {

// Calls `see` with each array record's place among the records and its layout.
template <class See>
void for_each_layout(const ContentHead& head, const See& see) {
  for (size_t i = 0; i != head.records.size(); ++i) {
    if (const auto* layout = std::get_if<Layout>(&head.records[i].second)) see(i, *layout);
  }
}

// Where arrays end that lie one after another from `end` on.
uint64_t end_after(uint64_t end, const Layout& layout) {
  for (const ArraySpec& spec : layout) end = next_in_blob(end) + spec.byte_size();
  return end;
}

Status require_name(std::string_view name) {
  if (name.size() > kNameBytesMax) {
    return invalid_argument("a name of {} bytes, the limit is {}", name.size(), kNameBytesMax);
  }
  if (is_utf8(name)) return absl::OkStatus();
  return invalid_argument("the name \"{}\" is not UTF-8", escaped(as_utf8(name, kNameBytesMax)));
}

Status require_texts(const ConfigValue& value) {
  const auto* text = std::get_if<std::string>(&value.base());
  const auto* texts = std::get_if<std::vector<std::string>>(&value.base());
  if ((!text || is_utf8(*text)) && (!texts || std::ranges::all_of(*texts, is_utf8))) {
    return absl::OkStatus();
  }
  return invalid_argument("the text is not UTF-8: send it as bytes");
}

struct Counts {
  size_t arrays = 0, values = 0;
  uint64_t bytes = 0;
};

Status require_sendable(const ArrayRecord& arrays, Counts& counts) {
  if ((counts.arrays += arrays.size()) > kArraysMax) {
    return invalid_argument("more than {} arrays", kArraysMax);
  }
  for (const auto& [name, array] : arrays) {
    UMBEL_RETURN_IF_ERROR(require_name(name));
    if (array.shape().size() > kRankMax) {
      return invalid_argument("array \"{}\": {} dimensions, the limit is {}", name,
                              array.shape().size(), kRankMax);
    }
  }
  return absl::OkStatus();
}

template <class R>
Status require_sendable(const R& record, Counts& counts) {
  if ((counts.values += record.size()) > kValuesMax) {
    return invalid_argument("more than {} values", kValuesMax);
  }
  for (const auto& [name, value] : record) {
    UMBEL_RETURN_IF_ERROR(require_name(name));
    if constexpr (std::is_same_v<R, ConfigRecord>) {
      UMBEL_RETURN_IF_ERROR(annotate(require_texts(value), fmt::format("\"{}\"", name)));
    }
  }
  return absl::OkStatus();
}

}  // namespace

Layout ContentHead::all_arrays() const {
  Layout all;
  for_each_layout(*this, [&](size_t, const Layout& layout) {
    all.insert(all.end(), layout.begin(), layout.end());
  });
  return all;
}

uint64_t ContentHead::blob_size() const {
  uint64_t end = 0;
  for_each_layout(*this, [&](size_t, const Layout& layout) { end = end_after(end, layout); });
  return end;
}

const Layout* ContentHead::first_layout() const {
  for (const auto& [name, part] : records) {
    if (const auto* layout = std::get_if<Layout>(&part)) return layout;
  }
  return nullptr;
}

const MetricRecord* ContentHead::first_metrics() const {
  for (const auto& [name, part] : records) {
    if (const auto* metrics = std::get_if<MetricRecord>(&part)) return metrics;
  }
  return nullptr;
}

std::pair<uint64_t, uint64_t> ContentHead::first_layout_range() const {
  const Layout* first = first_layout();
  return {0, first ? end_after(0, *first) : 0};
}

ContentHead head_of(const RecordDict& content) {
  ContentHead head;
  head.records.reserve(content.size());
  for (const auto& [name, record] : content) {
    if (const auto* arrays = std::get_if<ArrayRecord>(&record)) {
      head.records.emplace_back(name, layout_of(*arrays));
    } else if (const auto* metrics = std::get_if<MetricRecord>(&record)) {
      head.records.emplace_back(name, *metrics);
    } else {
      head.records.emplace_back(name, std::get<ConfigRecord>(record));
    }
  }
  return head;
}

Status require_sendable(const RecordDict& content) {
  if (content.size() > kRecordsMax) {
    return invalid_argument("{} records, the limit is {}", content.size(), kRecordsMax);
  }
  Counts counts;
  for (const auto& [name, record] : content) {
    UMBEL_RETURN_IF_ERROR(require_name(name));
    const Status status =
        std::visit([&](const auto& r) { return require_sendable(r, counts); }, record);
    UMBEL_RETURN_IF_ERROR(annotate(status, fmt::format("record \"{}\"", name)));
  }
  return absl::OkStatus();
}

Result<RecordDict> assemble(const ContentHead& head, const Buffer& blob) {
  if (head.blob_size() != blob.size()) {
    return invalid_argument("a blob of {} bytes, its arrays take {}", blob.size(),
                            head.blob_size());
  }
  RecordDict content;
  content.reserve(head.records.size());
  uint64_t end = 0;
  for (const auto& [name, part] : head.records) {
    if (const auto* layout = std::get_if<Layout>(&part)) {
      ArrayRecord arrays;
      arrays.reserve(layout->size());
      for (const ArraySpec& spec : *layout) {
        const uint64_t begin = next_in_blob(end);
        end = begin + spec.byte_size();
        UMBEL_ASSIGN_OR_RETURN(Array array,
                               Array::make(spec.dtype, spec.shape, blob.slice(begin, end - begin)));
        arrays.append(spec.name, std::move(array));
      }
      content.append(name, std::move(arrays));
    } else if (const auto* metrics = std::get_if<MetricRecord>(&part)) {
      content.append(name, *metrics);
    } else {
      content.append(name, std::get<ConfigRecord>(part));
    }
  }
  return content;
}

Status for_each_piece(const RecordDict& content, const Take& take) {
  static constexpr std::array<std::byte, kBlobAlignment> kZeros{};
  uint64_t end = 0;
  for (const auto& [name, record] : content) {
    const auto* arrays = std::get_if<ArrayRecord>(&record);
    if (!arrays) continue;
    for (const auto& [array_name, array] : *arrays) {
      const uint64_t begin = next_in_blob(end);
      if (begin != end) UMBEL_RETURN_IF_ERROR(take(std::span(kZeros).first(begin - end)));
      if (array.byte_size() > 0) UMBEL_RETURN_IF_ERROR(take(array.bytes()));
      end = begin + array.byte_size();
    }
  }
  return absl::OkStatus();
}

Buffer blob_of(const RecordDict& content) {
  Buffer blob = Buffer::allocate(head_of(content).blob_size());
  const std::span<std::byte> out = blob.mutable_bytes();
  size_t at = 0;
  const Status status = for_each_piece(content, [&](std::span<const std::byte> piece) {
    std::memcpy(out.data() + at, piece.data(), piece.size());
    at += piece.size();
    return absl::OkStatus();
  });
  UMBEL_CHECK(status.ok() && at == out.size());
  return blob;
}

uint32_t crc32(std::span<const std::byte> bytes, uint32_t running) {
  return libdeflate_crc32(running, bytes.data(), bytes.size());
}

std::vector<uint32_t> chunk_crcs(std::span<const std::byte> blob) {
  std::vector<uint32_t> crcs;
  crcs.reserve((blob.size() + kChunkBytes - 1) / kChunkBytes);
  for (; !blob.empty(); blob = blob.subspan(std::min(blob.size(), kChunkBytes))) {
    crcs.push_back(crc32(blob.first(std::min(blob.size(), kChunkBytes))));
  }
  return crcs;
}

Envelope envelope_of(const Message& message, size_t inline_max) {
  Envelope envelope;
  envelope.metadata = message.metadata();
  if (message.has_error()) {
    envelope.error = message.error();
  } else if (message.shared_content()) {
    envelope.head = head_of(*message.shared_content());
    envelope.blob.size = envelope.head.blob_size();
    if (envelope.blob.size <= inline_max) envelope.blob.here = blob_of(*message.shared_content());
  }
  return envelope;
}

Result<Message> to_message(const Envelope& envelope, const Buffer& blob) {
  if (envelope.error) return Message(envelope.metadata, *envelope.error);
  UMBEL_ASSIGN_OR_RETURN(RecordDict content, assemble(envelope.head, blob));
  return Message(envelope.metadata, std::move(content));
}

}  // namespace umbel::wire

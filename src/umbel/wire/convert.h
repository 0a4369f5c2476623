#pragma once

#include <span>
#include <string>
#include <string_view>
#include <unordered_set>

#include "umbel/wire/fleet.h"
#include "umbel/wire/scan.h"

// Our values to protobuf's messages and back, for fleet.cc and runtime.cc.  parse_...() functions
// say INVALID_ARGUMENT for whatever is not as docs/protocol.md has it.
namespace umbel::v1 {
class ArrayHeader;
class Arrays;
class BundleRef;
class Content;
class Envelope;
class Failure;
class NamedValue;
class RunInfo;
}  // namespace umbel::v1
namespace google::protobuf {
template <class T>
class RepeatedPtrField;
class MessageLite;
}  // namespace google::protobuf

namespace umbel::wire {

using NamedValues = google::protobuf::RepeatedPtrField<v1::NamedValue>;

// How the bytes of a content come that are not in its message.
enum class Blobs {
  kChunked,  // over the network: with the CRC-32 of each chunk
  kBeside,   // as shared memory
  kNone,     // not at all
};

void put(const MetricRecord& metrics, NamedValues& out);
void put(const ConfigRecord& config, NamedValues& out);
Result<MetricRecord> parse_metrics(const NamedValues& in);
Result<ConfigRecord> parse_config(const NamedValues& in);

void put(const Layout& layout, v1::Arrays& out);
Result<Layout> parse_layout(const v1::Arrays& in);

void put(const ContentHead& head, const BlobRef& blob, v1::Content& out);
Status parse_content(const v1::Content& in, Blobs blobs, ContentHead& head, BlobRef& blob);
// A content with all of its arrays' elements inside.
void put(const RecordDict& content, v1::Content& out);
Result<RecordDict> parse_whole(const v1::Content& in);

void put(const MessageError& error, v1::Failure& out);
MessageError parse_failure(const v1::Failure& in);

void put(const Envelope& envelope, v1::Envelope& out);
Result<Envelope> parse_envelope(const v1::Envelope& in, Blobs blobs);

void put(const RunInfo& run, v1::RunInfo& out);
Result<RunInfo> parse_run(const v1::RunInfo& in);

// Names within one record: short, and each once.  They outlive this object.
class Names {
 public:
  Status add(std::string_view name);

 private:
  std::unordered_set<std::string_view> seen_;
};
// The parsed frame; an error says which frame it was.
template <class Frame>
Result<Frame> named(std::string_view frame, Result<Frame> parsed) {
  if (!parsed.ok()) return annotate(parsed.status(), frame);
  return parsed;
}
Status unknown_frame();

inline constexpr size_t kShortTextMax = 255;  // bytes of a name, a version, ...
inline std::span<const std::byte> as_bytes(const std::string& text) {
  return std::as_bytes(std::span(text));
}

// The status with `"name": ` in front, unless it is OK.
Status at_name(const Status& status, std::string_view name);
Status require_count(std::string_view what, uint64_t count, uint64_t most);
Status require_short(std::string_view field, std::string_view text, size_t bytes_max);
// A time to go: 0 or more, not NaN.
Status require_seconds(std::string_view field, double seconds);

// Scans and parses a frame of at most `bytes_max` bytes.
Status parse_frame(std::span<const std::byte> bytes, size_t bytes_max, const Form& form,
                   google::protobuf::MessageLite& out);

}  // namespace umbel::wire

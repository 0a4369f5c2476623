#include "umbel/wire/convert.h"

#include <google/protobuf/stubs/logging.h>
#include <umbel.pb.h>

#include "umbel/base/text.h"
#include "umbel/wire/utf8.h"

namespace umbel::wire {

namespace {

Result<ArraySpec> parse_array(const v1::ArrayHeader& in) {
  UMBEL_RETURN_IF_ERROR(
      require_count("dimensions", static_cast<size_t>(in.shape_size()), kRankMax));
  const auto dtype = dtype_named(in.dtype());
  if (!dtype) {
    return invalid_argument("dtype \"{}\" is not known",
                            escaped(std::string_view(in.dtype()).substr(0, 40)));
  }
  ArraySpec spec{in.name(), *dtype, Shape(in.shape().begin(), in.shape().end())};
  UMBEL_RETURN_IF_ERROR(element_count(spec.shape).status());
  return spec;
}

// What all records of a content may have together.
struct Totals {
  uint64_t arrays = 0, values = 0;
};

Result<ContentHead::Part> parse_record(const v1::RecordEntry& in, Totals& totals) {
  switch (in.record_case()) {
    case v1::RecordEntry::kArrays: {
      totals.arrays += static_cast<uint64_t>(in.arrays().arrays_size());
      UMBEL_RETURN_IF_ERROR(require_count("arrays", totals.arrays, kArraysMax));
      UMBEL_ASSIGN_OR_RETURN(Layout layout, parse_layout(in.arrays()));
      return ContentHead::Part(std::move(layout));
    }
    case v1::RecordEntry::kMetrics: {
      totals.values += static_cast<uint64_t>(in.metrics().values_size());
      UMBEL_RETURN_IF_ERROR(require_count("values", totals.values, kValuesMax));
      UMBEL_ASSIGN_OR_RETURN(MetricRecord metrics, parse_metrics(in.metrics().values()));
      return ContentHead::Part(std::move(metrics));
    }
    case v1::RecordEntry::kConfig: {
      totals.values += static_cast<uint64_t>(in.config().values_size());
      UMBEL_RETURN_IF_ERROR(require_count("values", totals.values, kValuesMax));
      UMBEL_ASSIGN_OR_RETURN(ConfigRecord config, parse_config(in.config().values()));
      return ContentHead::Part(std::move(config));
    }
    case v1::RecordEntry::RECORD_NOT_SET:
      break;
  }
  return invalid_argument("neither arrays nor metrics nor config");
}

// The bytes that arrays take which start at `end`; no more than kBlobBytesMax, so no overflow.
Status add_size(const Layout& layout, uint64_t& end) {
  for (const ArraySpec& spec : layout) {
    const uint64_t bytes = spec.byte_size();
    if (bytes > kBlobBytesMax || (end = next_in_blob(end) + bytes) > kBlobBytesMax) {
      return invalid_argument("the arrays take more than {} bytes", kBlobBytesMax);
    }
  }
  return absl::OkStatus();
}

Status parse_blob(const v1::Blob& in, Blobs blobs, BlobRef& out) {
  out.size = in.size();
  out.id = in.id();
  const uint64_t chunks = (in.size() + kChunkBytes - 1) / kChunkBytes;
  if (!in.here().empty() || in.size() == 0) {
    if (in.here().size() != in.size() || in.crc32_size() != 0) {
      return invalid_argument("{} bytes are here and {} CRCs, of a blob of {} bytes",
                              in.here().size(), in.crc32_size(), in.size());
    }
    out.here = Buffer::copy_of(as_bytes(in.here()));
    return absl::OkStatus();
  }
  if (blobs == Blobs::kNone) return invalid_argument("its {} bytes are not here", in.size());
  const uint64_t expected = blobs == Blobs::kChunked ? chunks : 0;
  if (static_cast<uint64_t>(in.crc32_size()) != expected) {
    return invalid_argument("{} CRCs, expected {} for {} bytes", in.crc32_size(), expected,
                            in.size());
  }
  out.crc32.assign(in.crc32().begin(), in.crc32().end());
  return absl::OkStatus();
}

}  // namespace

Status unknown_frame() { return absl::UnimplementedError("a frame of a kind not known here"); }

void put(const Layout& layout, v1::Arrays& out) {
  for (const ArraySpec& spec : layout) {
    v1::ArrayHeader& header = *out.add_arrays();
    header.set_name(spec.name);
    header.set_dtype(std::string(name_of(spec.dtype)));
    header.mutable_shape()->Add(spec.shape.begin(), spec.shape.end());
  }
}

Result<Layout> parse_layout(const v1::Arrays& in) {
  UMBEL_RETURN_IF_ERROR(require_count("arrays", static_cast<size_t>(in.arrays_size()), kArraysMax));
  Layout layout;
  layout.reserve(static_cast<size_t>(in.arrays_size()));
  Names names;
  for (const v1::ArrayHeader& header : in.arrays()) {
    UMBEL_RETURN_IF_ERROR(annotate(names.add(header.name()), "arrays"));
    Result<ArraySpec> spec = parse_array(header);
    if (!spec.ok()) return annotate(at_name(spec.status(), header.name()), "array");
    layout.push_back(*std::move(spec));
  }
  uint64_t end = 0;
  UMBEL_RETURN_IF_ERROR(add_size(layout, end));
  return layout;
}

void put(const ContentHead& head, const BlobRef& blob, v1::Content& out) {
  for (const auto& [name, part] : head.records) {
    v1::RecordEntry& entry = *out.add_records();
    entry.set_name(name);
    if (const auto* layout = std::get_if<Layout>(&part)) {
      put(*layout, *entry.mutable_arrays());
    } else if (const auto* metrics = std::get_if<MetricRecord>(&part)) {
      put(*metrics, *entry.mutable_metrics()->mutable_values());
    } else {
      put(std::get<ConfigRecord>(part), *entry.mutable_config()->mutable_values());
    }
  }
  if (blob.size == 0) return;
  v1::Blob& bytes = *out.mutable_blob();
  bytes.set_size(blob.size);
  bytes.set_id(blob.id);
  if (blob.is_here()) {
    bytes.set_here(blob.here.data(), blob.here.size());
  } else {
    bytes.mutable_crc32()->Add(blob.crc32.begin(), blob.crc32.end());
  }
}

Status parse_content(const v1::Content& in, Blobs blobs, ContentHead& head, BlobRef& blob) {
  UMBEL_RETURN_IF_ERROR(
      require_count("records", static_cast<size_t>(in.records_size()), kRecordsMax));
  Names names;
  Totals totals;
  uint64_t end = 0;
  for (const v1::RecordEntry& entry : in.records()) {
    UMBEL_RETURN_IF_ERROR(annotate(names.add(entry.name()), "records"));
    Result<ContentHead::Part> part = parse_record(entry, totals);
    if (!part.ok()) return annotate(at_name(part.status(), entry.name()), "record");
    if (const auto* layout = std::get_if<Layout>(&*part)) {
      UMBEL_RETURN_IF_ERROR(add_size(*layout, end));
    }
    head.records.emplace_back(entry.name(), *std::move(part));
  }
  if (in.blob().size() != end) {
    return invalid_argument("blob: {} bytes, its arrays take {}", in.blob().size(), end);
  }
  return annotate(parse_blob(in.blob(), blobs, blob), "blob");
}

void put(const RecordDict& content, v1::Content& out) {
  BlobRef blob;
  blob.here = blob_of(content);
  blob.size = blob.here.size();
  put(head_of(content), blob, out);
}

Result<RecordDict> parse_whole(const v1::Content& in) {
  ContentHead head;
  BlobRef blob;
  UMBEL_RETURN_IF_ERROR(parse_content(in, Blobs::kNone, head, blob));
  return assemble(head, blob.here);
}

void put(const MessageError& error, v1::Failure& out) {
  out.set_code(std::string(name_of(error.code)));
  out.set_reason(as_utf8(error.reason, kReasonBytesMax));
}

MessageError parse_failure(const v1::Failure& in) {
  using Code = MessageError::Code;
  MessageError error{Code::kUnknown, as_utf8(in.reason(), kReasonBytesMax)};
  for (const Code code : {Code::kClientFailed, Code::kBadReply, Code::kDeadline,
                          Code::kUnknownAction, Code::kStopped, Code::kLeft}) {
    if (in.code() == name_of(code)) error.code = code;
  }
  return error;
}

void put(const Envelope& envelope, v1::Envelope& out) {
  v1::Header& header = *out.mutable_header();
  header.set_run(envelope.metadata.run.value());
  header.set_id(envelope.metadata.id.value());
  header.set_reply_to(envelope.metadata.reply_to.value());
  header.set_source(envelope.metadata.source.value());
  header.set_destination(envelope.metadata.destination.value());
  header.set_type(envelope.metadata.type);
  header.set_round(envelope.metadata.round);
  if (envelope.error) {
    put(*envelope.error, *out.mutable_failure());
  } else {
    put(envelope.head, envelope.blob, *out.mutable_content());
  }
}

Result<Envelope> parse_envelope(const v1::Envelope& in, Blobs blobs) {
  Envelope envelope;
  const v1::Header& header = in.header();
  UMBEL_RETURN_IF_ERROR(require_short("type", header.type(), kNameBytesMax));
  envelope.metadata = {.run = RunId(header.run()),
                       .id = MessageId(header.id()),
                       .reply_to = MessageId(header.reply_to()),
                       .source = NodeId(header.source()),
                       .destination = NodeId(header.destination()),
                       .type = header.type(),
                       .round = header.round()};
  if (in.body_case() == v1::Envelope::kFailure) {
    envelope.error = parse_failure(in.failure());
  } else if (in.body_case() == v1::Envelope::kContent) {
    UMBEL_RETURN_IF_ERROR(
        annotate(parse_content(in.content(), blobs, envelope.head, envelope.blob), "content"));
  } else {
    return invalid_argument("neither a content nor a failure");
  }
  return envelope;
}

Status parse_frame(std::span<const std::byte> bytes, size_t bytes_max, const Form& form,
                   google::protobuf::MessageLite& out) {
  if (bytes.size() > bytes_max) {
    return invalid_argument("a frame of {} bytes, the limit is {}", bytes.size(), bytes_max);
  }
  UMBEL_RETURN_IF_ERROR(scan(bytes, form));
  const google::protobuf::LogSilencer quiet;  // what is wrong is said below
  if (out.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return absl::OkStatus();
  return invalid_argument("not a message of umbel.v1, or a text that is not UTF-8");
}

}  // namespace umbel::wire

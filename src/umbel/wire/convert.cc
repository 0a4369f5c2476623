#include "umbel/wire/convert.h"

#include <google/protobuf/stubs/logging.h>
#include <umbel.pb.h>

#include <cmath>
#include <unordered_set>

#include "umbel/base/text.h"
#include "umbel/wire/utf8.h"

namespace umbel::wire {

namespace {

std::string as_text(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
std::span<const std::byte> as_bytes(const std::string& text) {
  return std::as_bytes(std::span(text));
}

// Fills in a Value from each of the kinds there are.
struct PutValue {
  v1::Value& out;
  void operator()(bool v) const { out.set_truth(v); }
  void operator()(int64_t v) const { out.set_integer(v); }
  void operator()(double v) const { out.set_real(v); }
  void operator()(const std::string& v) const { out.set_text(v); }
  void operator()(const std::vector<std::byte>& v) const { out.set_data(as_text(v)); }
  void operator()(const std::vector<bool>& v) const {
    for (const bool x : v) out.mutable_truths()->add_values(x);
    out.mutable_truths();
  }
  void operator()(const std::vector<int64_t>& v) const {
    out.mutable_integers()->mutable_values()->Add(v.begin(), v.end());
  }
  void operator()(const std::vector<double>& v) const {
    out.mutable_reals()->mutable_values()->Add(v.begin(), v.end());
  }
  void operator()(const std::vector<std::string>& v) const {
    for (const std::string& x : v) out.mutable_texts()->add_values(x);
    out.mutable_texts();
  }
};

template <class List>
auto vector_of(const List& list) {
  using T = std::decay_t<decltype(*list.begin())>;
  using Mine = std::conditional_t<std::is_integral_v<T> && !std::is_same_v<T, bool>, int64_t, T>;
  return std::vector<Mine>(list.begin(), list.end());
}

Result<MetricValue> parse_metric(const v1::Value& in) {
  switch (in.kind_case()) {
    case v1::Value::kInteger:
      return MetricValue(in.integer());
    case v1::Value::kReal:
      return MetricValue(in.real());
    case v1::Value::kIntegers:
      return MetricValue(vector_of(in.integers().values()));
    case v1::Value::kReals:
      return MetricValue(vector_of(in.reals().values()));
    default:
      return invalid_argument("expected a number or a list of numbers");
  }
}

Result<ConfigValue> parse_value(const v1::Value& in) {
  switch (in.kind_case()) {
    case v1::Value::kTruth:
      return ConfigValue(in.truth());
    case v1::Value::kInteger:
      return ConfigValue(in.integer());
    case v1::Value::kReal:
      return ConfigValue(in.real());
    case v1::Value::kText:
      return ConfigValue(in.text());
    case v1::Value::kData: {
      const auto bytes = as_bytes(in.data());
      return ConfigValue(std::vector<std::byte>(bytes.begin(), bytes.end()));
    }
    case v1::Value::kTruths:
      return ConfigValue(vector_of(in.truths().values()));
    case v1::Value::kIntegers:
      return ConfigValue(vector_of(in.integers().values()));
    case v1::Value::kReals:
      return ConfigValue(vector_of(in.reals().values()));
    case v1::Value::kTexts:
      return ConfigValue(vector_of(in.texts().values()));
    case v1::Value::KIND_NOT_SET:
      break;
  }
  return invalid_argument("a value of no known kind");
}

// Names within one record: short, and each once.
class Names {
 public:
  Status add(std::string_view name) {
    UMBEL_RETURN_IF_ERROR(require_short("name", name, kNameBytesMax));
    if (seen_.insert(name).second) return absl::OkStatus();
    return invalid_argument("\"{}\" twice", escaped(name));
  }

 private:
  std::unordered_set<std::string_view> seen_;
};

Status at_name(const Status& status, std::string_view name) {
  if (status.ok()) return status;
  return annotate(status, fmt::format("\"{}\"", escaped(name)));
}

Status require_count(std::string_view what, uint64_t count, uint64_t most) {
  if (count <= most) return absl::OkStatus();
  return invalid_argument("{} {}, the limit is {}", count, what, most);
}

template <class Record, class ParseOne>
Result<Record> parse_named(const NamedValues& in, const ParseOne& parse_one) {
  UMBEL_RETURN_IF_ERROR(require_count("values", static_cast<size_t>(in.size()), kValuesMax));
  Record record;
  record.reserve(static_cast<size_t>(in.size()));
  Names names;
  for (const v1::NamedValue& entry : in) {
    UMBEL_RETURN_IF_ERROR(names.add(entry.name()));
    auto value = parse_one(entry.value());
    if (!value.ok()) return at_name(value.status(), entry.name());
    record.append(entry.name(), *std::move(value));
  }
  return record;
}

template <class Record>
void put_named(const Record& record, NamedValues& out) {
  out.Reserve(static_cast<int>(record.size()));
  for (const auto& [name, value] : record) {
    v1::NamedValue& entry = *out.Add();
    entry.set_name(name);
    std::visit(PutValue{*entry.mutable_value()}, value.base());
  }
}

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

void put(const MetricRecord& metrics, NamedValues& out) { put_named(metrics, out); }
void put(const ConfigRecord& config, NamedValues& out) { put_named(config, out); }
Result<MetricRecord> parse_metrics(const NamedValues& in) {
  return parse_named<MetricRecord>(in, parse_metric);
}
Result<ConfigRecord> parse_config(const NamedValues& in) {
  return parse_named<ConfigRecord>(in, parse_value);
}

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
                          Code::kUnknownAction, Code::kStopped}) {
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

void put(const RunInfo& run, v1::RunInfo& out) {
  out.set_id(run.id.value());
  out.set_seed(run.seed);
  out.set_nodes(run.nodes);
  for (size_t i = 0; i != run.config.size(); ++i) {
    v1::Setting& setting = *out.add_config();
    setting.set_key(run.config.entry(i).first);
    std::visit(PutValue{*setting.mutable_value()}, run.config.entry(i).second.base());
    if (i < run.origins.size()) setting.set_origin(as_utf8(run.origins[i], kNameBytesMax));
  }
  v1::BundleRef& bundle = *out.mutable_bundle();
  bundle.set_sha256(run.bundle.sha256);
  bundle.set_size(run.bundle.size);
  bundle.set_id(run.bundle.id);
}

Result<RunInfo> parse_run(const v1::RunInfo& in) {
  UMBEL_RETURN_IF_ERROR(
      require_count("settings", static_cast<size_t>(in.config_size()), kValuesMax));
  RunInfo run;
  run.id = RunId(in.id());
  run.seed = in.seed();
  run.nodes = in.nodes();
  run.config.reserve(static_cast<size_t>(in.config_size()));
  run.origins.reserve(static_cast<size_t>(in.config_size()));
  Names names;
  for (const v1::Setting& setting : in.config()) {
    UMBEL_RETURN_IF_ERROR(annotate(names.add(setting.key()), "config"));
    Result<ConfigValue> value = parse_value(setting.value());
    if (!value.ok()) return annotate(at_name(value.status(), setting.key()), "config");
    UMBEL_RETURN_IF_ERROR(require_short("origin", setting.origin(), kNameBytesMax));
    run.config.append(setting.key(), *std::move(value));
    run.origins.push_back(setting.origin());
  }
  const std::string& hash = in.bundle().sha256();
  const bool hex = hash.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!hash.empty() && (hash.size() != 64 || !hex)) {
    return invalid_argument("bundle: sha256 is not 64 hexadecimal digits");
  }
  UMBEL_RETURN_IF_ERROR(require_short("bundle: id", in.bundle().id(), kNameBytesMax));
  run.bundle = {in.bundle().sha256(), in.bundle().size(), in.bundle().id()};
  return run;
}

Status require_short(std::string_view field, std::string_view text, size_t bytes_max) {
  if (text.size() <= bytes_max) return absl::OkStatus();
  return invalid_argument("{}: {} bytes, the limit is {}", field, text.size(), bytes_max);
}

Status require_seconds(std::string_view field, double seconds) {
  if (seconds >= 0) return absl::OkStatus();
  return invalid_argument("{} = {}, expected 0 or more", field, seconds);
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

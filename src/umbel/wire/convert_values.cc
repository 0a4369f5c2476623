#include "umbel/wire/convert.h"

#include <umbel.pb.h>

#include "umbel/base/text.h"
#include "umbel/wire/utf8.h"

namespace umbel::wire {

namespace {

std::string as_text(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
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

}  // namespace

Status Names::add(std::string_view name) {
  UMBEL_RETURN_IF_ERROR(require_short("name", name, kNameBytesMax));
  if (seen_.insert(name).second) return absl::OkStatus();
  return invalid_argument("\"{}\" twice", escaped(name));
}

Status at_name(const Status& status, std::string_view name) {
  if (status.ok()) return status;
  return annotate(status, fmt::format("\"{}\"", escaped(name)));
}

Status require_count(std::string_view what, uint64_t count, uint64_t most) {
  if (count <= most) return absl::OkStatus();
  return invalid_argument("{} {}, the limit is {}", count, what, most);
}

void put(const MetricRecord& metrics, NamedValues& out) { put_named(metrics, out); }
void put(const ConfigRecord& config, NamedValues& out) { put_named(config, out); }
Result<MetricRecord> parse_metrics(const NamedValues& in) {
  return parse_named<MetricRecord>(in, parse_metric);
}
Result<ConfigRecord> parse_config(const NamedValues& in) {
  return parse_named<ConfigRecord>(in, parse_value);
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

}  // namespace umbel::wire

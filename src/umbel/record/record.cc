#include "umbel/record/record.h"

#include <fmt/core.h>

namespace umbel {

namespace {

struct ByteSize {
  size_t operator()(const ArrayRecord& record) const {
    size_t bytes = record.byte_size();
    for (const auto& [name, array] : record) bytes += name.size() + 8 * array.shape().size();
    return bytes;
  }
  template <class Value>
  size_t operator()(const Record<Value>& record) const {
    size_t bytes = 0;
    for (const auto& [name, value] : record) bytes += name.size() + std::visit(*this, value.base());
    return bytes;
  }
  size_t operator()(const std::string& text) const { return text.size(); }
  size_t operator()(const std::vector<std::string>& texts) const {
    size_t bytes = 0;
    for (const std::string& text : texts) bytes += text.size();
    return bytes;
  }
  template <class T>
  size_t operator()(const std::vector<T>& values) const {
    return values.size() * sizeof(T);
  }
  template <class T>
  requires(std::is_arithmetic_v<T>) size_t operator()(T) const { return sizeof(T); }
};

std::string toml_text(bool value) { return value ? "true" : "false"; }
std::string toml_text(int64_t value) { return std::to_string(value); }
std::string toml_text(double value) {
  std::string text = fmt::format("{}", value);
  return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
}
std::string toml_text(const std::string& value) {
  std::string text = "\"";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      text += '\\';
      text += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      text += fmt::format("\\u{:04X}", byte);
    } else {
      text += c;
    }
  }
  return text + '"';
}
std::string toml_text(const std::vector<std::byte>& value) {
  return fmt::format("{} bytes", value.size());
}
template <class T>
std::string toml_text(const std::vector<T>& values) {
  std::string text;
  for (const T& value : values) text += (text.empty() ? "" : ", ") + toml_text(value);
  return "[" + text + "]";
}

template <class T>
const T& config_value(const ConfigRecord& record, std::string_view name, std::string_view kind) {
  const ConfigValue& value = record.at(name);
  if (const T* found = std::get_if<T>(&value.base())) return *found;
  throw Error(
      invalid_argument("\"{}\" = {} is {}, expected {}", name, value.text(), value.kind(), kind));
}

}  // namespace

ArrayRecord ArrayRecord::clone() const {
  ArrayRecord copy;
  copy.reserve(size());
  for (const auto& [name, array] : *this) copy.set(name, array.clone());
  return copy;
}

size_t ArrayRecord::byte_size() const {
  size_t bytes = 0;
  for (const auto& [name, array] : *this) bytes += array.byte_size();
  return bytes;
}

int64_t ArrayRecord::element_count() const {
  int64_t elements = 0;
  for (const auto& [name, array] : *this) elements += array.size();
  return elements;
}

double MetricRecord::real(std::string_view name) const {
  const MetricValue& value = at(name);
  if (const auto* real = std::get_if<double>(&value.base())) return *real;
  if (const auto* integer = std::get_if<int64_t>(&value.base()))
    return static_cast<double>(*integer);
  throw Error(invalid_argument("metric \"{}\" is a list, expected one number", name));
}

int64_t MetricRecord::integer(std::string_view name) const {
  if (const auto* integer = std::get_if<int64_t>(&at(name).base())) return *integer;
  throw Error(invalid_argument("metric \"{}\" is not an integer", name));
}

const std::vector<double>& MetricRecord::reals(std::string_view name) const {
  if (const auto* reals = std::get_if<std::vector<double>>(&at(name).base())) return *reals;
  throw Error(invalid_argument("metric \"{}\" is not a list of real numbers", name));
}

std::string_view ConfigValue::kind() const {
  static constexpr std::string_view kKinds[] = {"a truth value",
                                                "an integer",
                                                "a real number",
                                                "text",
                                                "bytes",
                                                "a list of truth values",
                                                "a list of integers",
                                                "a list of real numbers",
                                                "a list of texts"};
  return kKinds[index()];
}

std::string ConfigValue::text() const {
  return std::visit([](const auto& value) { return toml_text(value); }, base());
}

bool ConfigRecord::boolean(std::string_view name) const {
  return config_value<bool>(*this, name, "a truth value");
}
int64_t ConfigRecord::integer(std::string_view name) const {
  return config_value<int64_t>(*this, name, "an integer");
}
double ConfigRecord::real(std::string_view name) const {
  if (const auto* integer = std::get_if<int64_t>(&at(name).base()))
    return static_cast<double>(*integer);
  return config_value<double>(*this, name, "a real number");
}
const std::string& ConfigRecord::text(std::string_view name) const {
  return config_value<std::string>(*this, name, "text");
}

size_t RecordDict::byte_size() const {
  size_t bytes = 0;
  for (const auto& [name, record] : *this) bytes += name.size() + std::visit(ByteSize{}, record);
  return bytes;
}

}  // namespace umbel

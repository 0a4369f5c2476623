#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "umbel/base/error.h"
#include "umbel/record/array.h"

namespace umbel {

// A small map from names to values that keeps the order in which names were first set.  Looking a
// name up is a scan: records have tens of entries.
template <class Value>
class Record {
 public:
  using Entry = std::pair<std::string, Value>;

  Record() = default;
  Record(std::initializer_list<Entry> entries) {
    entries_.reserve(entries.size());
    for (const Entry& entry : entries) set(entry.first, entry.second);
  }

  size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }
  const Entry& entry(size_t index) const { return entries_[index]; }
  void reserve(size_t entries) { entries_.reserve(entries); }

  // Adds the entry or replaces the value under that name.
  void set(std::string_view name, Value value) {
    if (Value* old = find(name)) {
      *old = std::move(value);
    } else {
      entries_.emplace_back(std::string(name), std::move(value));
    }
  }
  // As set(), without the scan, for a name that the caller knows to be new.
  void append(std::string name, Value value) {
    entries_.emplace_back(std::move(name), std::move(value));
  }
  // The value, or nullptr.
  const Value* find(std::string_view name) const {
    for (const Entry& entry : entries_) {
      if (entry.first == name) return &entry.second;
    }
    return nullptr;
  }
  Value* find(std::string_view name) { return const_cast<Value*>(std::as_const(*this).find(name)); }
  bool contains(std::string_view name) const { return find(name) != nullptr; }
  // The value; umbel::Error that lists the names there are if `name` is not among them.
  const Value& at(std::string_view name) const {
    if (const Value* value = find(name)) return *value;
    throw Error(not_found("no entry \"{}\"; there are: {}", name, names()));
  }
  Value& at(std::string_view name) { return const_cast<Value&>(std::as_const(*this).at(name)); }
  const Value& operator[](std::string_view name) const { return at(name); }
  Value& operator[](std::string_view name) { return at(name); }
  // "a, b, c"
  std::string names() const {
    std::string text;
    for (const Entry& entry : entries_) text += (text.empty() ? "" : ", ") + entry.first;
    return text.empty() ? "none" : text;
  }

  friend bool operator==(const Record&, const Record&) = default;

 private:
  std::vector<Entry> entries_;
};

// Named tensors in a fixed order: a model, an update, optimizer state.
class ArrayRecord : public Record<Array> {
 public:
  using Record::Record;
  // A deep copy: every array gets bytes of its own.
  ArrayRecord clone() const;
  size_t byte_size() const;       // of all elements
  int64_t element_count() const;  // of all arrays
};

// A number or a list of numbers.
class MetricValue
    : public std::variant<int64_t, double, std::vector<int64_t>, std::vector<double>> {
 public:
  using Base = std::variant<int64_t, double, std::vector<int64_t>, std::vector<double>>;
  MetricValue() = default;
  template <class T>
  requires(std::is_arithmetic_v<T>) MetricValue(T value) {  // NOLINT: numbers convert
    if constexpr (std::is_floating_point_v<T>) {
      Base::operator=(static_cast<double>(value));
    } else {
      Base::operator=(static_cast<int64_t>(value));
    }
  }
  MetricValue(std::vector<int64_t> values) : Base(std::move(values)) {}  // NOLINT
  MetricValue(std::vector<double> values) : Base(std::move(values)) {}   // NOLINT

  const Base& base() const { return *this; }
};

// What was measured: counts, losses, accuracies.
class MetricRecord : public Record<MetricValue> {
 public:
  using Record::Record;
  // The number under `name`, integers widened; umbel::Error if it is absent or a list.
  double real(std::string_view name) const;
  int64_t integer(std::string_view name) const;  // and Error if it is not an integer
  const std::vector<double>& reals(std::string_view name) const;
};

// A setting: a truth value, a number, text, bytes, or a list of one kind.
class ConfigValue : public std::variant<bool, int64_t, double, std::string, std::vector<std::byte>,
                                        std::vector<bool>, std::vector<int64_t>,
                                        std::vector<double>, std::vector<std::string>> {
 public:
  using Base =
      std::variant<bool, int64_t, double, std::string, std::vector<std::byte>, std::vector<bool>,
                   std::vector<int64_t>, std::vector<double>, std::vector<std::string>>;
  ConfigValue() = default;
  ConfigValue(std::string text) : Base(std::move(text)) {}                   // NOLINT
  ConfigValue(std::vector<std::byte> bytes) : Base(std::move(bytes)) {}      // NOLINT
  ConfigValue(std::vector<bool> values) : Base(std::move(values)) {}         // NOLINT
  ConfigValue(std::vector<int64_t> values) : Base(std::move(values)) {}      // NOLINT
  ConfigValue(std::vector<double> values) : Base(std::move(values)) {}       // NOLINT
  ConfigValue(std::vector<std::string> values) : Base(std::move(values)) {}  // NOLINT
  template <class T>
  requires(std::is_arithmetic_v<T>) ConfigValue(T value) {  // NOLINT: numbers convert
    if constexpr (std::is_same_v<T, bool>) {
      Base::operator=(value);
    } else if constexpr (std::is_floating_point_v<T>) {
      Base::operator=(static_cast<double>(value));
    } else {
      Base::operator=(static_cast<int64_t>(value));
    }
  }
  ConfigValue(const char* text) : Base(std::string(text)) {}  // NOLINT

  const Base& base() const { return *this; }
  std::string_view kind() const;  // "an integer", "a list of texts", ...
  std::string text() const;       // as it would be written in TOML
};

// What was asked for: hyperparameters, switches.
class ConfigRecord : public Record<ConfigValue> {
 public:
  using Record::Record;
  // The value under `name`; umbel::Error if it is absent or of another kind.  Integers widen to
  // real numbers, nothing else converts.
  bool boolean(std::string_view name) const;
  int64_t integer(std::string_view name) const;
  double real(std::string_view name) const;
  const std::string& text(std::string_view name) const;
};

using AnyRecord = std::variant<ArrayRecord, MetricRecord, ConfigRecord>;

// What a message carries, or a client keeps: records by name.
class RecordDict : public Record<AnyRecord> {
 public:
  using Record::Record;
  // Approximate size on a wire: elements, names and numbers; no framing.
  size_t byte_size() const;
};

// The one INVALID_ARGUMENT that says how `arrays` differs from `expected` in names, order, dtype or
// shape; OK if it does not.
Status require_layout(const ArrayRecord& arrays, const ArrayRecord& expected);

}  // namespace umbel

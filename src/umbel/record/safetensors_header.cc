#include "umbel/record/safetensors_header.h"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>
#include <utility>

#include "umbel/base/text.h"
#include "umbel/record/safetensors.h"

namespace umbel {

namespace {

constexpr size_t kShownMax = 80;  // characters of hostile text in a message
constexpr std::array<std::string_view, kDTypeCount> kDTypes{"BOOL", "I8",  "I16", "I32", "I64",
                                                            "U8",   "U16", "U32", "U64", "F16",
                                                            "BF16", "F32", "F64", "",    ""};

std::optional<DType> dtype_called(std::string_view text) {
  const auto* found = std::find(kDTypes.begin(), kDTypes.end(), text);
  if (text.empty() || found == kDTypes.end()) return std::nullopt;
  return static_cast<DType>(found - kDTypes.begin());
}

std::string shown(std::string_view text) {
  return escaped(text.substr(0, kShownMax)) + (text.size() > kShownMax ? "..." : "");
}

// Takes the header's events in order, so that its nesting costs no stack and its values no tree.
class Reader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::vector<SafetensorsEntry> entries;
  Status status;

  bool start_object(size_t) override {
    if (place_ == Place::kStart) return go(Place::kTop);
    if (place_ != Place::kTop) return unexpected("an object");
    if (metadata_next_) return go(Place::kMetadata);
    entry_ = {};
    seen_dtype_ = seen_shape_ = seen_offsets_ = false;
    offsets_ = 0;
    return go(Place::kEntry);
  }
  bool end_object() override {
    if (place_ == Place::kEntry) {
      if (!seen_dtype_ || !seen_shape_ || !seen_offsets_) {
        return fail("expected dtype, shape and data_offsets");
      }
      entry_.name = name_;
      entries.push_back(std::move(entry_));
    }
    return go(place_ == Place::kTop ? Place::kEnd : Place::kTop);
  }
  bool key(std::string& text) override {
    if (place_ == Place::kTop) return top_key(text);
    if (place_ == Place::kEntry) return entry_key(text);
    return metadata_keys_.insert(text).second || fail("key \"" + shown(text) + "\" appears twice");
  }
  bool string(std::string& text) override {
    if (place_ == Place::kMetadata) return true;
    if (place_ != Place::kEntry || field_ != Field::kDType) return unexpected("a text");
    const std::optional<DType> dtype = dtype_called(text);
    if (!dtype) return fail("dtype \"" + shown(text) + "\" is not supported");
    entry_.dtype = *dtype;
    return true;
  }
  bool start_array(size_t) override {
    if (place_ != Place::kEntry || field_ == Field::kDType) return unexpected("a list");
    return go(Place::kList);
  }
  bool end_array() override {
    if (field_ == Field::kOffsets && offsets_ != 2) return fail("data_offsets are not two numbers");
    return go(Place::kEntry);
  }
  bool number_unsigned(uint64_t value) override {
    if (place_ != Place::kList) return unexpected("a number");
    if (field_ == Field::kOffsets) {
      if (offsets_ == 2) return fail("data_offsets are not two numbers");
      (offsets_++ == 0 ? entry_.begin : entry_.end) = value;
      return true;
    }
    if (value > uint64_t{std::numeric_limits<int64_t>::max()}) return fail("extent beyond 2^63");
    if (entry_.shape.size() == kSafetensorsRankMax) {
      return fail(fmt::format("shape has more than {} dimensions", kSafetensorsRankMax));
    }
    entry_.shape.push_back(static_cast<int64_t>(value));
    return true;
  }
  bool number_integer(int64_t) override { return unexpected("a negative number"); }
  bool number_float(double, const std::string&) override { return unexpected("a broken number"); }
  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a truth value"); }
  bool binary(binary_t&) override { return unexpected("binary"); }
  bool parse_error(size_t at, const std::string&, const nlohmann::json::exception&) override {
    status = invalid_argument("safetensors header: not JSON at byte {}", at);
    return false;
  }

 private:
  enum class Place { kStart, kTop, kMetadata, kEntry, kList, kEnd };
  enum class Field { kDType, kShape, kOffsets };

  bool go(Place place) {
    place_ = place;
    return true;
  }
  bool fail(const std::string& reason) {
    status = name_.empty()
                 ? invalid_argument("safetensors header: {}", reason)
                 : invalid_argument("safetensors header: array \"{}\": {}", shown(name_), reason);
    return false;
  }
  bool unexpected(const std::string& what) { return fail(what + " where the format has none"); }

  bool top_key(const std::string& text) {
    name_ = text;
    if (!names_.insert(text).second) return fail("appears twice");
    if (names_.size() > kSafetensorsArraysMax) {
      return fail(fmt::format("more than {} arrays", kSafetensorsArraysMax));
    }
    metadata_next_ = text == "__metadata__";
    return true;
  }
  bool entry_key(const std::string& text) {
    bool* seen = nullptr;
    if (text == "dtype") {
      field_ = Field::kDType;
      seen = &seen_dtype_;
    } else if (text == "shape") {
      field_ = Field::kShape;
      seen = &seen_shape_;
    } else if (text == "data_offsets") {
      field_ = Field::kOffsets;
      seen = &seen_offsets_;
    } else {
      return fail("unknown key \"" + shown(text) + "\"");
    }
    if (std::exchange(*seen, true)) return fail("key \"" + text + "\" appears twice");
    return true;
  }

  Place place_ = Place::kStart;
  Field field_ = Field::kDType;
  std::string name_;
  bool metadata_next_ = false;
  SafetensorsEntry entry_;
  bool seen_dtype_ = false;
  bool seen_shape_ = false;
  bool seen_offsets_ = false;
  int offsets_ = 0;
  std::unordered_set<std::string> names_;
  std::unordered_set<std::string> metadata_keys_;
};

}  // namespace

std::string_view safetensors_dtype(DType dtype) { return kDTypes[static_cast<size_t>(dtype)]; }

Result<std::vector<SafetensorsEntry>> parse_safetensors_entries(std::string_view json) {
  // As the format says, and so that no byte order mark is skipped.
  if (json.empty() || json.front() != '{') {
    return invalid_argument("safetensors header: does not start with '{{'");
  }
  // nlohmann-json takes a NUL for the end of the text; JSON has none anywhere.
  if (const size_t nul = json.find('\0'); nul != json.npos) {
    return invalid_argument("safetensors header: not JSON at byte {}", nul);
  }
  Reader reader;
  if (!nlohmann::json::sax_parse(json.begin(), json.end(), &reader)) return reader.status;
  return std::move(reader.entries);
}

}  // namespace umbel

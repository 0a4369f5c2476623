#include "umbel/record/layout.h"

#include "umbel/base/check.h"
#include "umbel/base/text.h"

namespace umbel {

namespace {

// Of a record's entries or a layout's, without copies: a layout may have 100,000 of them.
struct View {
  const std::string& name;
  DType dtype;
  const Shape& shape;
};
View view(const ArraySpec& spec) { return {spec.name, spec.dtype, spec.shape}; }
View view(const ArrayRecord::Entry& entry) {
  return {entry.first, entry.second.dtype(), entry.second.shape()};
}
View at(const Layout& layout, size_t i) { return view(layout[i]); }
View at(const ArrayRecord& arrays, size_t i) { return view(arrays.entry(i)); }

std::string describe(const View& array) {
  return fmt::format("{}{}", name_of(array.dtype), to_string(array.shape));
}

template <class Given>
std::string names_of(const Given& given) {
  std::string text;
  for (size_t i = 0; i != given.size(); ++i) text += (i ? ", " : "") + at(given, i).name;
  return text.empty() ? "none" : text;
}

template <class Given, class Expected>
Status require(const Given& given, const Expected& expected) {
  for (size_t i = 0; i != expected.size(); ++i) {
    const View wanted = at(expected, i);
    if (i >= given.size()) {
      return invalid_argument("array \"{}\" is missing; got {} arrays ({}), the round expects {}",
                              wanted.name, given.size(), names_of(given), expected.size());
    }
    const View got = at(given, i);
    if (got.name != wanted.name) {
      return invalid_argument("array {} is \"{}\", the round expects \"{}\"", i, escaped(got.name),
                              wanted.name);
    }
    if (got.dtype != wanted.dtype || got.shape != wanted.shape) {
      return invalid_argument("array \"{}\": {}, the round expects {}", wanted.name, describe(got),
                              describe(wanted));
    }
  }
  if (given.size() > expected.size()) {
    return invalid_argument(
        "array \"{}\" is not part of the model; got {} arrays, the round expects {}",
        escaped(at(given, expected.size()).name), given.size(), expected.size());
  }
  return absl::OkStatus();
}

}  // namespace

int64_t ArraySpec::elements() const {
  const Result<int64_t> count = element_count(shape);
  UMBEL_CHECK(count.ok());
  return *count;
}

size_t ArraySpec::byte_size() const { return static_cast<size_t>(elements()) * size_of(dtype); }

Layout layout_of(const ArrayRecord& arrays) {
  Layout layout;
  layout.reserve(arrays.size());
  for (const auto& [name, array] : arrays) layout.push_back({name, array.dtype(), array.shape()});
  return layout;
}

Status require_layout(const Layout& layout, const Layout& expected) {
  return require(layout, expected);
}
Status require_layout(const ArrayRecord& arrays, const Layout& expected) {
  return require(arrays, expected);
}
// Declared in record.h.
Status require_layout(const ArrayRecord& arrays, const ArrayRecord& expected) {
  return require(arrays, expected);
}

size_t blob_size(const Layout& layout) {
  size_t end = 0;
  for (const ArraySpec& spec : layout) {
    const size_t bytes = spec.byte_size();
    if (end > SIZE_MAX - kBlobAlignment || bytes > SIZE_MAX - next_in_blob(end)) return SIZE_MAX;
    end = next_in_blob(end) + bytes;
  }
  return end;
}

}  // namespace umbel

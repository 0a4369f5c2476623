#include "umbel/data/text_corpus.h"

#include <algorithm>
#include <unordered_map>

#include "umbel/base/buffer.h"
#include "umbel/base/text.h"
#include "umbel/data/folder_list.h"
#include "umbel/data/text_tokens.h"

namespace umbel::data {

namespace {

struct Text {
  std::string owner;
  std::vector<uint32_t> tokens;
};

Status check_options(const TextOptions& options) {
  if (options.length < 1 || options.length > kTextLengthMax) {
    return invalid_argument("option length is {}, expected 1 to {}", options.length,
                            kTextLengthMax);
  }
  if (options.stride < 0) {
    return invalid_argument("option stride is {}, expected at least 0", options.stride);
  }
  return absl::OkStatus();
}

Result<std::vector<FolderEntry>> files_of(const std::filesystem::path& path) {
  std::error_code failed;
  if (!std::filesystem::is_directory(path, failed)) {
    return std::vector<FolderEntry>{{path.filename().string(), path}};
  }
  UMBEL_ASSIGN_OR_RETURN(std::vector<FolderEntry> entries, list_folder(path));
  std::erase_if(entries, [&](const FolderEntry& entry) {
    if (!entry.is_link) return false;
    const auto target = std::filesystem::read_symlink(entry.path, failed);
    return !failed && target.filename() == target;  // a name alone: in the same folder
  });
  for (const FolderEntry& entry : entries) {
    if (entry.is_folder) {
      return invalid_argument("{}: a folder, expected files of text", entry.path.string());
    }
  }
  if (entries.empty()) return invalid_argument("{}: no files of text", path.string());
  return entries;
}

class Corpus {
 public:
  explicit Corpus(const TextOptions& options) : options_(options) {}

  // Adds a file to the texts of its owners, which are in the order of their first appearance.
  Status add(const FolderEntry& file) {
    UMBEL_ASSIGN_OR_RETURN(const Buffer bytes, Buffer::map_file(file.path.string()));
    std::string_view content(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (content.size() > kTextBytesMax - bytes_) {
      return resource_exhausted("{}: takes the text past the limit of {} bytes", file.path.string(),
                                kTextBytesMax);
    }
    bytes_ += content.size();
    const bool characters = options_.token == TextToken::kCharacter;
    if (characters && content.starts_with("\xEF\xBB\xBF")) content.remove_prefix(3);
    for (const TextPiece& piece : cut_text(content, file.name, options_.owner)) {
      std::vector<uint32_t>& tokens = of(piece.owner).tokens;
      const size_t before = tokens.size();
      Status status = append_tokens(piece.text, options_.token, piece.line, tokens);
      if (status.ok()) status = encode(piece, tokens, before);
      if (!status.ok()) return annotate(status, file.path.string());
    }
    return absl::OkStatus();
  }

  Status set_vocabulary() {
    std::vector<uint32_t> tokens;
    UMBEL_RETURN_IF_ERROR(
        annotate(append_tokens(options_.vocabulary, options_.token, 1, tokens), "vocabulary"));
    for (const uint32_t token : tokens) {
      if (!codes_.emplace(token, codes_.size()).second) {
        return invalid_argument("vocabulary: \"{}\" occurs twice",
                                escaped(text_of(token, options_.token)));
      }
    }
    vocabulary_ = std::move(tokens);
    return absl::OkStatus();
  }

  Result<Dataset> finish(std::string name) {
    if (options_.vocabulary.empty()) collect_vocabulary();
    Dataset dataset;
    dataset.name = std::move(name);
    for (const uint32_t token : vocabulary_) {
      dataset.class_names.push_back(text_of(token, options_.token));
    }
    dataset.classes = static_cast<int64_t>(vocabulary_.size());
    UMBEL_ASSIGN_OR_RETURN(const int64_t windows, count_windows());
    const bool narrow = vocabulary_.size() <= 256;
    dataset.features =
        Array::uninitialized(narrow ? DType::kUint8 : DType::kInt32, {windows, options_.length});
    dataset.labels = Array::uninitialized(DType::kInt32, {windows});
    dataset.natural_ids = Array::uninitialized(DType::kInt32, {windows});
    if (narrow) {
      fill(dataset.features.mutable_view<uint8_t>().data(), dataset);
    } else {
      fill(dataset.features.mutable_view<int32_t>().data(), dataset);
    }
    UMBEL_RETURN_IF_ERROR(check(dataset));
    return dataset;
  }

 private:
  Text& of(const std::string& owner) {
    const auto [found, added] = by_owner_.emplace(owner, texts_.size());
    if (added) texts_.push_back({owner, {}});
    return texts_[found->second];
  }

  // With a given vocabulary, tokens are their codes from here on.
  Status encode(const TextPiece& piece, std::vector<uint32_t>& tokens, size_t from) const {
    if (options_.vocabulary.empty()) return absl::OkStatus();
    uint64_t line = piece.line;
    uint64_t column = 1;
    for (size_t i = from; i != tokens.size(); ++i, ++column) {
      const uint32_t token = tokens[i];
      const auto found = codes_.find(token);
      if (found == codes_.end()) {
        return invalid_argument("line {}, column {}: \"{}\" is not in the vocabulary", line, column,
                                escaped(text_of(token, options_.token)));
      }
      tokens[i] = static_cast<uint32_t>(found->second);
      if (token == '\n') {
        ++line;
        column = 0;
      }
    }
    return absl::OkStatus();
  }

  void collect_vocabulary() {
    for (const Text& text : texts_) {
      for (const uint32_t token : text.tokens) codes_.emplace(token, 0);
    }
    for (const auto& [token, code] : codes_) vocabulary_.push_back(token);
    std::ranges::sort(vocabulary_);
    for (size_t i = 0; i != vocabulary_.size(); ++i) codes_[vocabulary_[i]] = i;
    for (Text& text : texts_) {
      for (uint32_t& token : text.tokens) token = static_cast<uint32_t>(codes_[token]);
    }
  }

  uint64_t stride() const {
    return static_cast<uint64_t>(options_.stride == 0 ? options_.length : options_.stride);
  }
  uint64_t windows_of(const Text& text) const {
    const auto needed = static_cast<uint64_t>(options_.length) + 1;
    return text.tokens.size() < needed ? 0 : (text.tokens.size() - needed) / stride() + 1;
  }

  Result<int64_t> count_windows() const {
    if (vocabulary_.size() > static_cast<size_t>(kClassesMax)) {
      return resource_exhausted("{} different tokens, the limit is {}", vocabulary_.size(),
                                kClassesMax);
    }
    uint64_t windows = 0;
    for (const Text& text : texts_) windows += windows_of(text);
    if (windows == 0) {
      return invalid_argument("no text has {} tokens and one more: length is too large",
                              options_.length);
    }
    const uint64_t each =
        static_cast<uint64_t>(options_.length) * (vocabulary_.size() > 256 ? 4 : 1);
    if (windows > uint64_t{kExamplesMax} || windows > kTextFeatureBytesMax / each) {
      return resource_exhausted("{} examples of {} bytes, the limit is {} bytes", windows, each,
                                kTextFeatureBytesMax);
    }
    return static_cast<int64_t>(windows);
  }

  template <class T>
  void fill(T* out, Dataset& dataset) const {
    auto* label = dataset.labels.mutable_view<int32_t>().data();
    auto* id = dataset.natural_ids.mutable_view<int32_t>().data();
    for (const Text& text : texts_) {
      const uint64_t windows = windows_of(text);
      if (windows == 0) continue;
      const uint32_t* start = text.tokens.data();
      for (uint64_t i = 0; i != windows; ++i, start += stride()) {
        out = std::transform(start, start + options_.length, out,
                             [](uint32_t token) { return static_cast<T>(token); });
        *label++ = static_cast<int32_t>(start[options_.length]);
        *id++ = static_cast<int32_t>(dataset.natural_names.size());
      }
      dataset.natural_names.push_back(text.owner);
    }
  }

  const TextOptions& options_;
  size_t bytes_ = 0;
  std::vector<Text> texts_;
  std::unordered_map<std::string, size_t> by_owner_;
  std::vector<uint32_t> vocabulary_;
  std::unordered_map<uint32_t, size_t> codes_;  // of the vocabulary
};

}  // namespace

Result<Dataset> load_text(const std::filesystem::path& path, const TextOptions& options) {
  UMBEL_RETURN_IF_ERROR(check_options(options));
  UMBEL_ASSIGN_OR_RETURN(const std::vector<FolderEntry> files, files_of(path));
  Corpus corpus(options);
  UMBEL_RETURN_IF_ERROR(corpus.set_vocabulary());
  for (const FolderEntry& file : files) UMBEL_RETURN_IF_ERROR(corpus.add(file));
  Result<Dataset> dataset = corpus.finish(name_of_path(path));
  if (!dataset.ok()) return annotate(dataset.status(), path.string());
  return dataset;
}

Dataset text(const std::filesystem::path& path, const TextOptions& options) {
  return or_throw(load_text(path, options));
}

}  // namespace umbel::data

#include <algorithm>
#include <array>
#include <optional>

#include "umbel/base/buffer.h"
#include "umbel/data/folder_list.h"
#include "umbel/data/gzip.h"
#include "umbel/data/image.h"
#include "umbel/data/open_dataset.h"

namespace umbel::data {

namespace fs = std::filesystem;

namespace {

std::string_view text_of(const Buffer& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// By the name's end; what is told by content has none here.
std::optional<DatasetKind> kind_of_name(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, DatasetKind>, 7> kEnds = {{
      {".npz", DatasetKind::kNpz},
      {".safetensors", DatasetKind::kSafetensors},
      {".csv", DatasetKind::kCsv},
      {".tsv", DatasetKind::kCsv},
      {".json", DatasetKind::kJson},
      {".jsonl", DatasetKind::kJson},
      {".ndjson", DatasetKind::kJson},
  }};
  for (const auto& [end, kind] : kEnds) {
    if (name.ends_with(end)) return kind;
  }
  return std::nullopt;
}

bool is_columnar(std::string_view name) {
  return name.ends_with(".parquet") || name.ends_with(".arrow") || name.ends_with(".feather");
}

Status columnar(const fs::path& path) {
  return invalid_argument(
      "{}: Parquet and Arrow are not read; convert it to CSV or JSON lines, with pandas: "
      "pandas.read_parquet(\"...\").to_json(\"train.jsonl\", orient=\"records\", lines=True)",
      path.string());
}

// The labels' file of "train-images-idx3-ubyte.gz": "train-labels-idx1-ubyte.gz".
Result<DatasetPlace> idx_pair(const fs::path& path) {
  const std::string name = path.filename().string();
  const size_t images = name.find("images");
  const size_t rank = name.find("idx", images == name.npos ? 0 : images);
  if (images == name.npos || rank == name.npos || rank + 3 >= name.size()) {
    return invalid_argument(
        "{}: an IDX file is found with its labels by its name, as in train-images-idx3-ubyte and "
        "train-labels-idx1-ubyte",
        path.string());
  }
  std::string stem = name.substr(0, images) + "labels" + name.substr(images + 6);
  stem[stem.find("idx", images) + 3] = '1';
  constexpr std::string_view kPacked = ".gz";
  std::string other = stem + std::string(kPacked);
  if (stem.ends_with(kPacked)) other = stem.substr(0, stem.size() - kPacked.size());
  std::error_code failed;
  for (const std::string& labels : {stem, other}) {
    const fs::path beside = path.parent_path() / labels;
    if (fs::exists(beside, failed)) return DatasetPlace{DatasetKind::kIdx, {path, beside}};
  }
  return not_found("{}: there is no {} beside it with the labels", path.string(), stem);
}

Result<DatasetPlace> find_file(const fs::path& path) {
  UMBEL_ASSIGN_OR_RETURN(const Buffer bytes, Buffer::map_file(path.string()));
  const std::string_view text = text_of(bytes);
  const std::string name = path.filename().string();
  if (is_columnar(name) || text.starts_with("PAR1") || text.starts_with("ARROW1")) {
    return columnar(path);
  }
  if (text.starts_with("\x93NUMPY")) {
    return invalid_argument(
        "{}: one array; put features and labels into one .npz: numpy.savez(\"d.npz\", x=x, y=y)",
        path.string());
  }
  if (image_format_of(bytes.bytes()) != ImageFormat::kUnknown) {
    return invalid_argument("{}: one image; images are read as FOLDER/CLASS/IMAGE", path.string());
  }
  if (const auto kind = kind_of_name(name)) return DatasetPlace{*kind, {path}};
  if (text.starts_with("PK\x03\x04")) return DatasetPlace{DatasetKind::kNpz, {path}};
  constexpr std::string_view kIdxMagic("\0\0", 2);
  if (is_gzip(bytes.bytes()) || text.starts_with(kIdxMagic)) return idx_pair(path);
  constexpr size_t kLookedAt = 4096;
  if (text.empty()) return invalid_argument("{}: the file is empty", path.string());
  if (text.substr(0, kLookedAt).find('\0') == text.npos) {
    return DatasetPlace{DatasetKind::kText, {path}};
  }
  return invalid_argument(
      "{}: no data set that is known; known are IDX, .npz, .safetensors, .csv, .tsv, .json, "
      ".jsonl, text and folders of these or of images",
      path.string());
}

// True for "train.csv", "train-00000-of-00002.csv" and "train_1.csv" of the split "train".
bool is_of_split(std::string_view name, const std::string& split) {
  if (!name.starts_with(split) || name.size() == split.size()) return false;
  const char next = name[split.size()];
  return next == '.' || next == '-' || next == '_';
}

bool is_description(std::string_view name) {
  return name == "dataset_info.json" || name == "dataset_infos.json" ||
         name == "dataset_dict.json" || name == "state.json";
}

// Files of a split: all of one kind.  Nothing if there are none.
Result<std::optional<DatasetPlace>> find_parts(const std::vector<FolderEntry>& entries,
                                               const std::string& split) {
  std::optional<DatasetPlace> place;
  for (const FolderEntry& entry : entries) {
    if (entry.is_folder || is_description(entry.name)) continue;
    if (!split.empty() && !is_of_split(entry.name, split)) continue;
    if (is_columnar(entry.name)) return columnar(entry.path);
    const auto kind = kind_of_name(entry.name);
    if (!kind) continue;
    if (!place) {
      place = DatasetPlace{*kind, {}};
    } else if (place->kind != *kind || *kind == DatasetKind::kNpz ||
               *kind == DatasetKind::kSafetensors) {
      return invalid_argument("{} and {}: which of the two is it?  Give the file's own path",
                              place->paths.front().string(), entry.path.string());
    }
    place->paths.push_back(entry.path);
  }
  return place;
}

Result<std::optional<DatasetPlace>> find_idx(const std::vector<FolderEntry>& entries,
                                             const std::string& split) {
  const std::string stem = split == "test" ? "t10k" : split;
  for (const FolderEntry& entry : entries) {
    for (const std::string& start : {split + "-images-idx", stem + "-images-idx"}) {
      if (!entry.name.starts_with(start)) continue;
      UMBEL_ASSIGN_OR_RETURN(DatasetPlace place, idx_pair(entry.path));
      return std::optional(std::move(place));
    }
  }
  return std::optional<DatasetPlace>();
}

const FolderEntry* folder_named(const std::vector<FolderEntry>& entries, std::string_view name) {
  const auto found = std::ranges::find_if(
      entries, [&](const FolderEntry& entry) { return entry.is_folder && entry.name == name; });
  return found == entries.end() ? nullptr : &*found;
}

std::string names_of(const std::vector<FolderEntry>& entries) {
  constexpr size_t kShownMax = 8;
  std::string names;
  for (size_t i = 0; i != std::min(entries.size(), kShownMax); ++i) {
    names += (i == 0 ? "" : ", ") + entries[i].name;
  }
  return names + (entries.size() > kShownMax ? ", ..." : "");
}

// The first file among folders of images, or of folders of them; nullptr if there are none.
const FolderEntry* beside_classes(const std::vector<FolderEntry>& entries) {
  const auto holds_images = [](const FolderEntry& entry) {
    if (!entry.is_folder) return false;
    std::error_code failed;
    fs::recursive_directory_iterator at(entry.path, failed);
    constexpr int kLookedAt = 1000;
    constexpr int kDepthMax = 1;  // SITE/CLASS/IMAGE
    for (int i = 0; !failed && i != kLookedAt && at != fs::recursive_directory_iterator(); ++i) {
      const std::string end = at->path().extension().string();
      constexpr std::string_view kEnds[] = {".png", ".jpg", ".jpeg", ".pgm", ".ppm",
                                            ".PNG", ".JPG", ".JPEG", ".PGM", ".PPM"};
      if (std::ranges::find(kEnds, end) != std::end(kEnds)) return true;
      if (at.depth() >= kDepthMax) at.disable_recursion_pending();
      at.increment(failed);
    }
    return false;
  };
  if (std::ranges::none_of(entries, holds_images)) return nullptr;
  const auto stray = std::ranges::find(entries, false, &FolderEntry::is_folder);
  return stray == entries.end() ? nullptr : &*stray;
}

Result<DatasetPlace> find_folder(const fs::path& path, const std::string& split) {
  UMBEL_ASSIGN_OR_RETURN(const std::vector<FolderEntry> entries, list_folder(path));
  if (entries.empty()) return invalid_argument("{}: the folder is empty", path.string());
  UMBEL_ASSIGN_OR_RETURN(auto found, find_parts(entries, split));
  if (found) return *std::move(found);
  UMBEL_ASSIGN_OR_RETURN(found, find_idx(entries, split));
  if (found) return *std::move(found);
  const auto is_folder = [](const FolderEntry& entry) { return entry.is_folder; };
  for (const auto& [name, of_split] : {std::pair{std::string("data"), split}, {split, ""}}) {
    const FolderEntry* inner = folder_named(entries, name);
    if (!inner) continue;
    UMBEL_ASSIGN_OR_RETURN(const auto parts, list_folder(inner->path));
    UMBEL_ASSIGN_OR_RETURN(found, find_parts(parts, of_split));
    if (found) return *std::move(found);
    if (name == split && std::ranges::any_of(parts, is_folder)) {
      return DatasetPlace{DatasetKind::kImageFolder, {inner->path}};
    }
  }
  if (std::ranges::all_of(entries, is_folder))
    return DatasetPlace{DatasetKind::kImageFolder, {path}};
  const bool tables = std::ranges::any_of(entries, [](const FolderEntry& entry) {
    return kind_of_name(entry.name) || is_columnar(entry.name);
  });
  if (!tables && std::ranges::none_of(entries, is_folder)) {
    return DatasetPlace{DatasetKind::kText, {path}};
  }
  const bool splits = folder_named(entries, "train") || folder_named(entries, "test");
  const FolderEntry* stray = splits ? nullptr : beside_classes(entries);
  if (stray) {
    return invalid_argument(
        "{}: a file beside folders; if these are the classes of images, move it out of {}, or hide "
        "it by a name that begins with a dot",
        stray->path.string(), path.string());
  }
  return not_found("{}: there is no split \"{}\" in the folder; there are {}", path.string(), split,
                   names_of(entries));
}

}  // namespace

std::string_view name_of(DatasetKind kind) {
  switch (kind) {
    case DatasetKind::kIdx:
      return "IDX";
    case DatasetKind::kNpz:
      return "npz";
    case DatasetKind::kSafetensors:
      return "safetensors";
    case DatasetKind::kCsv:
      return "CSV";
    case DatasetKind::kJson:
      return "JSON";
    case DatasetKind::kImageFolder:
      return "image folder";
    case DatasetKind::kText:
      break;
  }
  return "text";
}

Result<DatasetPlace> find_dataset(const fs::path& path, const OpenOptions& options) {
  std::error_code failed;
  const fs::file_status status = fs::status(path, failed);
  if (status.type() == fs::file_type::not_found) {
    return not_found("{}: there is no such file or folder", path.string());
  }
  if (failed) return not_found("{}: {}", path.string(), failed.message());
  return fs::is_directory(status) ? find_folder(path, options.split) : find_file(path);
}

}  // namespace umbel::data

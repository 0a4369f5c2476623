#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "umbel/data/dataset.h"
#include "umbel/data/image_folder.h"
#include "umbel/data/text_corpus.h"

namespace umbel::data {

enum class DatasetKind {
  kIdx,
  kNpz,
  kSafetensors,
  kCsv,
  kJson,
  kImageFolder,
  kText,
};
std::string_view name_of(DatasetKind kind);  // "IDX", "image folder", ...

// What the readers cannot know by themselves.  What does not concern a kind is not looked at.
struct OpenOptions {
  std::string split = "train";       // of a folder that has several: train, test, validation
  std::string features;              // array (.npz, .safetensors); empty: "x" and its like
  std::string label;                 // column, key or array; empty: "label", "y" and their like
  std::string natural_id;            // column, key or array that says whose an example is, or none
  std::vector<std::string> ignored;  // columns and keys that are left out
  char separator = '\0';             // of CSV; '\0': a tab for .tsv, otherwise a comma
  ImageFolderOptions images;
  TextOptions text;
};

// What there is at a path.
struct DatasetPlace {
  DatasetKind kind = DatasetKind::kText;
  // The files in the order in which they are read: of IDX the elements' and the labels'; a folder
  // of images, or of texts, itself.
  std::vector<std::filesystem::path> paths;
};

// Finds out by content and by name, without reading what is large:
//
//   *.npz *.safetensors *.csv *.tsv *.json *.jsonl *.ndjson, text, IDX (labels beside it)
//   a folder with SPLIT*.EXT, data/SPLIT*.EXT or SPLIT/*.EXT of one of these, in several parts or
//     one, as data sets are passed around; READMEs and dataset_info.json are not looked at
//   a folder with SPLIT-images-idx* and SPLIT-labels-idx* (of "test" also t10k-)
//   a folder of folders of images, or its folder SPLIT
//   a folder of texts
//
// NOT_FOUND if there is nothing; INVALID_ARGUMENT, saying what to do, for what is none of these
// (also Parquet and Arrow: convert them to CSV or JSON lines).
Result<DatasetPlace> find_dataset(const std::filesystem::path& path,
                                  const OpenOptions& options = {});

// Reads what find_dataset() finds; errors and limits are those of the kind's own reader.
Result<Dataset> open_dataset(const std::filesystem::path& path, const OpenOptions& options = {});
// The same for apps: umbel::Error on failure.
Dataset open(const std::filesystem::path& path, const OpenOptions& options = {});

}  // namespace umbel::data

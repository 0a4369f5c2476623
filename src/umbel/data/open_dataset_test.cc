#include "umbel/data/open_dataset.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <vector>

#include "umbel/data/temporary_folder_test.h"
#include "umbel/record/npy.h"
#include "umbel/record/npz.h"
#include "umbel/record/safetensors.h"

namespace umbel::data {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kCsv = "x,label\n1,0\n2,1\n";
constexpr std::string_view kJsonLine = "{\"x\": 1, \"label\": 2}\n";
constexpr std::string_view kPixels("\0\0\x08\x03\0\0\0\2\0\0\0\1\0\0\0\1ab", 18);
constexpr std::string_view kLabels("\0\0\x08\x01\0\0\0\2\0\1", 10);

class OpenDataset : public TemporaryFolder {
 protected:
  DatasetKind kind(const fs::path& path, const OpenOptions& options = {}) {
    return or_throw(find_dataset(path, options)).kind;
  }
  std::string error(const fs::path& path, const OpenOptions& options = {}) {
    return message_of(open_dataset(path, options).status());
  }
};

TEST_F(OpenDataset, FilesAreKnownByNameAndContent) {
  EXPECT_EQ(kind(write("a.csv", kCsv)), DatasetKind::kCsv);
  EXPECT_EQ(kind(write("a.tsv", "x\tlabel\n1\t0\n")), DatasetKind::kCsv);
  EXPECT_EQ(kind(write("a.jsonl", kJsonLine)), DatasetKind::kJson);
  EXPECT_EQ(kind(write("a.txt", "to be or not")), DatasetKind::kText);
  const ArrayRecord arrays{{"x", Array::of<float>({1})}, {"y", Array::of<uint8_t>({0})}};
  ASSERT_TRUE(write_npz(folder_ / "a.npz", arrays).ok());
  ASSERT_TRUE(write_safetensors(folder_ / "a.safetensors", arrays).ok());
  EXPECT_EQ(kind(folder_ / "a.npz"), DatasetKind::kNpz);
  EXPECT_EQ(kind(folder_ / "a.safetensors"), DatasetKind::kSafetensors);
  EXPECT_EQ(open(folder_ / "a.tsv").size(), 1);
  EXPECT_EQ(open(folder_ / "a.npz").size(), 1);
  EXPECT_EQ(open(folder_ / "a.safetensors").size(), 1);
  EXPECT_EQ(open(folder_ / "a.txt", {.text = {.length = 3}}).size(), 3);
}

TEST_F(OpenDataset, IdxBringsItsLabels) {
  const fs::path images = write("train-images-idx3-ubyte", kPixels);
  EXPECT_THAT(error(images), HasSubstr("there is no train-labels-idx1-ubyte beside it"));
  write("train-labels-idx1-ubyte", kLabels);
  const Dataset dataset = open(images);
  EXPECT_EQ(dataset.features.describe(), "uint8[2,1,1]");
  EXPECT_THAT(dataset.labels.view<int32_t>(), ElementsAre(0, 1));
  EXPECT_EQ(open(folder_).size(), 2);
  write("t10k-images-idx3-ubyte", kPixels);
  write("t10k-labels-idx1-ubyte", kLabels);
  EXPECT_EQ(find_dataset(folder_, {.split = "test"})->paths.front().filename(),
            "t10k-images-idx3-ubyte");
  EXPECT_THAT(error(write("pixels", kPixels)), HasSubstr("found with its labels by its name"));
}

TEST_F(OpenDataset, UsualNamesOfArraysAreFound) {
  ArrayRecord arrays;
  arrays.set("x_train", Array::of<float>({1, 2}));
  arrays.set("y_train", Array::of<int64_t>({0, 1}));
  arrays.set("x_test", Array::of<float>({3}));
  arrays.set("y_test", Array::of<int64_t>({1}));
  const fs::path path = folder_ / "mnist.npz";
  ASSERT_TRUE(write_npz(path, arrays).ok());
  EXPECT_EQ(open(path).size(), 2);
  EXPECT_EQ(open(path, {.split = "test"}).size(), 1);
  EXPECT_EQ(open(path, {.features = "x_test", .label = "y_test"}).size(), 1);
  EXPECT_THAT(error(path, {.split = "validation"}), HasSubstr("there is no array \"x\""));
}

TEST_F(OpenDataset, FoldersAsDataSetsArePassedAround) {
  write("README.md", "about");
  write("dataset_info.json", "{}");
  write("data/train-00001-of-00002.csv", "x,label\n3,0\n");
  write("data/train-00000-of-00002.csv", kCsv);
  write("data/test-00000-of-00001.csv", "x,label\n9,1\n");
  const Dataset train = open(folder_);
  EXPECT_THAT(train.features.view<float>(), ElementsAre(1, 2, 3));
  EXPECT_EQ(open(folder_, {.split = "test"}).size(), 1);
  EXPECT_THAT(error(folder_, {.split = "validation"}), HasSubstr("no split \"validation\""));

  write("b/train.jsonl", kJsonLine);
  write("b/training.csv", kCsv);
  EXPECT_EQ(kind(folder_ / "b"), DatasetKind::kJson);
  write("b/train.csv", kCsv);
  EXPECT_THAT(error(folder_ / "b"), HasSubstr("which of the two is it?"));
  write("c/train/part-1.jsonl", kJsonLine);
  write("c/train/state.json", "{}");
  EXPECT_EQ(open(folder_ / "c").size(), 1);
}

TEST_F(OpenDataset, FoldersOfImagesAndOfTexts) {
  write("a/cat/1.pgm", "P5 1 1 255 a");
  write("a/dog/1.pgm", "P5 1 1 255 b");
  EXPECT_EQ(open(folder_ / "a").classes, 2);
  write("b/train/cat/1.pgm", "P5 1 1 255 a");
  write("b/test/cat/1.pgm", "P5 1 1 255 a");
  write("b/README.md", "about");
  EXPECT_THAT(open(folder_ / "b").class_names, ElementsAre("cat"));
  EXPECT_THAT(error(folder_ / "b", {.split = "validation"}), HasSubstr("no split \"validation\""));
  write("a/labels.csv", kCsv);
  EXPECT_THAT(error(folder_ / "a"),
              HasSubstr("a/labels.csv: a file beside folders; if these are the "
                        "classes of images, move it out of"));
  write("d/north/cat/1.pgm", "P5 1 1 255 a");
  EXPECT_THAT(error(folder_ / "d"), HasSubstr("say --by-site"));
  write("d/notes.txt", "about");
  EXPECT_THAT(error(folder_ / "d"), HasSubstr("d/notes.txt: a file beside folders"));
  write("c/GPL", "to be or not to be");
  EXPECT_EQ(open(folder_ / "c", {.text = {.length = 4}}).size(), 4);
}

TEST_F(OpenDataset, WhatIsNotReadSaysWhatToDo) {
  EXPECT_THAT(error(folder_ / "none"), HasSubstr("there is no such file or folder"));
  EXPECT_THAT(error(write("a.parquet", "PAR1")), HasSubstr("convert it to CSV or JSON lines"));
  EXPECT_THAT(error(write("b", "ARROW1")), HasSubstr("convert it to CSV or JSON lines"));
  write("hf/data/train-00000-of-00001.parquet", "PAR1");
  EXPECT_THAT(error(folder_ / "hf"), HasSubstr("train-00000-of-00001.parquet: Parquet and Arrow"));
  ASSERT_TRUE(write_npy(folder_ / "x.npy", Array::of<float>({1})).ok());
  EXPECT_THAT(error(folder_ / "x.npy"), HasSubstr("numpy.savez"));
  EXPECT_THAT(error(write("1.pgm", "P5 1 1 255 a")), HasSubstr("one image"));
  EXPECT_THAT(error(write("core", std::string_view("ELF\0\1", 5))), HasSubstr("known are IDX"));
  EXPECT_THAT(error(write("nothing", "")), HasSubstr("the file is empty"));
  fs::create_directories(folder_ / "void");
  EXPECT_THAT(error(folder_ / "void"), HasSubstr("the folder is empty"));
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(error(folder_ / "pipe"), HasSubstr("not a regular file"));
  fs::create_symlink("loop", folder_ / "loop");
  EXPECT_NE(error(folder_ / "loop"), "");
}

}  // namespace
}  // namespace umbel::data

#include "umbel/data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include "umbel/base/sha256.h"
#include "umbel/data/array_cache.h"

namespace umbel::data {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

Dataset small() {
  return {
      Array::zeros(DType::kUint8, {3, 2, 2}), Array::of<int32_t>({0, 2, 1}), 3, "small", {}, {}};
}
std::string error_of(const Dataset& dataset) { return message_of(check(dataset)); }

TEST(Dataset, CheckNamesWhatIsWrong) {
  EXPECT_EQ(error_of(small()), "");
  Dataset dataset = small();
  dataset.labels = Array::of<int32_t>({0, 3, 1});
  EXPECT_EQ(error_of(dataset), "small: example 1 has label 3, expected 0 to 2");
  dataset.labels = Array::of<int32_t>({0, 0, -1});
  EXPECT_EQ(error_of(dataset), "small: example 2 has label -1, expected 0 to 2");
  dataset.labels = Array::of<int32_t>({0, 0});
  EXPECT_THAT(error_of(dataset), HasSubstr("expected an example for each of 2 labels"));
  dataset.labels = Array::of<int64_t>({0, 0, 0});
  EXPECT_THAT(error_of(dataset), HasSubstr("labels are int64[3], expected int32[n]"));
  dataset = small();
  dataset.features = Array::zeros(DType::kFloat64, {3, 1});
  EXPECT_THAT(error_of(dataset), HasSubstr("expected uint8, int32 or float32"));
  dataset = small();
  dataset.classes = 0;
  EXPECT_THAT(error_of(dataset), HasSubstr("0 classes"));
  dataset = small();
  dataset.class_names = {"a"};
  EXPECT_THAT(error_of(dataset), HasSubstr("1 class names for 3 classes"));
}

TEST(Dataset, CheckHoldsNaturalIdsToTheExamplesAndTheirNames) {
  Dataset dataset = small();
  dataset.natural_ids = Array::of<int32_t>({7, 0, 7});
  EXPECT_EQ(error_of(dataset), "");
  dataset.natural_names = {"ada", "bob"};
  EXPECT_EQ(error_of(dataset), "small: example 0 has natural id 7, expected 0 to 1");
  dataset.natural_ids = Array::of<int32_t>({1, 0});
  EXPECT_EQ(error_of(dataset), "small: natural ids are int32[2], expected int32[3] or none");
  dataset.natural_ids = Array::of<int64_t>({1, 0, 1});
  EXPECT_THAT(error_of(dataset), HasSubstr("natural ids are int64[3], expected int32[3]"));
  dataset.natural_ids = Array::of<int32_t>({0, -1, 0});
  EXPECT_THAT(error_of(dataset), HasSubstr("example 1 has natural id -1, expected 0 to 1"));
}

TEST(Dataset, FeatureSizeIsOfOneExample) {
  EXPECT_EQ(small().feature_size(), 4);
  EXPECT_EQ(Dataset().feature_size(), 0);
}

// A folder of its own for $UMBEL_HOME, and the environment as it was afterwards.
class HomeTest : public testing::Test {
 protected:
  HomeTest() {
    std::string name = testing::TempDir() + "/dataset_test_XXXXXX";
    folder_ = ::mkdtemp(name.data());
    if (const char* old = std::getenv("UMBEL_HOME")) before_ = old;
    ::setenv("UMBEL_HOME", (folder_ / "home").c_str(), 1);
    ::unsetenv("UMBEL_FASHION_MNIST");
  }
  ~HomeTest() override {
    if (before_.empty()) {
      ::unsetenv("UMBEL_HOME");
    } else {
      ::setenv("UMBEL_HOME", before_.c_str(), 1);
    }
    ::unsetenv("UMBEL_FASHION_MNIST");
    fs::remove_all(folder_);
  }
  void write(const fs::path& path, const std::string& bytes) {
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
  }
  fs::path folder_;
  std::string before_;
};

const std::string kThreeBytes{
    "\0\0\x08\x01\0\0\0\x03"
    "abc",
    11};
const std::string kOtherBytes{
    "\0\0\x08\x01\0\0\0\x03"
    "xyz",
    11};

using CacheTest = HomeTest;

TEST_F(CacheTest, SecondReadIsMappedAndTheSame) {
  const fs::path source = folder_ / "a.idx";
  const fs::path cache = folder_ / "deep" / "cache";
  write(source, kThreeBytes);
  const Array first = or_throw(read_idx_cached(source, cache));
  EXPECT_EQ(fs::file_size(cache), kCacheHeaderBytes + 3);
  Array second = or_throw(read_idx_cached(source, cache));
  EXPECT_EQ(second, first);
  EXPECT_FALSE(second.buffer().sole_owner());  // mapped bytes are never written
  second.mutable_view<uint8_t>()[0] = 'z';
  EXPECT_EQ(or_throw(read_idx_cached(source, cache)), first);
}

TEST_F(CacheTest, ArraysOfAllShapesComeBack) {
  const fs::path cache = folder_ / "cache";
  for (const Array& array :
       {Array::of<double>({1, 2}), Array::zeros(DType::kInt16, {2, 0, 3}),
        Array::zeros(DType::kUint8, {1, 2, 1, 2, 1, 2, 1, 2}), Array::zeros(DType::kFloat32, {})}) {
    ASSERT_TRUE(store_array(cache, "stamp", array).ok());
    EXPECT_EQ(or_throw(map_array(cache, "stamp")), array);
  }
  EXPECT_FALSE(
      store_array(cache, "", Array::zeros(DType::kInt8, {1, 1, 1, 1, 1, 1, 1, 1, 1})).ok());
}

TEST_F(CacheTest, ChangedSourceIsReadAgain) {
  const fs::path source = folder_ / "a.idx";
  const fs::path cache = folder_ / "cache";
  write(source, kThreeBytes);
  or_throw(read_idx_cached(source, cache));
  const auto time = fs::last_write_time(source);
  write(source, kOtherBytes);
  fs::last_write_time(source, time + std::chrono::seconds(1));
  EXPECT_EQ(or_throw(read_idx_cached(source, cache)), Array::of<uint8_t>({'x', 'y', 'z'}));
}

TEST_F(CacheTest, CacheOfAnotherSourceIsNotUsed) {
  const fs::path cache = folder_ / "cache";
  write(folder_ / "a.idx", kThreeBytes);
  write(folder_ / "b.idx", kOtherBytes);
  fs::last_write_time(folder_ / "b.idx", fs::last_write_time(folder_ / "a.idx"));
  or_throw(read_idx_cached(folder_ / "a.idx", cache));
  EXPECT_EQ(or_throw(read_idx_cached(folder_ / "b.idx", cache)),
            Array::of<uint8_t>({'x', 'y', 'z'}));
}

TEST_F(CacheTest, EveryDamageToHeaderOrLengthIsNoticedAndMended) {
  const fs::path source = folder_ / "a.idx";
  const fs::path cache = folder_ / "cache";
  write(source, kThreeBytes);
  const Array array = or_throw(read_idx_cached(source, cache));
  std::ifstream in(cache, std::ios::binary);
  const std::string good{std::istreambuf_iterator<char>(in), {}};
  std::vector<std::string> damaged{"", good.substr(0, 100), good.substr(0, good.size() - 1),
                                   good + "x"};
  for (size_t i = 0; i != 16 + 64 + 4 + 4 + 64 + 4; ++i) {
    damaged.push_back(good);
    damaged.back()[i] ^= 1;
  }
  for (const std::string& bytes : damaged) {
    write(cache, bytes);
    EXPECT_EQ(or_throw(read_idx_cached(source, cache)), array);
    EXPECT_EQ(fs::file_size(cache), good.size());
  }
}

TEST_F(CacheTest, CacheThatCannotBeWrittenIsNoError) {
  const fs::path source = folder_ / "a.idx";
  write(source, kThreeBytes);
  write(folder_ / "file", "");
  const fs::path nowhere = folder_ / "file" / "cache";
  EXPECT_EQ(or_throw(read_idx_cached(source, nowhere)), Array::of<uint8_t>({'a', 'b', 'c'}));
  fs::create_directories(folder_ / "taken" / "x");
  EXPECT_EQ(or_throw(read_idx_cached(source, folder_ / "taken")),
            Array::of<uint8_t>({'a', 'b', 'c'}));
}

using FashionMnistTest = HomeTest;

TEST_F(FashionMnistTest, MissingFilesSayHowToInstallThem) {
  ::setenv("UMBEL_FASHION_MNIST", (folder_ / "none").c_str(), 1);
  const Status status = load_fashion_mnist(Split::kTrain).status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_THAT(message_of(status), HasSubstr("apt install dataset-fashion-mnist"));
  EXPECT_THAT(message_of(status), HasSubstr((folder_ / "none").string()));
  EXPECT_THROW(fashion_mnist(Split::kTest), Error);
}

TEST_F(FashionMnistTest, FilesThatDoNotBelongTogetherAreAnError) {
  ::setenv("UMBEL_FASHION_MNIST", folder_.c_str(), 1);
  write(folder_ / "train-labels-idx1-ubyte.gz", kThreeBytes);
  write(folder_ / "train-images-idx3-ubyte.gz", kThreeBytes.substr(0, 7) + "\x01" + "a");
  EXPECT_THAT(message_of(load_fashion_mnist(Split::kTrain).status()),
              HasSubstr("fashion-mnist/train: features are uint8[1]"));
  write(folder_ / "train-images-idx3-ubyte.gz", kOtherBytes);
  EXPECT_THAT(message_of(load_fashion_mnist(Split::kTrain).status()),
              HasSubstr("example 0 has label 97, expected 0 to 9"));
}

// The hashes are NumPy's, of the same files.
TEST_F(FashionMnistTest, HasTheKnownPixelsAndLabelsFirstAndSecondTime) {
  const Result<Dataset> train = load_fashion_mnist(Split::kTrain);
  if (absl::IsNotFound(train.status())) GTEST_SKIP() << message_of(train.status());
  ASSERT_TRUE(train.ok()) << train.status();
  ASSERT_TRUE(fs::exists(folder_ / "home/cache/fashion-mnist/train-images.umbel-array"));
  for (const Dataset& dataset : {*train, fashion_mnist(Split::kTrain)}) {
    EXPECT_EQ(dataset.features.describe(), "uint8[60000,28,28]");
    EXPECT_EQ(sha256_hex(dataset.features.bytes()),
              "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012");
    EXPECT_EQ(sha256_hex(dataset.labels.bytes()),
              "d69b1d6e0b8064974aa5aecc2786f961b8b2be829ee3a39dd8989efee46cad5a");
    EXPECT_EQ(dataset.class_names[9], "Ankle boot");
  }
  const Dataset test = fashion_mnist(Split::kTest);
  EXPECT_EQ(test.features.describe(), "uint8[10000,28,28]");
  EXPECT_EQ(sha256_hex(test.features.bytes()),
            "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a");
  EXPECT_EQ(sha256_hex(test.labels.bytes()),
            "53fdd09ed9cbcd893df0e3b0af7802f2d62457de11c87273d4b4186f4992a40c");
}

}  // namespace
}  // namespace umbel::data

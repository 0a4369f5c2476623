#include "umbel/record/npz.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <zip.h>

#include "umbel/base/files.h"
#include "umbel/record/npy.h"
#include "umbel/record/npy_arbitrary_test.h"

namespace umbel {
namespace {

using testing::HasSubstr;

struct ZipEntry {
  std::string name;
  std::string content;
};

// An archive as another program might make it.
std::string zip_file(const std::vector<ZipEntry>& entries, int method = ZIP_CM_DEFLATE) {
  const std::string path = testing::TempDir() + "umbel_npz_test.zip";
  zip_t* archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
  for (const auto& [name, content] : entries) {
    zip_source_t* source = zip_source_buffer(archive, content.data(), content.size(), 0);
    const auto index = zip_file_add(archive, name.c_str(), source, 0);
    EXPECT_GE(index, 0);
    EXPECT_EQ(zip_set_file_compression(archive, index, method, 0), 0);
  }
  EXPECT_EQ(zip_close(archive), 0);
  return *read_file(path, size_t{1} << 30);
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  EXPECT_EQ(from.size(), to.size());
  for (size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

std::string npy_of(const Array& array) {
  return *format_npy_header(array) + text_of(array.bytes());
}

Status refused(const std::string& file) { return parse_npz(bytes_of(file)).status(); }

TEST(Npz, OwnArchivesAreMappedInPlace) {
  ArrayRecord arrays;
  for (const char* name : {"a", "bb", "ccc", "dddd", "eeeeee", "\xc3\xa4"}) {
    arrays.set(name, Array::copy_of<uint8_t>(std::vector<uint8_t>{1, 2, 3}, {3}));
    arrays.set(std::string(name) + "f", Array::copy_of<double>(std::vector<double>{1, 2}, {2}));
    arrays.set(std::string(name) + "s", Array::copy_of<float>(std::vector<float>{7}, {}));
  }
  const Buffer file = *format_npz(arrays);
  const ArrayRecord read = *parse_npz(file);
  EXPECT_EQ(read, arrays);
  for (const auto& [name, array] : read) {
    const auto at = array.bytes().data() - file.data();
    EXPECT_TRUE(at > 0 && at < static_cast<ptrdiff_t>(file.size())) << name;
    EXPECT_EQ(at % 64, 0) << name;
  }
}

TEST(Npz, DamagedStoredArrayIsRefused) {
  ArrayRecord arrays;
  arrays.set("a", Array::copy_of<uint8_t>(std::vector<uint8_t>(1000, 7), {1000}));
  std::string file = text_of(format_npz(arrays)->bytes());
  file[file.find(std::string(100, 7)) + 50] = 8;
  EXPECT_THAT(message_of(refused(file)), HasSubstr("entry \"a.npy\""));
  // Who maps it looks at no sum.
  const std::string path = testing::TempDir() + "umbel_npz_damaged.npz";
  ASSERT_TRUE(write_file_atomic(path, file).ok());
  EXPECT_FALSE(read_npz(path).ok());
  EXPECT_EQ(map_npz(path)->at("a").size(), 1000);
}

TEST(Npz, ParseOfFormatIsTheRecord) {
  EXPECT_TRUE(rc::check("parse_npz(format_npz(arrays)) == arrays", [] {
    const ArrayRecord arrays =
        arbitrary_record([](DType dtype) { return dtype != DType::kBfloat16; });
    const Result<Buffer> file = format_npz(arrays);
    RC_ASSERT(file.ok());
    const Result<ArrayRecord> read = parse_npz(*file);
    RC_ASSERT(read.ok());
    RC_ASSERT(*read == arrays);
    RC_ASSERT(*format_npz(*read) == *file);
  }));
}

TEST(Npz, DeflatedEntriesAreRead) {
  const Array array = Array::zeros(DType::kFloat64, {1000, 10});
  const std::string file = zip_file({{"b.npy", npy_of(array)}, {"a.npy", npy_of(array)}});
  EXPECT_LT(file.size(), 2000u);
  const Result<ArrayRecord> read = parse_npz(bytes_of(file));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->names(), "b, a");
  EXPECT_EQ(read->at("a"), array);
}

TEST(Npz, FilesAreWrittenAndRead) {
  const std::string path = testing::TempDir() + "umbel_npz_test.npz";
  const ArrayRecord arrays{{"w", Array::of<float>({1, 2})}, {"n", Array::of<int64_t>({3})}};
  ASSERT_TRUE(write_npz(path, arrays).ok());
  EXPECT_EQ(*read_npz(path), arrays);
  const std::string before = *read_file(path, 10'000);
  const Status status = write_npz(path, {{"h", Array::zeros(DType::kBfloat16, {1})}});
  EXPECT_THAT(message_of(status), HasSubstr("array \"h\": an .npy file cannot hold bfloat16"));
  EXPECT_EQ(*read_file(path, 10'000), before);
  ASSERT_TRUE(write_file_atomic(path, "no archive").ok());
  EXPECT_THAT(message_of(read_npz(path).status()), HasSubstr(path + ": npz: not a zip archive"));
}

TEST(Npz, NamesThatAZipCannotHoldAreRefused) {
  const Array array = Array::of<float>({1});
  EXPECT_FALSE(format_npz({{std::string("a\0b", 3), array}}).ok());
  EXPECT_FALSE(format_npz({{"\xff\xfe", array}}).ok());
}

TEST(Npz, HostileArchivesAreRefusedWithTheirReason) {
  const std::string npy = npy_of(Array::of<float>({1, 2, 3}));
  EXPECT_THAT(message_of(refused("")), HasSubstr("not a zip archive"));
  EXPECT_THAT(message_of(refused("PK\x03\x04 and no more")), HasSubstr("not a zip archive"));
  EXPECT_THAT(message_of(refused(zip_file({{"a.txt", npy}}))),
              HasSubstr("entry \"a.txt\" is not named *.npy"));
  const std::string two = zip_file({{"a.npy", npy}, {"b.npy", npy}});
  EXPECT_THAT(message_of(refused(replaced(two, "b.npy", "a.npy"))),
              HasSubstr("entry \"a.npy\" appears twice"));
  EXPECT_THAT(message_of(refused(zip_file({{"a.npy", npy.substr(0, npy.size() - 1)}}))),
              HasSubstr("entry \"a.npy\": npy: float32[3] takes 12 bytes"));
  EXPECT_THAT(message_of(refused(zip_file({{"a.npy", npy}}, ZIP_CM_BZIP2))),
              HasSubstr("method 12"));
  EXPECT_THAT(message_of(refused(zip_file({{"a.npy", "junk"}}))), HasSubstr("not an .npy file"));
}

TEST(Npz, DamagedContentFailsItsChecksum) {
  std::string file = zip_file({{"a.npy", npy_of(Array::of<float>({1, 2, 3}))}}, ZIP_CM_STORE);
  const size_t at = file.find(
      text_of(std::as_bytes(std::span<const float>(Array::of<float>({1, 2, 3}).view<float>()))));
  ASSERT_NE(at, file.npos);
  file[at] = static_cast<char>(file[at] ^ 1);
  EXPECT_THAT(message_of(refused(file)), HasSubstr("CRC"));
}

TEST(Npz, DeclaredLengthsThatLieAreRefused) {
  // The length unpacked is bytes 24 to 27 of the directory's entry.
  const std::string file = zip_file({{"a.npy", npy_of(Array::zeros(DType::kFloat32, {1000}))}});
  const size_t entry = file.find("PK\x01\x02");
  ASSERT_NE(entry, file.npos);
  for (const uint32_t declared : {1u, 4127u, 4129u, 1u << 24}) {
    std::string lie = file;
    std::memcpy(lie.data() + entry + 24, &declared, 4);
    EXPECT_FALSE(refused(lie).ok()) << declared;
  }
}

TEST(Npz, BombsAreRefusedBeforeAnythingIsUnpacked) {
  // 100 MiB of zeros in 100 KiB; and a small archive that says 4 GiB.
  const std::string zeros = npy_of(Array::zeros(DType::kUint8, {100 << 20}));
  const Buffer bomb = bytes_of(zip_file({{"a.npy", zeros}}));
  std::string liar = zip_file({{"a.npy", npy_of(Array::zeros(DType::kFloat32, {1000}))}});
  const uint32_t declared = 0xfffffff0;
  std::memcpy(liar.data() + liar.find("PK\x01\x02") + 24, &declared, 4);
  for (const Buffer& file : {bomb, bytes_of(liar)}) {
    const LargestAllocation watch;
    const Status status = parse_npz(file).status();
    EXPECT_LE(watch.bytes(), 1u << 16);
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    EXPECT_THAT(message_of(status), HasSubstr("takes the total past 67108864 bytes"));
  }
}

TEST(Npz, TooManyEntriesAreRefused) {
  std::vector<ZipEntry> entries;
  for (uint64_t i = 0; i <= kNpzEntriesMax; ++i)
    entries.push_back({std::to_string(i) + ".npy", ""});
  const Status status = refused(zip_file(entries));
  EXPECT_THAT(message_of(status), HasSubstr("10001 entries, the limit is 10000"));
}

}  // namespace
}  // namespace umbel

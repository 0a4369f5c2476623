#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "umbel/bundle/hostile_archive_test.h"

namespace umbel::bundle {
namespace {

using testing::HasSubstr;

// 16 bytes that every reader of Zstandard skips (RFC 8878, 3.1.2).
const std::string kSkippable = std::string("\x50\x2a\x4d\x18\x08\0\0\0", 8) + "12345678";

// A frame of run-length blocks: 131,072 zeros for every 4 bytes.
std::string run_length_frame(int blocks, char window = 0x50) {
  std::string frame = std::string("\x28\xb5\x2f\xfd\0", 5) + window;
  for (int i = 0; i != blocks; ++i) {
    const uint32_t header = (131'072u << 3) | (1u << 1) | (i + 1 == blocks ? 1u : 0u);
    for (int j = 0; j != 3; ++j) frame += static_cast<char>(header >> (8 * j));
    frame += '\0';
  }
  return frame;
}

Status status_of(const std::string& archive) { return verify(bytes_of(archive)).status(); }

TEST(Frame, NothingIsBeforeBetweenOrAfter) {
  const std::string archive = Forgery().archive();
  ASSERT_TRUE(status_of(archive).ok());
  const std::string other = compressed("more");
  for (const std::string& bad : {kSkippable + archive, archive + kSkippable, archive + other,
                                 other + archive, archive + archive, archive + std::string(1, '\0'),
                                 "#!/bin/sh\n" + archive, archive + std::string(100'000, 'x')}) {
    EXPECT_EQ(status_of(bad).code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(Frame, ACutArchiveIsRefusedWhereverItIsCut) {
  const std::string archive = Forgery().archive();
  for (size_t size = 0; size != archive.size(); ++size) {
    EXPECT_EQ(status_of(archive.substr(0, size)).code(), absl::StatusCode::kInvalidArgument)
        << size;
  }
}

TEST(Frame, AChangedByteIsRefusedOrChangesNothingThatIsRead) {
  const std::string archive = Forgery().archive();
  const auto whole = verify(bytes_of(archive));
  ASSERT_TRUE(whole.ok());
  int refused = 0;
  for (size_t i = 0; i != archive.size() * 8; ++i) {
    std::string other = archive;
    other[i / 8] ^= static_cast<char>(1 << i % 8);
    const auto found = verify(bytes_of(other));
    if (!found.ok()) {
      ++refused;
      continue;
    }
    EXPECT_NE(found->sha256, whole->sha256);
    EXPECT_EQ(found->signer, whole->signer);
    ASSERT_EQ(found->files.size(), whole->files.size());
    for (size_t f = 0; f != found->files.size(); ++f) {
      EXPECT_EQ(found->files[f].sha256, whole->files[f].sha256);
    }
  }
  EXPECT_GT(refused, static_cast<int>(archive.size()) * 7);
}

TEST(Frame, OtherFormatsAreRefused) {
  const std::string tar = tar_of({{"a", "x"}});
  const std::string zip = std::string("PK\x03\x04", 4) + std::string(100, '\0');
  for (const std::string& bad :
       {std::string(), tar, zip, "\x1f\x8b\x08" + std::string(100, '\0'), std::string("BZh9"),
        std::string("\xfd"
                    "7zXZ\0",
                    6),
        std::string("7z\xbc\xaf\x27\x1c"), std::string("#mtree\n"), std::string(100'000, 'x')}) {
    EXPECT_THAT(message_of(status_of(bad)), HasSubstr("not compressed with Zstandard"));
  }
  EXPECT_FALSE(status_of(compressed(zip)).ok());
  EXPECT_FALSE(status_of(compressed(compressed(tar))).ok());
  EXPECT_FALSE(status_of(compressed("")).ok());
}

TEST(Frame, ADictionaryAndALargeWindowAreRefused) {
  std::string dictionary = run_length_frame(1);
  dictionary[4] = 1;
  EXPECT_THAT(message_of(status_of(dictionary)), HasSubstr("dictionary"));
  for (const char window : {'\x69', '\x70', '\xff'}) {  // more than 8 MiB
    EXPECT_EQ(status_of(run_length_frame(1, window)).code(), absl::StatusCode::kResourceExhausted);
  }
  EXPECT_THAT(message_of(status_of(run_length_frame(1, '\x68'))), HasSubstr("umbel-bundle.json"));
}

TEST(Frame, ABombIsRefusedAtTheRatio) {
  // A list that promises 64 MiB of zeros, which it has.
  Forgery forgery;
  forgery.files = {{"zeros", std::string(64 << 20, '\0')}};
  const Status status = status_of(forgery.archive());
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(message_of(status), HasSubstr("200 times"));
}

TEST(Frame, TooManyBytesAndFilesAreRefusedByTheList) {
  Forgery sizes;
  sizes.change_list = [](auto& files) {
    files[0].bytes = (kUnpackedBytesMax / 2) + 1;
    files[1].bytes = kUnpackedBytesMax / 2;
  };
  EXPECT_EQ(status_of(sizes.archive()).code(), absl::StatusCode::kResourceExhausted);
  sizes.change_list = [](auto& files) { files[0].bytes = UINT64_MAX; };
  EXPECT_EQ(status_of(sizes.archive()).code(), absl::StatusCode::kResourceExhausted);
  Forgery many;
  many.files.clear();
  for (int i = 0; i != 10'001; ++i) many.files.push_back({fmt::format("f{:06}", i), ""});
  EXPECT_EQ(status_of(many.archive()).code(), absl::StatusCode::kResourceExhausted);
  const std::string too_large(kArchiveBytesMax + 1, 'x');
  EXPECT_EQ(status_of(too_large).code(), absl::StatusCode::kResourceExhausted);
}

TEST(Frame, WhatIsCompressedComesBack) {
  std::mt19937 random(7);
  for (const size_t size : {1u, 511u, 131'072u, 131'073u, 5'000'000u}) {
    std::string text(size, '\0');
    for (char& c : text) c = static_cast<char>(random() % 7);
    const std::string frame = compressed(text);
    ASSERT_TRUE(require_one_frame(bytes_of(frame)).ok());
    EXPECT_EQ(frame, compressed(text));
    Decompressor decompressor(bytes_of(frame));
    std::string back;
    while (true) {
      const auto piece = decompressor.next(1000);
      ASSERT_TRUE(piece.ok()) << piece.status();
      if (piece->empty()) break;
      back.append(reinterpret_cast<const char*>(piece->data()), piece->size());
    }
    EXPECT_EQ(back, text);
  }
}

}  // namespace
}  // namespace umbel::bundle

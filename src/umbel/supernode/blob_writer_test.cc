#include "umbel/supernode/blob_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>

#include "umbel/base/rng.h"

namespace umbel::supernode {
namespace {

using testing::HasSubstr;

std::vector<std::byte> random_blob(Rng& rng, size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(rng.bits());
  return bytes;
}

wire::BlobRef ref_of(std::span<const std::byte> blob) {
  return {.size = blob.size(), .id = 5, .here = {}, .crc32 = wire::chunk_crcs(blob)};
}

// Gives bytes [from, to) in pieces of random sizes.
Status give(BlobWriter& writer, std::span<const std::byte> blob, size_t from, size_t to, Rng& rng) {
  while (from != to) {
    const size_t size = 1 + rng.below(std::min<size_t>(to - from, 300'000));
    UMBEL_RETURN_IF_ERROR(writer.take(blob.subspan(from, size)));
    from += size;
  }
  return absl::OkStatus();
}

TEST(BlobWriter, WhatCameInAnyPiecesIsTheBlob) {
  for (const size_t size : {size_t{0}, size_t{1}, wire::kChunkBytes, wire::kChunkBytes + 1,
                            3 * wire::kChunkBytes + 777}) {
    Rng rng(size);
    const auto blob = random_blob(rng, size);
    auto writer = BlobWriter::create(ref_of(blob));
    ASSERT_TRUE(writer.ok()) << writer.status();
    ASSERT_TRUE(give(*writer, blob, 0, size, rng).ok());
    ASSERT_TRUE(writer->is_done());
    auto whole = std::move(*writer).finish();
    ASSERT_TRUE(whole.ok()) << whole.status();
    const auto mapped = whole->map();
    ASSERT_TRUE(mapped.ok());
    EXPECT_TRUE(std::ranges::equal(mapped->bytes(), blob));
  }
}

TEST(BlobWriter, AfterACutTheBytesComeAgainFromTheLastGoodChunk) {
  Rng rng(3);
  const auto blob = random_blob(rng, 4 * wire::kChunkBytes + 99);
  auto writer = BlobWriter::create(ref_of(blob));
  ASSERT_TRUE(writer.ok());
  while (!writer->is_done()) {
    const uint64_t from = writer->offset();
    EXPECT_EQ(from % wire::kChunkBytes, 0);
    const uint64_t cut = std::min<uint64_t>(blob.size(), from + rng.below(3 * wire::kChunkBytes));
    ASSERT_TRUE(give(*writer, blob, from, cut, rng).ok());
    writer->rewind();
  }
  const auto whole = std::move(*writer).finish();
  ASSERT_TRUE(whole.ok());
  EXPECT_TRUE(std::ranges::equal(whole->map()->bytes(), blob));
}

TEST(BlobWriter, AChangedBitIsFoundInItsChunkAndTheOthersAreKept) {
  Rng rng(4);
  const auto blob = random_blob(rng, 3 * wire::kChunkBytes);
  auto changed = blob;
  changed[wire::kChunkBytes + 17] ^= std::byte{4};
  auto writer = BlobWriter::create(ref_of(blob));
  ASSERT_TRUE(writer.ok());
  const Status status = give(*writer, changed, 0, changed.size(), rng);
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_THAT(message_of(status), HasSubstr("chunk 1 of 3"));
  EXPECT_EQ(writer->offset(), wire::kChunkBytes);
  ASSERT_TRUE(give(*writer, blob, wire::kChunkBytes, blob.size(), rng).ok());
  EXPECT_TRUE(writer->is_done());
}

TEST(BlobWriter, MoreThanAnnouncedIsRefused) {
  Rng rng(5);
  const auto blob = random_blob(rng, 1000);
  auto writer = BlobWriter::create(ref_of(blob));
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE(writer->take(blob).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(writer->take(std::span(blob).first(1))));
}

TEST(BlobWriter, ChecksumsMustBeOneForEachChunk) {
  EXPECT_FALSE(BlobWriter::create({.size = 10, .id = 1}).ok());
  EXPECT_FALSE(BlobWriter::create({.size = UINT64_MAX, .id = 1, .here = {}, .crc32 = {1}}).ok());
}

}  // namespace
}  // namespace umbel::supernode

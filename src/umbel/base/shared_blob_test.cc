#include "umbel/base/shared_blob.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "umbel/base/error.h"

namespace umbel {
namespace {

using ::testing::HasSubstr;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}
SharedBlob sealed(std::string_view text) {
  SharedBlob blob = or_throw(SharedBlob::create(text.size()));
  or_throw(blob.write(0, bytes_of(text)));
  or_throw(blob.seal());
  return blob;
}
Descriptor copy_of(const SharedBlob& blob) {
  return Descriptor(::fcntl(blob.descriptor(), F_DUPFD_CLOEXEC, 0));
}

TEST(DescriptorTest, ClosesItselfOnce) {
  int number = -1;
  {
    Descriptor one(::memfd_create("test", MFD_CLOEXEC));
    number = one.get();
    Descriptor other(std::move(one));
    EXPECT_FALSE(one);
    EXPECT_EQ(other.get(), number);
    one = std::move(other);
    EXPECT_EQ(one.get(), number);
    const Descriptor copy = or_throw(one.duplicate());
    EXPECT_NE(copy.get(), number);
    EXPECT_EQ(::fcntl(copy.get(), F_GETFD), FD_CLOEXEC);
  }
  EXPECT_EQ(::fcntl(number, F_GETFD), -1);
  EXPECT_FALSE(Descriptor().duplicate().ok());
}

TEST(SharedBlobTest, WhatIsWrittenInPiecesIsReadAndMappedByWhoeverAdoptsIt) {
  std::string text(100'000, 'a');
  for (size_t i = 0; i != text.size(); ++i) text[i] = static_cast<char>(i * 7);
  SharedBlob blob = or_throw(SharedBlob::create(text.size()));
  or_throw(blob.write(50'000, bytes_of(text).subspan(50'000)));
  or_throw(blob.write(0, bytes_of(text).first(50'000)));
  or_throw(blob.seal());

  Buffer mapped;
  {
    const SharedBlob other = or_throw(SharedBlob::adopt(copy_of(blob), text.size()));
    EXPECT_EQ(other.size(), text.size());
    std::vector<std::byte> middle(10);
    or_throw(other.read(777, middle));
    EXPECT_TRUE(std::ranges::equal(middle, bytes_of(text).subspan(777, 10)));
    mapped = or_throw(other.map());
  }
  EXPECT_TRUE(std::ranges::equal(mapped.bytes(), bytes_of(text)));
  EXPECT_FALSE(mapped.sole_owner());
}

TEST(SharedBlobTest, NobodyCanChangeItOnceItIsSealed) {
  SharedBlob blob = sealed("model");
  EXPECT_EQ(blob.write(0, bytes_of("x")).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(::ftruncate(blob.descriptor(), 1), 0);
  EXPECT_EQ(::mmap(nullptr, 5, PROT_READ | PROT_WRITE, MAP_SHARED, blob.descriptor(), 0),
            MAP_FAILED);
  EXPECT_FALSE(blob.seal().ok());
  std::vector<std::byte> all(5);
  or_throw(blob.read(0, all));
  EXPECT_TRUE(std::ranges::equal(all, bytes_of("model")));
}

TEST(SharedBlobTest, AdoptRefusesWhatCouldChangeOrIsOfAnotherKind) {
  const auto refusal = [](Descriptor descriptor, uint64_t size) {
    const auto result = SharedBlob::adopt(std::move(descriptor), size);
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
    return message_of(result.status());
  };
  const SharedBlob open = or_throw(SharedBlob::create(4));
  EXPECT_THAT(refusal(copy_of(open), 4), HasSubstr("not sealed"));
  EXPECT_THAT(refusal(copy_of(sealed("four")), 5), HasSubstr("4 bytes, expected 5"));
  EXPECT_THAT(refusal(copy_of(sealed("four")), 3), HasSubstr("4 bytes, expected 3"));
  EXPECT_THAT(refusal(Descriptor(::open("/dev/zero", O_RDONLY)), 4), HasSubstr("another kind"));
  EXPECT_THAT(refusal(Descriptor(), 4), HasSubstr("another kind"));
  // Sealed against everything but writing.
  Descriptor writable(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(writable.get(), 4), 0);
  ASSERT_EQ(::fcntl(writable.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
  EXPECT_THAT(refusal(std::move(writable), 4), HasSubstr("not sealed"));
}

TEST(SharedBlobTest, PlacesOutsideAreRefused) {
  SharedBlob blob = or_throw(SharedBlob::create(4));
  std::vector<std::byte> five(5), one(1);
  EXPECT_FALSE(blob.write(0, five).ok());
  EXPECT_FALSE(blob.write(4, one).ok());
  EXPECT_FALSE(blob.write(UINT64_MAX, one).ok());
  EXPECT_FALSE(blob.read(UINT64_MAX, one).ok());
  EXPECT_FALSE(blob.read(0, five).ok());
  EXPECT_FALSE(SharedBlob::create(UINT64_MAX).ok());
}

TEST(SharedBlobTest, EmptyIsABlobLikeAnyOther) {
  const SharedBlob blob = sealed("");
  EXPECT_TRUE(or_throw(blob.map()).empty());
  EXPECT_TRUE(SharedBlob::adopt(copy_of(blob), 0).ok());
}

}  // namespace
}  // namespace umbel

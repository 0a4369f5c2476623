#include "umbel/base/buffer.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace umbel {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
std::string text_of(const Buffer& buffer) {
  return {reinterpret_cast<const char*>(buffer.data()), buffer.size()};
}
std::filesystem::path scratch(const std::string& name) {
  return std::filesystem::path(testing::TempDir()) / ("buffer_test_" + name);
}

TEST(Buffer, StartsAtAMultipleOf64) {
  for (size_t bytes = 0; bytes != 200; ++bytes) {
    const Buffer buffer = Buffer::allocate(bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0u);
    EXPECT_EQ(buffer.size(), bytes);
  }
}

TEST(Buffer, ZerosAreZero) {
  const Buffer buffer = Buffer::zeros(1000);
  EXPECT_TRUE(std::ranges::all_of(buffer.bytes(), [](std::byte b) { return b == std::byte{0}; }));
}

TEST(Buffer, CopiesShareAndClonesDoNot) {
  const Buffer buffer = Buffer::copy_of(bytes_of("umbel"));
  const Buffer copy = buffer;
  const Buffer clone = buffer.clone();
  EXPECT_EQ(copy.data(), buffer.data());
  EXPECT_NE(clone.data(), buffer.data());
  EXPECT_EQ(clone, buffer);
  EXPECT_FALSE(buffer.sole_owner());
  EXPECT_TRUE(clone.sole_owner());
}

TEST(Buffer, WritingToASharedBufferLeavesTheOtherAsItWas) {
  const Buffer original = Buffer::copy_of(bytes_of("umbel"));
  Buffer copy = original;
  copy.mutable_bytes()[0] = std::byte{'x'};
  EXPECT_EQ(text_of(original), "umbel");
  EXPECT_EQ(text_of(copy), "xmbel");
}

TEST(Buffer, WritingToASoleBufferCopiesNothing) {
  Buffer buffer = Buffer::copy_of(bytes_of("umbel"));
  const std::byte* before = buffer.data();
  buffer.mutable_bytes()[4] = std::byte{'r'};
  EXPECT_EQ(buffer.data(), before);
  EXPECT_EQ(text_of(buffer), "umber");
}

TEST(Buffer, SliceKeepsTheBytesAliveAndWritesOnlyItsOwn) {
  Buffer slice;
  {
    const Buffer whole = Buffer::copy_of(bytes_of("0123456789"));
    slice = whole.slice(3, 4);
    EXPECT_EQ(slice.data(), whole.data() + 3);
  }
  EXPECT_EQ(text_of(slice), "3456");
  EXPECT_EQ(slice.mutable_bytes().size(), 4u);
  EXPECT_TRUE(Buffer::copy_of(bytes_of("ab")).slice(2, 0).empty());
}

TEST(BufferDeathTest, SliceBeyondTheEndIsABug) {
  const Buffer buffer = Buffer::zeros(4);
  EXPECT_DEATH((void)buffer.slice(3, 2), "is false");
  EXPECT_DEATH((void)buffer.slice(5, 0), "is false");
  EXPECT_DEATH((void)buffer.slice(1, SIZE_MAX), "is false");
}

TEST(BufferDeathTest, AllocationWhoseSizeWrapsAroundIsABug) {
  EXPECT_DEATH((void)Buffer::allocate(SIZE_MAX - 8), "is false");
}

TEST(Buffer, AdoptedMemoryIsReleasedOnceWithTheLastReference) {
  int released = 0;
  const std::string foreign = "foreign";
  {
    Buffer buffer = Buffer::adopt(bytes_of(foreign), [&] { ++released; });
    const Buffer part = buffer.slice(1, 2);
    buffer = Buffer();
    EXPECT_EQ(released, 0);
    EXPECT_EQ(text_of(part), "or");
  }
  EXPECT_EQ(released, 1);
}

TEST(Buffer, AdoptedMemoryIsNeverWritten) {
  const std::string foreign = "foreign";
  Buffer buffer = Buffer::adopt(bytes_of(foreign), nullptr);
  buffer.mutable_bytes()[0] = std::byte{'x'};
  EXPECT_EQ(foreign, "foreign");
  EXPECT_EQ(text_of(buffer), "xoreign");
}

TEST(Buffer, MapsAFile) {
  const auto path = scratch("file");
  std::ofstream(path) << "on disk";
  const auto buffer = Buffer::map_file(path.string());
  ASSERT_TRUE(buffer.ok()) << buffer.status();
  std::filesystem::remove(path);
  EXPECT_EQ(text_of(*buffer), "on disk");
}

TEST(Buffer, MapsAnEmptyFile) {
  const auto path = scratch("empty");
  std::ofstream{path};
  const auto buffer = Buffer::map_file(path.string());
  std::filesystem::remove(path);
  ASSERT_TRUE(buffer.ok()) << buffer.status();
  EXPECT_TRUE(buffer->empty());
}

TEST(Buffer, MappingNamesWhatIsNotAFile) {
  EXPECT_TRUE(absl::IsNotFound(Buffer::map_file("/no/such/file").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Buffer::map_file("/").status()));
}

TEST(Buffer, MappingAPipeFailsInsteadOfWaitingForAWriter) {
  const auto path = scratch("pipe");
  std::filesystem::remove(path);
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const Status status = Buffer::map_file(path.string()).status();
  std::filesystem::remove(path);
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
}

}  // namespace
}  // namespace umbel

#include "umbel/base/large_blocks.h"

#include <gtest/gtest.h>

#include <optional>

namespace umbel {
namespace {

TEST(LargeBlocks, MoreIsKeptWhileSomebodyAsksForItAndGivenBackAfterwards) {
  constexpr size_t kBytes = kLargeBytesKept + (size_t{64} << 20);
  std::optional<KeepLargeBlocks> more(kBytes);
  void* block = allocate_large(kBytes);
  free_large(block, kBytes);
  EXPECT_GE(large_bytes_kept(), kBytes);
  EXPECT_EQ(allocate_large(kBytes), block) << "a kept block is the next of its size";
  free_large(block, kBytes);
  more.reset();
  EXPECT_LE(large_bytes_kept(), kLargeBytesKept);
}

}  // namespace
}  // namespace umbel

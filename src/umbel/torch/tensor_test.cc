#include "umbel/torch/tensor.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <sys/mman.h>

#include <cstring>
#include <vector>

#include "umbel/base/rng.h"

namespace umbel::torch {
namespace {

using ::testing::HasSubstr;

constexpr DType kBoth[] = {DType::kBool,    DType::kInt8,    DType::kInt16,     DType::kInt32,
                           DType::kInt64,   DType::kUint8,   DType::kFloat16,   DType::kBfloat16,
                           DType::kFloat32, DType::kFloat64, DType::kComplex64, DType::kComplex128};

// Any bits at all: NaNs with payloads, infinities, denormals, both zeros.  A bool is 0 or 1.
Array arbitrary(DType dtype, Shape shape, uint64_t seed) {
  Array array = Array::uninitialized(dtype, std::move(shape));
  Rng rng(seed);
  for (std::byte& byte : array.mutable_bytes()) {
    byte = static_cast<std::byte>(dtype == DType::kBool ? rng.below(2) : rng.bits());
  }
  return array;
}

template <class Body>
std::string error_of(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Tensor, EveryDtypeAndShapeComesBackBitByBit) {
  const Shape shapes[] = {{}, {0}, {1}, {3, 0, 2}, {7}, {64}, {5, 3}, {2, 3, 5, 7}, {70'001}};
  uint64_t seed = 1;
  for (const DType dtype : kBoth) {
    for (const Shape& shape : shapes) {
      const Array array = arbitrary(dtype, shape, ++seed);
      const at::Tensor tensor = to_tensor(array);
      ASSERT_EQ(tensor.dim(), static_cast<int64_t>(shape.size()));
      ASSERT_EQ(static_cast<size_t>(tensor.element_size()), size_of(dtype));
      EXPECT_EQ(to_array(tensor), array) << array.describe() << " seed " << seed;
    }
  }
}

TEST(Tensor, TheValuesAreTheSameNumbers) {
  const at::Tensor tensor = to_tensor(Array::of<double>({1.5, -2, 1e300}));
  EXPECT_EQ(tensor[0].item<double>(), 1.5);
  EXPECT_EQ(tensor[2].item<double>(), 1e300);
  const Array counts = to_array(at::arange(5, at::kLong));
  EXPECT_EQ(counts, Array::of<int64_t>({0, 1, 2, 3, 4}));
  const Array half = to_array(at::full({2}, 1.5, at::kHalf));
  EXPECT_EQ(half.view<Float16>()[1], Float16(0x3e00));
  const Array bfloat = to_array(at::full({2}, 1.5, at::kBFloat16));
  EXPECT_EQ(bfloat.view<Bfloat16>()[1], Bfloat16(0x3fc0));
  const Array complex = to_array(at::view_as_complex(to_tensor(Array::of<float>({3, -4}))));
  EXPECT_EQ(complex.view<std::complex<float>>()[0], std::complex<float>(3, -4));
}

TEST(Tensor, ViewsOfTheArrayCostNoCopyAndKeepItsBytes) {
  at::Tensor tensor;
  const std::byte* data = nullptr;
  {
    const Array array = Array::of<float>({1, 2, 3});
    data = array.bytes().data();
    tensor = to_tensor(array);
    EXPECT_EQ(tensor.data_ptr(), data);
    EXPECT_FALSE(array.buffer().sole_owner());
  }
  EXPECT_EQ(tensor.sum().item<float>(), 6);
}

TEST(Tensor, AWriteToTheArrayLeavesTheTensorAsItWas) {
  Array array = Array::of<float>({1, 2, 3});
  const at::Tensor tensor = to_tensor(array);
  array.mutable_view<float>()[0] = 9;
  EXPECT_EQ(tensor[0].item<float>(), 1);
}

TEST(Tensor, StridesAndLazyConjugatesComeInOrder) {
  const at::Tensor rows = at::arange(12, at::kInt).reshape({3, 4});
  EXPECT_EQ(to_array(rows.t()).shape(), (Shape{4, 3}));
  EXPECT_EQ(to_array(rows.t()), to_array(rows.t().contiguous()));
  EXPECT_THAT(to_array(rows.t()).view<int32_t>(),
              ::testing::ElementsAre(0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11));
  EXPECT_EQ(to_array(rows.select(1, 2)), Array::of<int32_t>({2, 6, 10}));
  EXPECT_EQ(to_array(at::ones({1}, at::kInt).expand({3})), Array::of<int32_t>({1, 1, 1}));
  const at::Tensor images = at::rand({2, 3, 4, 5});
  EXPECT_EQ(to_array(images.contiguous(at::MemoryFormat::ChannelsLast)), to_array(images));
  const Array conjugate = to_array(at::full({1}, c10::complex<float>(1, 2)).conj());
  EXPECT_EQ(conjugate.view<std::complex<float>>()[0], std::complex<float>(1, -2));
}

TEST(Tensor, ArraysShareNothingWithTheTensor) {
  const at::Tensor tensor = at::zeros({3});
  const Array array = to_array(tensor);
  tensor.fill_(5);
  EXPECT_EQ(array, Array::of<float>({0, 0, 0}));
}

TEST(Tensor, WhatHasNoCounterpartIsRefusedByName) {
  EXPECT_THAT(error_of([] { (void)to_array(at::Tensor()); }), HasSubstr("undefined"));
  EXPECT_THAT(error_of([] { (void)to_array(at::eye(3).to_sparse()); }), HasSubstr("sparse"));
  EXPECT_THAT(
      error_of([] { (void)to_array(at::quantize_per_tensor(at::zeros({3}), 0.1, 0, at::kQInt8)); }),
      HasSubstr("quantized"));
  EXPECT_THAT(error_of([] { (void)to_array(at::empty({3}, at::kMeta)); }), HasSubstr("meta"));
  EXPECT_THAT(error_of([] { (void)to_array(at::empty({3}, at::kComplexHalf)); }),
              HasSubstr("ComplexHalf"));
  for (const DType dtype : {DType::kUint16, DType::kUint32, DType::kUint64}) {
    EXPECT_THAT(error_of([dtype] { (void)to_tensor(Array::zeros(dtype, {2})); }),
                HasSubstr(std::string(name_of(dtype))));
  }
}

// More than 2^31 elements, in pages that nobody touches and that are thus never there.
TEST(Tensor, SizesBeyondTwoGigabytesAreKept) {
  constexpr int64_t kElements = (int64_t{1} << 31) + 5;
  void* const pages =
      ::mmap(nullptr, kElements, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  const Array array =
      or_throw(Array::make(DType::kInt8, {kElements},
                           Buffer::adopt({static_cast<const std::byte*>(pages), size_t{kElements}},
                                         [=] { ::munmap(pages, kElements); })));
  const at::Tensor tensor = to_tensor(array);
  EXPECT_EQ(tensor.numel(), kElements);
  EXPECT_EQ(to_array(tensor.narrow(0, kElements - 3, 3)), Array::of<int8_t>({0, 0, 0}));
}

}  // namespace
}  // namespace umbel::torch

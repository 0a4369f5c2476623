#include "umbel/torch/module.h"

#include <gmock/gmock.h>
#include <torch/nn.h>

#include "umbel/torch/tensor.h"

namespace umbel::torch {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
namespace nn = ::torch::nn;

struct Block : nn::Module {
  nn::Conv2d conv{nullptr};
  nn::BatchNorm2d norm{nullptr};
  Block() {
    conv = register_module("conv", nn::Conv2d(nn::Conv2dOptions(2, 3, 3).bias(false)));
    norm = register_module("norm", nn::BatchNorm2d(3));
  }
};

// Not held by a shared_ptr, with a parameter and a buffer of its own beside its submodules.
struct Net : nn::Module {
  at::Tensor scale, table;
  std::shared_ptr<Block> block;
  nn::Linear head{nullptr};
  explicit Net(int64_t classes = 4) {
    block = register_module("block", std::make_shared<Block>());
    head = register_module("head", nn::Linear(3, classes));
    scale = register_parameter("scale", at::ones({}));
    table = register_buffer("table", at::arange(6, at::kInt));
  }
};

std::string load_error(const ArrayRecord& arrays, nn::Module& module, Match match = Match::kAll) {
  const ArrayRecord before = umbel::torch::arrays(module);
  try {
    load(arrays, module, match);
  } catch (const Error& error) {
    EXPECT_EQ(umbel::torch::arrays(module), before) << "a failed load changed the module";
    return error.what();
  }
  return "no error";
}

TEST(Module, NamesComeInTheOrderOfPyTorchsStateDict) {
  EXPECT_EQ(arrays(Net()).names(),
            "scale, table, block.conv.weight, block.norm.weight, block.norm.bias, "
            "block.norm.running_mean, block.norm.running_var, block.norm.num_batches_tracked, "
            "head.weight, head.bias");
}

TEST(Module, WhatIsLoadedComesOutBitByBit) {
  const Net from;
  Net to;
  ASSERT_FALSE(arrays(from) == arrays(to));
  load(arrays(from), to);
  EXPECT_EQ(arrays(from), arrays(to));
}

TEST(Module, CountersAndStatisticsTravelToo) {
  Net trained;
  trained.train();
  for (int i = 0; i != 3; ++i) {
    (void)trained.block->norm(trained.block->conv(at::randn({4, 2, 5, 5})));
  }
  Net other;
  load(arrays(trained), other);
  EXPECT_EQ(other.block->norm->num_batches_tracked.item<int64_t>(), 3);
  EXPECT_TRUE(other.block->norm->running_var.equal(trained.block->norm->running_var));
  EXPECT_EQ(arrays(other)["block.norm.num_batches_tracked"].dtype(), DType::kInt64);
}

TEST(Module, RecordAndModuleShareNothing) {
  Net net;
  ArrayRecord record = arrays(net);
  const ArrayRecord before = record.clone();
  const at::NoGradGuard no_grad;
  net.head->weight.fill_(7);
  EXPECT_EQ(record, before);
  load(record, net);
  net.head->weight.fill_(8);
  EXPECT_EQ(record, before);
}

TEST(Module, AModuleThatWasLoadedTrains) {
  Net net;
  load(arrays(Net()), net);
  EXPECT_TRUE(net.head->weight.requires_grad());
  EXPECT_TRUE(net.head->weight.is_leaf());
  net.head(at::ones({2, 3})).sum().backward();
  EXPECT_EQ(net.head->bias.grad().sum().item<float>(), 8);
}

TEST(Module, FrozenParametersAreArraysLikeOthers) {
  Net net;
  net.head->weight.set_requires_grad(false);
  EXPECT_TRUE(arrays(net).contains("head.weight"));
  load(arrays(Net()), net);
  EXPECT_FALSE(net.head->weight.requires_grad());
}

TEST(Module, AChangedShapeIsNamedBeforeAnyWrite) {
  Net net;
  EXPECT_THAT(load_error(arrays(Net(5)), net),
              AllOf(HasSubstr("tensor \"head.weight\""), HasSubstr("float32[4,3]"),
                    HasSubstr("float32[5,3]"), HasSubstr("change between rounds")));
}

TEST(Module, AChangedDtypeIsNamedBeforeAnyWrite) {
  Net net;
  ArrayRecord record = arrays(net);
  record["block.norm.num_batches_tracked"] = Array::zeros(DType::kInt32, {});
  EXPECT_THAT(load_error(record, net), AllOf(HasSubstr("block.norm.num_batches_tracked"),
                                             HasSubstr("int64[]"), HasSubstr("int32[]")));
}

TEST(Module, MissingAndExtraNamesAreNamedBeforeAnyWrite) {
  Net net;
  ArrayRecord record = arrays(Net());
  record.set("tail.weight", Array::zeros(DType::kFloat32, {2}));
  EXPECT_THAT(load_error(record, net), HasSubstr("array \"tail.weight\": float32[2]"));
  EXPECT_THAT(load_error(record, net, Match::kSome), HasSubstr("array \"tail.weight\""));
  EXPECT_THAT(load_error({{"scale", Array::zeros(DType::kFloat32, {})}}, net),
              HasSubstr("tensor \"table\""));
}

TEST(Module, SomeOfTheNamesLeaveTheRestAsItIs) {
  Net net;
  const ArrayRecord before = arrays(net);
  load({{"head.bias", Array::of<float>({1, 2, 3, 4})}}, net, Match::kSome);
  EXPECT_EQ(arrays(net)["head.bias"], Array::of<float>({1, 2, 3, 4}));
  EXPECT_EQ(arrays(net)["head.weight"], before["head.weight"]);
}

TEST(Module, HalfPrecisionModulesTravelAsTheyAre) {
  Net from, to;
  from.to(at::kHalf);
  to.to(at::kHalf);
  load(arrays(from), to);
  EXPECT_EQ(arrays(to), arrays(from));
  EXPECT_EQ(arrays(to)["head.bias"].dtype(), DType::kFloat16);
}

TEST(Module, AParameterWithStridesOfItsOwnIsLoadedInPlace) {
  nn::Conv2d from(2, 3, 3), to(2, 3, 3);
  to->weight.set_data(to->weight.data().contiguous(at::MemoryFormat::ChannelsLast));
  load(arrays(*from), *to);
  EXPECT_TRUE(to->weight.equal(from->weight));
  EXPECT_FALSE(to->weight.is_contiguous());
}

TEST(Module, ABufferThatNoArrayCanHoldIsNamed) {
  struct Masked : nn::Module {
    Masked() { register_buffer("mask", at::eye(3).to_sparse()); }
  };
  Masked masked;
  for (const bool loads : {false, true}) {
    try {
      if (loads) {
        load({{"mask", Array::zeros(DType::kFloat32, {3, 3})}}, masked);
      } else {
        (void)arrays(masked);
      }
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr("\"mask\""), HasSubstr("sparse")));
    }
  }
}

}  // namespace
}  // namespace umbel::torch

#include "umbel/torch/isolated.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <torch/nn.h>

#include <cmath>
#include <thread>
#include <vector>

#include "umbel/torch/module.h"
#include "umbel/torch/tensor.h"

namespace umbel::torch {
namespace {

// Draws in many ways, as clients do.
std::vector<Array> draws() {
  const at::Tensor probabilities = at::full({10}, 0.1);
  ::torch::nn::Linear linear(3, 5);
  return {to_array(at::rand({7})),
          to_array(at::randn({7})),
          to_array(at::randperm(50)),
          to_array(at::randint(1000, {7})),
          to_array(at::multinomial(probabilities, 20, true)),
          to_array(at::dropout(at::ones({100}), 0.5, true)),
          to_array(at::bernoulli(probabilities)),
          to_array(at::normal(0.0, probabilities)),
          to_array(at::empty({7}).exponential_()),
          to_array(at::rand_like(probabilities)),
          to_array(linear->weight)};
}

TEST(Isolated, TheSameSeedDrawsTheSameNumbers) {
  const auto with = [](uint64_t seed) {
    const Isolated here(seed);
    return draws();
  };
  const auto first = with(5);
  EXPECT_EQ(first, with(5));
  const auto other = with(6);
  for (size_t i = 0; i != first.size(); ++i) {
    EXPECT_FALSE(first[i] == other[i]) << "draw " << i << " does not depend on the seed";
  }
}

TEST(Isolated, TheNumbersAreThoseOfTorchsOwnGeneratorWithThatSeed) {
  at::Generator generator = at::detail::createCPUGenerator(9);
  const Array expected = to_array(at::randn({20}, generator));
  const Isolated here(9);
  EXPECT_EQ(to_array(at::randn({20})), expected);
}

TEST(Isolated, ThreadsThatDrawAtOnceDoNotDrawFromEachOther) {
  constexpr size_t kThreads = 4, kTimes = 50;
  const auto work = [](uint64_t seed) {
    std::vector<std::vector<Array>> all;
    for (size_t i = 0; i != kTimes; ++i) {
      const Isolated here(seed);
      all.push_back(draws());
    }
    return all;
  };
  std::vector<std::vector<std::vector<Array>>> got(kThreads);
  {
    std::vector<std::jthread> threads;
    for (size_t t = 0; t != kThreads; ++t) threads.emplace_back([&, t] { got[t] = work(t); });
  }
  for (size_t t = 0; t != kThreads; ++t) EXPECT_EQ(got[t], work(t));
}

TEST(Isolated, AGeneratorThatIsNamedIsTheOneDrawnFrom) {
  at::Generator mine = at::detail::createCPUGenerator(3);
  at::Generator same = at::detail::createCPUGenerator(3);
  const Array expected = to_array(at::rand({5}, same));
  const Isolated here(1);
  EXPECT_EQ(to_array(at::rand({5}, mine)), expected);
}

TEST(Isolated, OutsideTorchsOwnGeneratorIsUsedAndUntouched) {
  at::manual_seed(11);
  const Array expected = to_array(at::rand({5}));
  at::manual_seed(11);
  {
    const Isolated here(1);
    (void)draws();
  }
  EXPECT_EQ(to_array(at::rand({5})), expected);
}

TEST(Isolated, TheInnerOneCountsUntilItEnds) {
  const auto two = [](bool nested) {
    const Isolated outer(1);
    const Array first = to_array(at::rand({5}));
    if (nested) {
      const Isolated inner(2);
      (void)draws();
    }
    return std::vector{first, to_array(at::rand({5}))};
  };
  EXPECT_EQ(two(true), two(false));
}

TEST(Isolated, GradientsFlowThroughDropout) {
  const Isolated here(4);
  const at::Tensor x = at::ones({1000}).requires_grad_();
  at::dropout(x, 0.25, true).sum().backward();
  // Each is 0 or 1 / 0.75, with a mean of 1 and a deviation of sqrt(1 / 3).
  EXPECT_NEAR(x.grad().mean().item<double>(), 1, 5 * std::sqrt(1.0 / 3 / 1000));
}

TEST(Isolated, TensorsWithoutElementsOrElsewhereAreLeftAlone) {
  const Isolated here(4);
  EXPECT_EQ(at::rand({0}).numel(), 0);
  EXPECT_TRUE(at::empty({4}, at::kMeta).uniform_().is_meta());
}

TEST(Isolated, TorchComputesOnTheCallingThread) {
  std::jthread([] {
    const Isolated here(1);
    EXPECT_EQ(at::get_num_threads(), 1);
    // oneDNN asks OpenMP, whose setting is each thread's own.
    auto* openmp = reinterpret_cast<int (*)()>(::dlsym(RTLD_DEFAULT, "omp_get_max_threads"));
    if (openmp != nullptr) EXPECT_EQ(openmp(), 1);
    std::vector<std::thread::id> seen;
    at::parallel_for(0, 1 << 20, 1,
                     [&](int64_t, int64_t) { seen.push_back(std::this_thread::get_id()); });
    EXPECT_THAT(seen, ::testing::ElementsAre(std::this_thread::get_id()));
  }).join();
}

TEST(Isolated, TheModSeedsEachActionFromItsContext) {
  ClientApp app;
  app.mod(isolate).train([](const Message& message, Context&) {
    return message.reply({{"draw", to_array(at::rand({3}))}}, {{"num-examples", 1}});
  });
  const umbel::Run run{.id = RunId(1), .seed = 1, .nodes = 1};
  const auto draw = [&](uint64_t seed) {
    Context context(run, NodeId(1), seed);
    const Message message(Metadata{.type = "train"}, RecordDict());
    return app.handle(message, context).arrays()["draw"];
  };
  EXPECT_EQ(draw(5), draw(5));
  EXPECT_FALSE(draw(5) == draw(6));
  at::Generator generator = at::detail::createCPUGenerator(5);
  EXPECT_EQ(draw(5), to_array(at::rand({3}, generator)));
}

}  // namespace
}  // namespace umbel::torch

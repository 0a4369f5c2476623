#include <ATen/CPUGeneratorImpl.h>
#include <torch/torch.h>

#include <cstdio>

// Which of three states a machine is in, by eight sensors: made up here, from a seed.
struct Data {
  torch::Tensor x, y;
};

Data make_data(uint64_t seed, int64_t examples) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  const auto y = torch::randint(3, {examples}, generator, torch::kLong);
  const auto angle = y.unsqueeze(1) * 2.1 + torch::arange(8) * 0.7;
  return {angle.sin() + torch::randn({examples, 8}, generator) * 0.8, y};
}

struct Net : torch::nn::Module {
  torch::nn::Linear hidden{register_module("hidden", torch::nn::Linear(8, 32))};
  torch::nn::BatchNorm1d norm{register_module("norm", torch::nn::BatchNorm1d(32))};
  torch::nn::Dropout dropout{register_module("dropout", torch::nn::Dropout(0.1))};
  torch::nn::Linear out{register_module("out", torch::nn::Linear(32, 3))};

  torch::Tensor forward(const torch::Tensor& x) {
    return out(dropout(torch::relu(norm(hidden(x)))));
  }
};

// One epoch of stochastic gradient descent.
void train(Net& net, const Data& data) {
  net.train();
  torch::optim::SGD optimizer(net.parameters(), torch::optim::SGDOptions(0.05).momentum(0.9));
  for (const auto& batch : torch::randperm(data.y.numel()).split(20)) {
    optimizer.zero_grad();
    const auto loss = torch::cross_entropy_loss(net.forward(data.x.index_select(0, batch)),
                                                data.y.index_select(0, batch));
    loss.backward();
    optimizer.step();
  }
}

double accuracy(Net& net, const Data& data) {
  const torch::NoGradGuard no_grad;
  net.eval();
  return net.forward(data.x).argmax(1).eq(data.y).to(torch::kDouble).mean().item<double>();
}

int main() {
  torch::manual_seed(1);
  const Data data = make_data(0, 2000);
  const Data test = make_data(1, 2000);
  Net net;
  for (int epoch = 1; epoch <= 10; ++epoch) {
    train(net, data);
    std::printf("epoch %d: accuracy %.3f\n", epoch, accuracy(net, test));
  }
}

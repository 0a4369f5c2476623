#pragma once

#include <torch/torch.h>

// Two convolutions, dropout and a linear layer for 28 x 28 pixels in 10 classes: 11,274 parameters.
struct Cnn : torch::nn::Module {
  torch::nn::Conv2d conv1{torch::nn::Conv2dOptions(1, 8, 5).padding(2)};
  torch::nn::Conv2d conv2{torch::nn::Conv2dOptions(8, 16, 5).padding(2)};
  torch::nn::Dropout dropout{0.1};
  torch::nn::Linear head{16 * 7 * 7, 10};

  Cnn() {
    register_module("conv1", conv1);
    register_module("conv2", conv2);
    register_module("dropout", dropout);
    register_module("head", head);
  }

  // Pixels [n,28,28] from 0 to 255 to logits [n,10].
  torch::Tensor forward(const torch::Tensor& pixels) {
    constexpr double kMean = 72.94;  // of Fashion-MNIST
    constexpr double kDeviation = 90.02;
    torch::Tensor x = ((pixels.to(torch::kFloat) - kMean) / kDeviation).unsqueeze(1);
    x = torch::max_pool2d(torch::relu(conv1(x)), 2);
    x = torch::max_pool2d(torch::relu(conv2(x)), 2);
    return head(dropout(x.flatten(1)));
  }
};

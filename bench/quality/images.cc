#include "bench/quality/images.h"

#include <numeric>

namespace umbel::bench {

namespace {

constexpr int64_t kPixels = 28 * 28;
constexpr float kMean = 72.94f;  // of the training images' pixels
constexpr float kDeviation = 90.02f;
constexpr size_t kPiece = 100;

}  // namespace

void Images::fill(Cnn::Batch& batch, std::span<const uint32_t> examples) const {
  batch.images.resize(kPixels, static_cast<int64_t>(examples.size()));
  batch.labels.resize(examples.size());
  const auto labels = labels_.view<int32_t>();
  const auto pixels = features_.view<uint8_t>();
  for (size_t i = 0; i != examples.size(); ++i) {
    const uint8_t* from = pixels.data() + kPixels * (first_ + examples[i]);
    float* to = batch.images.data() + kPixels * static_cast<int64_t>(i);
    for (int64_t p = 0; p != kPixels; ++p) to[p] = (from[p] - kMean) * (1 / kDeviation);
    batch.labels[i] = labels[examples[i]];
  }
}

MetricRecord evaluate(const ArrayRecord& model, const Images& images) {
  Cnn net(model);
  Cnn::Batch batch;
  std::vector<uint32_t> all(images.size());
  std::iota(all.begin(), all.end(), 0u);
  Cnn::Score sum;
  for (size_t first = 0; first < all.size(); first += kPiece) {
    const size_t count = std::min(kPiece, all.size() - first);
    images.fill(batch, std::span<const uint32_t>(all).subspan(first, count));
    const Cnn::Score score = net.evaluate(batch);
    sum = {sum.loss + score.loss, sum.correct + score.correct};
  }
  const auto count = static_cast<double>(all.size());
  return {{"accuracy", static_cast<double>(sum.correct) / count}, {"loss", sum.loss / count}};
}

}  // namespace umbel::bench
